//! The event bus: hints between services over Redis pub/sub.
//!
//! Publishing never blocks and may lose events while Redis is away; a subscriber is told when it may have
//! missed some, and then asks the owner of the truth. What may not be lost goes through Postgres instead.
//! Consumers are idempotent on the event's id.

mod publisher;
mod subscriber;

use aura_types::EventId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use publisher::{Publisher, PublisherTask};
pub use subscriber::{BusItem, Subscriber};

/// The envelope every event travels in. Its channel is its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Unique; the same event may arrive twice.
    pub id: EventId,
    /// What happened, as `noun:event` (`room:created`).
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was handed to the publisher, by that process's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// The trace it happened in: consumers link to it rather than continue it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The room it is about, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_id: Option<String>,
    /// The rest, by type.
    #[serde(default)]
    pub data: serde_json::Value,
}

impl Event {
    /// An event; [`Publisher::publish`] sets its time.
    #[must_use]
    pub fn new(kind: impl Into<String>, room_id: Option<String>, data: serde_json::Value) -> Self {
        let (id, time) = (EventId::generate(), OffsetDateTime::UNIX_EPOCH);
        Self { id, kind: kind.into(), time, traceparent: None, room_id, data }
    }

    /// The same, as part of a trace.
    #[must_use]
    pub fn traceparent(mut self, traceparent: Option<String>) -> Self {
        self.traceparent = traceparent;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_is_the_contracts() {
        let event =
            Event::new("room:created", Some("standup".into()), serde_json::json!({"room_sid": "RM_x"}));
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "id": event.id, "type": "room:created", "time": "1970-01-01T00:00:00Z",
                "room_id": "standup", "data": {"room_sid": "RM_x"},
            })
        );
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
}
