//! The SFU as the dashboard sees it: rooms asked and changed over gRPC, and tokens that let people in.
//!
//! Nothing here is needed to log in or to list things: callers that can do without an answer do.

mod client;
mod join;

pub(crate) use client::{LiveParticipant, LiveTrack, Sfu, SfuError};
pub(crate) use join::{Admission, JoinTokens, RoomTerms};

use aura_types::{CallId, RoomId, UserId};
use uuid::Uuid;

const CALL_PREFIX: &str = "call-";
const GUEST_PREFIX: &str = "guest-";

/// What an SFU room stands for here. Rooms other people made over the SFU's own API are none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoomName {
    Room(RoomId),
    Call(CallId),
}

impl RoomName {
    pub(crate) fn parse(livekit_room: &str) -> Option<Self> {
        let id = |text: &str| Uuid::try_parse(text).ok().filter(|id| id.hyphenated().to_string() == text);
        match livekit_room.strip_prefix(CALL_PREFIX) {
            Some(call) => id(call).map(|id| Self::Call(CallId::from_uuid(id))),
            None => id(livekit_room).map(|id| Self::Room(RoomId::from_uuid(id))),
        }
    }
}

impl std::fmt::Display for RoomName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Room(id) => write!(f, "{id}"),
            Self::Call(id) => write!(f, "{CALL_PREFIX}{id}"),
        }
    }
}

/// The identity of somebody without an account.
pub(crate) fn guest_identity(guest: UserId) -> String {
    format!("{GUEST_PREFIX}{guest}")
}

/// Whose token a participant came with: a second connection (`?publish=screen`) is called `identity#screen`.
pub(crate) fn token_holder(identity: &str) -> &str {
    identity.split_once('#').map_or(identity, |(holder, _)| holder)
}

pub(crate) fn parse_guest_identity(identity: &str) -> Option<UserId> {
    identity.strip_prefix(GUEST_PREFIX)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_names_round_trip_and_strangers_are_ignored() {
        for name in [RoomName::Room(RoomId::generate()), RoomName::Call(CallId::generate())] {
            assert_eq!(RoomName::parse(&name.to_string()), Some(name));
        }
        for other in ["lobby", "call-", "call-x", "", "0198F000-0000-7000-8000-000000000001"] {
            assert_eq!(RoomName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn guests_are_told_apart_from_users() {
        let guest = UserId::generate();
        assert_eq!(parse_guest_identity(&guest_identity(guest)), Some(guest));
        assert_eq!(parse_guest_identity(&guest.to_string()), None);
    }
}
