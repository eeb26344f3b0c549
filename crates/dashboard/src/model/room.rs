//! Rooms.

use super::{Person, Role};
use crate::store::rooms::RoomRow;
use aura_types::UserId;
use serde::Serialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// What the SFU says about a room right now.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Live {
    pub(crate) participants: u32,
}

/// A room that exists whether or not anybody is in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Room {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    #[schema(required = true)]
    pub(crate) description: Option<String>,
    pub(crate) owner: Person,
    pub(crate) my_role: Role,
    /// Whether an invitation lets people in without an account.
    pub(crate) guests_allowed: bool,
    #[schema(required = true)]
    pub(crate) max_participants: Option<i32>,
    #[schema(required = true)]
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
    /// Null while the media server is away: unknown, not empty.
    #[schema(required = true)]
    pub(crate) live: Option<Live>,
}

impl Room {
    pub(crate) fn new(row: RoomRow, asking: UserId, live: Option<Live>) -> Self {
        Self {
            id: row.id,
            my_role: if row.is_owned_by(asking) { Role::Owner } else { Role::Member },
            name: row.name,
            description: row.description,
            owner: row.owner.into(),
            guests_allowed: row.guests_allowed,
            max_participants: row.max_participants,
            metadata: row.metadata.and_then(|value| serde_json::from_value(value).ok()),
            created_at: row.created_at,
            updated_at: row.updated_at,
            live,
        }
    }
}
