//! Applies bus events in order. While the database is away the same event is tried again, so that nothing the
//! SFU reported is skipped; what the bus itself drops meanwhile, reconciliation finds.

use super::room_watch::ChangedRooms;
use crate::app::App;
use crate::calls::{EventRef, Report};
use crate::notify::{CALL_UPDATED, SESSION_ENDED};
use crate::sfu::RoomName;
use aura_service::error::{Result, ServiceError};
use aura_store::bus::{BusItem, Event, Subscriber};
use aura_types::ErrorCode;
use serde::Deserialize;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const ROOM_CREATED: &str = "room:created";
const JOINED: &str = "room:participant_joined";
const LEFT: &str = "room:participant_left";
const ENDED: &str = "room:ended";
/// A media server has started, and knows nothing.
const NODE_STARTED: &str = "node:started";

/// What is listened to.
pub(crate) const CHANNELS: [&str; 7] =
    [ROOM_CREATED, JOINED, LEFT, ENDED, NODE_STARTED, CALL_UPDATED, SESSION_ENDED];

const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
struct RoomData {
    room_name: String,
    participant: Option<ParticipantData>,
}

#[derive(Debug, Deserialize)]
struct ParticipantData {
    sid: String,
    identity: String,
}

/// Runs until `stop`.
pub(crate) async fn consume(app: App, mut events: Subscriber, rooms: ChangedRooms, stop: CancellationToken) {
    loop {
        let item = tokio::select! {
            () = stop.cancelled() => return,
            item = events.next() => item,
        };
        match item {
            BusItem::Reconnected => {
                app.calls.request_reconcile();
                app.hub.request_check();
                app.removals.request();
            }
            BusItem::Event(event) => {
                metrics::counter!("aura_dashboard_events_total", "type" => known(&event.kind)).increment(1);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = apply_until_done(&app, &rooms, &event) => {}
                }
            }
        }
    }
}

async fn apply_until_done(app: &App, rooms: &ChangedRooms, event: &Event) {
    loop {
        match apply(app, rooms, event).await {
            Ok(()) => return,
            Err(error) if matches!(error.code(), ErrorCode::Unavailable | ErrorCode::DeadlineExceeded) => {
                tracing::warn!(%error, event.id = %event.id, "an event waits for the database");
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => {
                return tracing::error!(%error, event.id = %event.id, event.kind, "an event was not applied");
            }
        }
    }
}

async fn apply(app: &App, rooms: &ChangedRooms, event: &Event) -> Result<()> {
    if event.kind == CALL_UPDATED {
        app.notifier.call_updated_elsewhere(&event.data);
        return Ok(());
    }
    if event.kind == SESSION_ENDED {
        app.notifier.session_ended_somewhere(&event.data);
        return Ok(());
    }
    if event.kind == NODE_STARTED {
        app.calls.request_reconcile();
        app.removals.request();
        return Ok(());
    }
    let data = RoomData::deserialize(&event.data).map_err(ServiceError::internal)?;
    match RoomName::parse(&data.room_name) {
        Some(RoomName::Call(id)) => {
            let Some(report) = report(&event.kind, data.participant) else { return Ok(()) };
            let seen = EventRef { id: &event.id.to_string(), event_type: &event.kind };
            app.calls.observe(id, &report, event.time, Some(seen)).await
        }
        Some(RoomName::Room(id)) => {
            if event.kind == JOINED {
                app.calls.refuse_deleted(&data.room_name).await?;
                if let Some(who) = &data.participant {
                    app.removals.entered(id, &who.identity).await?;
                }
            }
            rooms.changed(id);
            Ok(())
        }
        None => Ok(()),
    }
}

fn report(kind: &str, participant: Option<ParticipantData>) -> Option<Report> {
    match (kind, participant) {
        (JOINED, Some(who)) => Some(Report::Joined { identity: who.identity, session: who.sid }),
        (LEFT, Some(who)) => Some(Report::Left { identity: who.identity, session: who.sid }),
        (ENDED, _) => Some(Report::Ended),
        _ => None,
    }
}

fn known(kind: &str) -> &'static str {
    CHANNELS.into_iter().find(|channel| *channel == kind).unwrap_or("other")
}
