//! Typed ids over UUIDs: a room id cannot be passed where a user id is meant.
//!
//! New ids are version 7, so rows created together lie together in an index. They are identifiers,
//! not secrets: tokens for links are drawn separately.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text was not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}")]
pub struct InvalidId {
    /// Which id type refused the text, for example `room id`.
    pub kind: &'static str,
}

macro_rules! uuid_id {
    ($($(#[$meta:meta])* $name:ident = $kind:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new, time-ordered (version 7) id.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// Wraps a UUID read from storage or the wire.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID, for storage.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId { kind: $kind })
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )+};
}

uuid_id! {
    /// An account.
    UserId = "user id";
    /// A room a user owns (the durable thing, not the live session in the SFU).
    RoomId = "room id";
    /// A call between two users.
    CallId = "call id";
    /// An uploaded file.
    FileId = "file id";
    /// An invitation link to a room.
    InviteId = "invite id";
    /// A link that shares a file.
    ShareId = "share id";
    /// A chat message; made by the client, so that a retry is the same message.
    MessageId = "message id";
    /// A login session: the family of refresh tokens that descend from one login.
    SessionId = "session id";
    /// An event on the bus; consumers are idempotent on it.
    EventId = "event id";
    /// One request, across every service it touches (`x-request-id`).
    RequestId = "request id";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_are_unique_and_ordered_by_time() {
        let ids: Vec<_> = (0..1_000).map(|_| RoomId::generate()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(ids[0].uuid().get_version_num(), 7);
    }

    #[test]
    fn text_and_back() {
        let id = UserId::generate();
        assert_eq!(id.to_string().parse::<UserId>(), Ok(id));
        assert_eq!("x".parse::<UserId>().unwrap_err().to_string(), "not a valid user id");
    }
}
