//! Rooms and joiners as tests and the fuzzer have them, where nothing else is said.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use livekit_protocol as proto;

use crate::engine::Moment;
use crate::engine::joiner::{ConnectionMode, Joiner};
use crate::engine::room::RoomPolicy;

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
pub(crate) fn now() -> Moment {
    Moment { at: Instant::now(), unix_ms: 1_000 }
}

pub(crate) fn policy() -> RoomPolicy {
    RoomPolicy {
        empty_timeout: Duration::from_secs(300),
        departure_timeout: Duration::from_secs(20),
        max_participants: 0,
        remote_unmute: false,
        node_id: "ND_test".into(),
        region: String::new(),
    }
}

/// A person with the usual rights and a current client.
pub(crate) fn joiner(identity: &str) -> Joiner {
    Joiner {
        identity: identity.into(),
        holder: identity.into(),
        issued_s: 0,
        name: identity.to_uppercase(),
        metadata: String::new(),
        attributes: HashMap::new(),
        own_words_bytes: 0,
        kind: proto::participant_info::Kind::Standard,
        permission: proto::ParticipantPermission {
            can_subscribe: true,
            can_publish: true,
            can_publish_data: true,
            ..Default::default()
        },
        kind_details: Vec::new(),
        client: proto::ClientInfo { protocol: 17, ..Default::default() },
        mode: ConnectionMode::Single,
        auto_subscribe: true,
        auto_subscribe_data: false,
        token_allowance: 32_000,
    }
}
