//! Somebody who wants to come in.

use std::collections::HashMap;

use livekit_protocol as proto;

/// How the participant's media connections are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionMode {
    /// One connection; the client always offers (`/rtc/v1`).
    Single,
    /// A publisher connection the client offers and a subscriber connection the server offers (`/rtc`).
    Dual,
}

/// What a valid token and join request say.
#[derive(Debug, Clone)]
pub(crate) struct Joiner {
    pub(crate) identity: String,
    /// Whose token it is: the identity, without what tells a person's second connection apart.
    pub(crate) holder: String,
    /// When the token was issued, in Unix seconds; 0 when it does not say.
    pub(crate) issued_s: i64,
    pub(crate) name: String,
    pub(crate) metadata: String,
    pub(crate) attributes: HashMap<String, String>,
    /// How many bytes of metadata and attributes are the client's own words, not the token's.
    pub(crate) own_words_bytes: usize,
    pub(crate) kind: proto::participant_info::Kind,
    /// `KindDetail`s.
    pub(crate) kind_details: Vec<i32>,
    pub(crate) permission: proto::ParticipantPermission,
    pub(crate) client: proto::ClientInfo,
    pub(crate) mode: ConnectionMode,
    pub(crate) auto_subscribe: bool,
    pub(crate) auto_subscribe_data: bool,
    /// Bytes its name, metadata and attributes may take as JSON: its renewed token carries them.
    pub(crate) token_allowance: usize,
}

impl Joiner {
    /// Another connection with the token of somebody who has, or may have, one of its own name.
    pub(crate) fn is_further_connection(&self) -> bool {
        self.identity != self.holder
    }
}
