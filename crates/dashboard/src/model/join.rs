//! The way into an SFU room.

use crate::sfu::{Admission, JoinTokens, RoomName};
use aura_service::error::Result;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Owner,
    Member,
    Guest,
}

/// Everything a client needs to connect.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Join {
    /// WebSocket address of the SFU.
    #[schema(example = "ws://127.0.0.1:7880")]
    pub(crate) url: String,
    /// LiveKit access token for this room and identity.
    pub(crate) token: String,
    /// The room's id; of a call, the call's.
    pub(crate) room_id: Uuid,
    /// The room's title.
    pub(crate) room_name: String,
    /// The room's name in the SFU.
    pub(crate) livekit_room: String,
    pub(crate) identity: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    /// When the LiveKit token stops letting anybody in.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) expires_at: OffsetDateTime,
    /// For guests: a Bearer token good for this room's messages and files only.
    #[schema(required = true)]
    pub(crate) guest_token: Option<String>,
}

impl Join {
    pub(crate) fn sign(
        tokens: &JoinTokens,
        admission: Admission<'_>,
        room_title: String,
        role: Role,
        now: OffsetDateTime,
    ) -> Result<Self> {
        let signed = tokens.sign(admission, now)?;
        let room_id = match admission.room {
            RoomName::Room(id) => id.uuid(),
            RoomName::Call(id) => id.uuid(),
        };
        Ok(Self {
            url: signed.url,
            token: signed.token,
            room_id,
            room_name: room_title,
            livekit_room: admission.room.to_string(),
            identity: admission.identity.to_owned(),
            name: admission.name.to_owned(),
            role,
            expires_at: signed.expires_at,
            guest_token: None,
        })
    }
}
