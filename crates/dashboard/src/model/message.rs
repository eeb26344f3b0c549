//! Chat messages.

use crate::store::messages::MessageRow;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A chat message of a room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Message {
    pub(crate) id: Uuid,
    /// The sender's participant identity.
    pub(crate) sender_identity: String,
    pub(crate) sender_name: String,
    /// Plain text; never markup.
    pub(crate) text: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
}

impl From<MessageRow> for Message {
    fn from(row: MessageRow) -> Self {
        Self {
            id: row.id,
            sender_identity: row.sender_identity,
            sender_name: row.sender_name,
            text: row.text,
            created_at: row.created_at,
        }
    }
}
