//! Invitations.

use crate::store::invites::InviteRow;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A link into a room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Invite {
    pub(crate) id: Uuid,
    /// Only in the reply to its creation.
    #[schema(required = true)]
    pub(crate) url: Option<String>,
    /// Only in the reply to its creation; stored as a hash.
    #[schema(required = true)]
    pub(crate) token: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub(crate) expires_at: Option<OffsetDateTime>,
    #[schema(required = true)]
    pub(crate) max_uses: Option<i32>,
    pub(crate) uses: i32,
    pub(crate) revoked: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
}

impl Invite {
    /// As it is listed: without the secret.
    pub(crate) fn listed(row: InviteRow) -> Self {
        Self {
            id: row.id,
            url: None,
            token: None,
            expires_at: row.expires_at,
            max_uses: row.max_uses,
            uses: row.uses,
            revoked: row.revoked_at.is_some(),
            created_at: row.created_at,
        }
    }

    /// As its creator sees it, once.
    pub(crate) fn created(row: InviteRow, token: String, url: String) -> Self {
        Self { url: Some(url), token: Some(token), ..Self::listed(row) }
    }
}

/// What an invitation shows before it is taken up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitePreview {
    pub(crate) room_name: String,
    pub(crate) host_name: String,
    pub(crate) guests_allowed: bool,
}
