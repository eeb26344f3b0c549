//! Session-scoped ids in LiveKit's form: a two-letter prefix and a random base62 suffix.
//!
//! Clients look at the prefix (`TR_`, `PA_`), so it is part of the wire format. The suffix carries
//! 71 bits: enough never to collide inside a deployment, not meant as a secret.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use rand::RngExt as _;
use serde::{Deserialize, Deserializer, Serialize};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SUFFIX_CHARS: usize = 12;
const MAX_CHARS: usize = 64;

/// The text does not have the prefix its type demands, or holds characters outside `[0-9A-Za-z_]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {prefix} id")]
pub struct InvalidSid {
    /// The prefix that was expected, for example `TR_`.
    pub prefix: &'static str,
}

fn push_suffix(text: &mut String) {
    let mut rng = rand::rng();
    text.extend((0..SUFFIX_CHARS).map(|_| char::from(BASE62[rng.random_range(0..BASE62.len())])));
}

macro_rules! sid {
    ($($(#[$meta:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// What every id of this type starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new random id.
            #[must_use]
            pub fn generate() -> Self {
                Self::generate_with($prefix)
            }

            /// A new random id whose prefix is extended, as LiveKit does by track kind (`TR_VC`).
            ///
            /// # Panics
            /// When `prefix` does not start with [`Self::PREFIX`]: that is a bug in the caller.
            #[must_use]
            pub fn generate_with(prefix: &str) -> Self {
                assert!(prefix.starts_with($prefix), "an id of this type starts with its prefix");
                let mut text = String::with_capacity(prefix.len() + SUFFIX_CHARS);
                text.push_str(prefix);
                push_suffix(&mut text);
                Self(text)
            }

            /// The id as it goes over the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        /// Ids are found by the text a client names them with.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(sid: $name) -> Self {
                sid.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidSid;

            fn from_str(text: &str) -> Result<Self, InvalidSid> {
                let ok = text.len() > $prefix.len()
                    && text.len() <= MAX_CHARS
                    && text.starts_with($prefix)
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if ok { Ok(Self(text.to_owned())) } else { Err(InvalidSid { prefix: $prefix }) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

sid! {
    /// A live room; a room that empties and fills again gets a new one.
    RoomSid = "RM_";
    /// A participant's session; the identity is what survives a reconnect.
    ParticipantSid = "PA_";
    /// A published track.
    TrackSid = "TR_";
    /// A published data track.
    DataTrackSid = "DTR_";
    /// A server process.
    NodeId = "ND_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_sids_have_prefix_and_suffix() {
        let sid = TrackSid::generate_with("TR_VC");
        assert!(sid.as_str().starts_with("TR_VC"));
        assert_eq!(sid.as_str().len(), 5 + SUFFIX_CHARS);
        assert_ne!(RoomSid::generate(), RoomSid::generate());
    }

    #[test]
    fn foreign_prefixes_and_odd_characters_are_refused() {
        for bad in ["", "TR_", "PA_abc", "TR_ab c", "TR_ab\u{e9}", "tr_abc"] {
            assert!(bad.parse::<TrackSid>().is_err(), "{bad}");
        }
        assert!(format!("TR_{}", "a".repeat(62)).parse::<TrackSid>().is_err());
        assert_eq!("TR_abc".parse::<TrackSid>().unwrap().as_str(), "TR_abc");
    }
}
