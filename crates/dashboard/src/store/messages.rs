//! A room's chat history.

use super::Result;
use crate::engine::page::{Cursor, Window};
use aura_types::{MessageId, RoomId, UserId};
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, FromRow)]
pub(crate) struct MessageRow {
    pub(crate) id: Uuid,
    pub(crate) sender_id: Uuid,
    pub(crate) sender_identity: String,
    pub(crate) sender_name: String,
    pub(crate) text: String,
    pub(crate) created_at: OffsetDateTime,
}

impl MessageRow {
    pub(crate) fn position(&self) -> Cursor {
        Cursor { created_at: self.created_at, id: self.id }
    }
}

/// Who writes, as the room sees them.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) id: UserId,
    pub(crate) identity: String,
    pub(crate) name: String,
}

/// Stores a message once: a repeated id returns the row stored first, whoever sent it.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    owner: Uuid,
    room: RoomId,
    id: MessageId,
    sender: &Sender,
    text: &str,
    now: OffsetDateTime,
) -> Result<MessageRow> {
    let stored: Option<MessageRow> = sqlx::query_as(
        "INSERT INTO messages (owner_id, room_id, id, sender_id, sender_identity, sender_name, text, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (owner_id, room_id, id) DO NOTHING
         RETURNING id, sender_id, sender_identity, sender_name, text, created_at",
    )
    .bind(owner)
    .bind(room.uuid())
    .bind(id.uuid())
    .bind(sender.id.uuid())
    .bind(&sender.identity)
    .bind(&sender.name)
    .bind(text)
    .bind(now)
    .fetch_optional(&mut *tx)
    .await?;
    match stored {
        Some(row) => Ok(row),
        None => Ok(sqlx::query_as(
            "SELECT id, sender_id, sender_identity, sender_name, text, created_at FROM messages
                 WHERE owner_id = $1 AND room_id = $2 AND id = $3",
        )
        .bind(owner)
        .bind(room.uuid())
        .bind(id.uuid())
        .fetch_one(tx)
        .await?),
    }
}

/// A page of messages, newest first.
pub(crate) async fn list(tx: &mut PgConnection, room: RoomId, window: &Window) -> Result<Vec<MessageRow>> {
    Ok(sqlx::query_as(
        "SELECT id, sender_id, sender_identity, sender_name, text, created_at FROM messages
         WHERE room_id = $1 AND (created_at, id) < ($2, $3)
         ORDER BY created_at DESC, id DESC LIMIT $4",
    )
    .bind(room.uuid())
    .bind(window.after.created_at)
    .bind(window.after.id)
    .bind(window.fetch())
    .fetch_all(tx)
    .await?)
}
