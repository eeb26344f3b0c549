//! Room events on the bus: `room:created`, `room:participant_joined`, `room:participant_left`, `room:ended`; and
//! `node:started`, by which others know that what they told us is forgotten.
//!
//! Redis is a hint: publishing never holds a shard up, and consumers ask us again after they were away.

use std::convert::Infallible;

use aura_service::Lifecycle;
use aura_store::bus::{Event, Publisher};
use aura_types::SharedClock;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::engine::{ParticipantFacts, RoomEvent, RoomFacts};
use crate::shard::command::EventSender;

/// Events that may wait while the publisher is busy.
const QUEUE: usize = 8_192;

/// Starts publishing; returns where shards put their events.
pub(crate) fn start(
    config: &Config,
    lifecycle: &Lifecycle,
    clock: SharedClock,
) -> anyhow::Result<EventSender> {
    let (sender, mut events) = mpsc::channel(QUEUE);
    let (publisher, task) = Publisher::new(config.redis.url.expose(), clock)?;
    // The publisher outlives the soft stop: the last events are about the shutdown itself.
    let last = lifecycle.hard();
    lifecycle.spawn_critical("bus-publisher", async move {
        task.run(last).await;
        Ok::<_, Infallible>(())
    });
    publisher.publish(Event::new("node:started", None, json!({})));
    let stop = lifecycle.hard();
    lifecycle.spawn_critical("room-events", async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok::<_, Infallible>(()),
                event = events.recv() => match event {
                    Some(event) => publisher.publish(to_envelope(&event)),
                    None => return Ok(()),
                },
            }
        }
    });
    Ok(sender)
}

fn to_envelope(event: &RoomEvent) -> Event {
    let (channel, room, rest) = match event {
        RoomEvent::Created { room } => ("room:created", room, json!({})),
        RoomEvent::ParticipantJoined { room, participant } => {
            ("room:participant_joined", room, json!({ "participant": person(participant) }))
        }
        RoomEvent::ParticipantLeft { room, participant, reason } => {
            ("room:participant_left", room, json!({ "participant": person(participant), "reason": reason }))
        }
        RoomEvent::Ended { room, duration_ms } => ("room:ended", room, json!({ "duration_ms": duration_ms })),
    };
    Event::new(channel, Some(room.name.clone()), data(room, rest))
}

fn data(room: &RoomFacts, rest: Value) -> Value {
    let mut data = json!({
        "room_sid": room.sid,
        "room_name": room.name,
        "created_at_ms": room.created_at_ms,
    });
    if let (Value::Object(data), Value::Object(rest)) = (&mut data, rest) {
        data.extend(rest);
    }
    data
}

fn person(participant: &ParticipantFacts) -> Value {
    json!({
        "sid": participant.sid,
        "identity": participant.identity,
        "name": participant.name,
        "kind": participant.kind,
    })
}
