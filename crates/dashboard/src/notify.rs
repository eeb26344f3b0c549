//! Tells people that something of theirs changed: this instance's WebSockets directly, the other instances' (and
//! other services) over the bus.
//!
//! A hint, never the truth: whoever missed one reads the resource again.

use crate::model::Call;
use crate::sfu::RoomName;
use crate::store::calls::CallRow;
use crate::ws::{Hub, Push};
use aura_store::bus::{Event, Publisher};
use aura_types::{RoomId, SessionId, SharedClock, UserId};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Channel and event type of a call's change.
pub(crate) const CALL_UPDATED: &str = "call:updated";

/// Channel and event type of a login's end.
pub(crate) const SESSION_ENDED: &str = "session:ended";

#[derive(Deserialize)]
struct SessionData {
    user_id: UserId,
    session_id: SessionId,
}

#[derive(Clone)]
pub(crate) struct Notifier {
    hub: Hub,
    publisher: Publisher,
    clock: SharedClock,
    /// Marks this instance's own events, which its sockets have already had.
    instance: Uuid,
}

impl Notifier {
    pub(crate) fn new(hub: Hub, publisher: Publisher, clock: SharedClock) -> Self {
        Self { hub, publisher, clock, instance: Uuid::new_v4() }
    }

    /// To the caller and the callee, and to nobody else.
    pub(crate) fn call_updated(&self, row: &CallRow) {
        let call = Call::from(row);
        self.push_call(&call);
        let room = RoomName::Call(row.call.id).to_string();
        let data = json!({ "call": call, "origin": self.instance });
        let event = Event::new(CALL_UPDATED, Some(room), data);
        self.publisher.publish(event.traceparent(aura_service::telemetry::traceparent()));
    }

    /// Another instance changed a call.
    pub(crate) fn call_updated_elsewhere(&self, data: &serde_json::Value) {
        if data["origin"] == json!(self.instance) {
            return;
        }
        match serde_json::from_value::<Call>(data["call"].clone()) {
            Ok(call) => self.push_call(&call),
            Err(error) => tracing::warn!(%error, "ignoring a malformed call:updated"),
        }
    }

    /// Closes the sockets of a login that is over, here and elsewhere.
    pub(crate) fn session_ended(&self, user: UserId, session: SessionId) {
        self.hub.end_session(user, session);
        let data = json!({ "user_id": user, "session_id": session });
        let event = Event::new(SESSION_ENDED, None, data);
        self.publisher.publish(event.traceparent(aura_service::telemetry::traceparent()));
    }

    /// Some instance, perhaps this one, ended a login.
    pub(crate) fn session_ended_somewhere(&self, data: &serde_json::Value) {
        match SessionData::deserialize(data) {
            Ok(ended) => self.hub.end_session(ended.user_id, ended.session_id),
            Err(error) => tracing::warn!(%error, "ignoring a malformed session:ended"),
        }
    }

    pub(crate) fn room_updated(&self, audience: &[Uuid], room: RoomId, participants: u32) {
        let data = json!({ "room_id": room, "participants": participants });
        let push = Push::new("room_updated", &data, crate::now(&self.clock));
        for user in audience {
            self.hub.push(UserId::from_uuid(*user), &push);
        }
    }

    /// Whether anyone of these listens here.
    pub(crate) fn any_listening(&self, audience: &[Uuid]) -> bool {
        audience.iter().any(|user| self.hub.is_listening(UserId::from_uuid(*user)))
    }

    fn push_call(&self, call: &Call) {
        let push = Push::new("call_updated", call, crate::now(&self.clock));
        for person in [&call.caller, &call.callee] {
            self.hub.push(person.id, &push);
        }
    }
}
