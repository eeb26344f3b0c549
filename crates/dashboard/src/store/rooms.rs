//! Rooms and who belongs to them. Who asks decides what exists: row-level security hides the rest.

use super::Result;
use super::people::PersonRow;
use crate::engine::page::{Cursor, Window};
use aura_types::{RoomId, UserId};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, FromRow)]
pub(crate) struct RoomRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) guests_allowed: bool,
    pub(crate) max_participants: Option<i32>,
    pub(crate) metadata: Option<Value>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    #[sqlx(flatten)]
    pub(crate) owner: PersonRow,
}

impl RoomRow {
    pub(crate) fn position(&self) -> Cursor {
        Cursor { created_at: self.created_at, id: self.id }
    }

    pub(crate) fn is_owned_by(&self, user: UserId) -> bool {
        self.owner.user_id == user.uuid()
    }
}

/// Values a room is created or changed with; None leaves a field as it is.
#[derive(Debug, Default)]
pub(crate) struct RoomChange {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<Option<String>>,
    pub(crate) guests_allowed: Option<bool>,
    pub(crate) max_participants: Option<Option<i32>>,
    pub(crate) metadata: Option<Option<Value>>,
}

pub(crate) async fn insert(
    tx: &mut PgConnection,
    id: RoomId,
    owner: UserId,
    room: &RoomChange,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO rooms (id, owner_id, name, description, guests_allowed, max_participants, metadata,
                            created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
    )
    .bind(id.uuid())
    .bind(owner.uuid())
    .bind(&room.name)
    .bind(room.description.as_ref().and_then(Option::as_ref))
    .bind(room.guests_allowed.unwrap_or(true))
    .bind(room.max_participants.flatten())
    .bind(room.metadata.as_ref().and_then(Option::as_ref))
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn find(tx: &mut PgConnection, id: RoomId) -> Result<Option<RoomRow>> {
    Ok(sqlx::query_as(
        "SELECT r.id, r.name, r.description, r.guests_allowed, r.max_participants, r.metadata, r.created_at,
                r.updated_at, p.user_id, p.display_name, p.aura_id
         FROM rooms r JOIN aura_id_registry p ON p.user_id = r.owner_id WHERE r.id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(tx)
    .await?)
}

/// Rooms the user owns or belongs to, newest first. Says so itself instead of leaving it to row-level security, which
/// would look at every room there is.
pub(crate) async fn list(tx: &mut PgConnection, user: UserId, window: &Window) -> Result<Vec<RoomRow>> {
    Ok(sqlx::query_as(
        "SELECT r.id, r.name, r.description, r.guests_allowed, r.max_participants, r.metadata, r.created_at,
                r.updated_at, p.user_id, p.display_name, p.aura_id
         FROM ((SELECT * FROM rooms WHERE owner_id = $1 AND (created_at, id) < ($2, $3)
                ORDER BY created_at DESC, id DESC LIMIT $4)
               UNION ALL
               (SELECT r.* FROM room_members m JOIN rooms r ON r.owner_id = m.owner_id AND r.id = m.room_id
                WHERE m.user_id = $1 AND m.owner_id <> $1 AND (r.created_at, r.id) < ($2, $3)
                ORDER BY r.created_at DESC, r.id DESC LIMIT $4)) r
         JOIN aura_id_registry p ON p.user_id = r.owner_id
         ORDER BY r.created_at DESC, r.id DESC LIMIT $4",
    )
    .bind(user.uuid())
    .bind(window.after.created_at)
    .bind(window.after.id)
    .bind(window.fetch())
    .fetch_all(tx)
    .await?)
}

/// False when the room is not the caller's to change.
pub(crate) async fn update(
    tx: &mut PgConnection,
    id: RoomId,
    change: &RoomChange,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE rooms SET
             name = COALESCE($2, name),
             description = CASE WHEN $3 THEN $4 ELSE description END,
             guests_allowed = COALESCE($5, guests_allowed),
             max_participants = CASE WHEN $6 THEN $7 ELSE max_participants END,
             metadata = CASE WHEN $8 THEN $9 ELSE metadata END,
             updated_at = $10
         WHERE id = $1",
    )
    .bind(id.uuid())
    .bind(&change.name)
    .bind(change.description.is_some())
    .bind(change.description.as_ref().and_then(Option::as_ref))
    .bind(change.guests_allowed)
    .bind(change.max_participants.is_some())
    .bind(change.max_participants.flatten())
    .bind(change.metadata.is_some())
    .bind(change.metadata.as_ref().and_then(Option::as_ref))
    .bind(now)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Deletes the room with everything below it. False when it is not the caller's to delete.
pub(crate) async fn delete(tx: &mut PgConnection, id: RoomId) -> Result<bool> {
    let done = sqlx::query("DELETE FROM rooms WHERE id = $1").bind(id.uuid()).execute(tx).await?;
    Ok(done.rows_affected() > 0)
}

/// Makes a user a member; false when they are already. System role: the invitation is the permission.
pub(crate) async fn add_member(
    tx: &mut PgConnection,
    owner: Uuid,
    room: RoomId,
    user: UserId,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO room_members (owner_id, room_id, user_id, joined_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
    )
    .bind(owner)
    .bind(room.uuid())
    .bind(user.uuid())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Whether somebody is a member, removed or not. Seen by the owner and themselves.
pub(crate) async fn is_member(tx: &mut PgConnection, room: RoomId, user: UserId) -> Result<bool> {
    let row: Option<(i32,)> =
        sqlx::query_as("SELECT 1 FROM room_members WHERE room_id = $1 AND user_id = $2")
            .bind(room.uuid())
            .bind(user.uuid())
            .fetch_optional(tx)
            .await?;
    Ok(row.is_some())
}

/// Who hears about the room: owner and members who were not removed. System role.
pub(crate) async fn audience(tx: &mut PgConnection, room: RoomId) -> Result<Vec<Uuid>> {
    let rows: Vec<(Uuid,)> = sqlx::query_as(
        "SELECT owner_id FROM rooms WHERE id = $1
         UNION SELECT m.user_id FROM rooms r JOIN room_members m ON m.owner_id = r.owner_id AND m.room_id = r.id
               WHERE r.id = $1 AND NOT EXISTS (
                   SELECT 1 FROM room_removals x WHERE x.owner_id = r.owner_id AND x.room_id = r.id
                          AND x.person_id = m.user_id)",
    )
    .bind(room.uuid())
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
