//! Rows of uploaded files. The bytes are `crate::files`' business.

use super::Result;
use crate::engine::page::{Cursor, Window};
use crate::engine::quota::{LEAST_BYTES, Usage};
use aura_types::{FileId, RoomId, UserId};
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

/// "FILE" as the first half of an advisory lock's key; the owner is the second.
const USAGE_LOCKS: i32 = 0x4649_4c45;

#[derive(Debug, Clone, FromRow)]
pub(crate) struct FileRow {
    pub(crate) id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) room_id: Option<Uuid>,
    pub(crate) uploader_id: Uuid,
    pub(crate) uploader_name: String,
    pub(crate) name: String,
    pub(crate) size_bytes: i64,
    pub(crate) content_type: String,
    pub(crate) sha256: Vec<u8>,
    pub(crate) storage_key: String,
    pub(crate) created_at: OffsetDateTime,
}

impl FileRow {
    pub(crate) fn position(&self) -> Cursor {
        Cursor { created_at: self.created_at, id: self.id }
    }

    /// Whether this user may delete the file and hand it out: the uploader and the room's owner may.
    pub(crate) fn is_managed_by(&self, user: UserId) -> bool {
        [self.owner_id, self.uploader_id].contains(&user.uuid())
    }
}

pub(crate) async fn insert(tx: &mut PgConnection, file: &FileRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO files (id, owner_id, room_id, uploader_id, uploader_name, name, size_bytes, content_type,
                            sha256, storage_key, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(file.id)
    .bind(file.owner_id)
    .bind(file.room_id)
    .bind(file.uploader_id)
    .bind(&file.uploader_name)
    .bind(&file.name)
    .bind(file.size_bytes)
    .bind(&file.content_type)
    .bind(&file.sha256)
    .bind(&file.storage_key)
    .bind(file.created_at)
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn find(tx: &mut PgConnection, id: FileId) -> Result<Option<FileRow>> {
    Ok(sqlx::query_as("SELECT * FROM files WHERE id = $1").bind(id.uuid()).fetch_optional(tx).await?)
}

pub(crate) async fn list_room(tx: &mut PgConnection, room: RoomId, window: &Window) -> Result<Vec<FileRow>> {
    Ok(sqlx::query_as(
        "SELECT * FROM files WHERE room_id = $1 AND (created_at, id) < ($2, $3)
         ORDER BY created_at DESC, id DESC LIMIT $4",
    )
    .bind(room.uuid())
    .bind(window.after.created_at)
    .bind(window.after.id)
    .bind(window.fetch())
    .fetch_all(tx)
    .await?)
}

/// What the user uploaded for themselves, or also into rooms.
pub(crate) async fn list_uploaded(
    tx: &mut PgConnection,
    user: UserId,
    in_rooms: bool,
    window: &Window,
) -> Result<Vec<FileRow>> {
    Ok(sqlx::query_as(
        "SELECT * FROM files WHERE uploader_id = $1 AND (created_at, id) < ($2, $3) AND ($5 OR room_id IS NULL)
         ORDER BY created_at DESC, id DESC LIMIT $4",
    )
    .bind(user.uuid())
    .bind(window.after.created_at)
    .bind(window.after.id)
    .bind(window.fetch())
    .bind(in_rooms)
    .fetch_all(tx)
    .await?)
}

/// Uploads that count for one owner take turns until this transaction ends: of two that fit alone but not together,
/// one comes second. System role.
pub(crate) async fn lock_usage(tx: &mut PgConnection, owner: UserId) -> Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))")
        .bind(USAGE_LOCKS)
        .bind(owner.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

/// What an owner stores, and what one of their rooms does. System role: who uploads does not see all of it.
pub(crate) async fn usage(tx: &mut PgConnection, owner: UserId, room: Option<RoomId>) -> Result<Usage> {
    let (all, in_room): (i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(greatest(size_bytes, $3)), 0)::bigint,
                coalesce(sum(greatest(size_bytes, $3)) FILTER (WHERE room_id = $2), 0)::bigint
         FROM files WHERE owner_id = $1",
    )
    .bind(owner.uuid())
    .bind(room.map(RoomId::uuid))
    .bind(LEAST_BYTES)
    .fetch_one(tx)
    .await?;
    let bytes = |sum: i64| u64::try_from(sum).unwrap_or_default();
    Ok(Usage { owner_bytes: bytes(all), room_bytes: room.map(|_| bytes(in_room)) })
}

/// Storage keys of a room's files, to remove the bytes once the room is gone.
pub(crate) async fn storage_keys_of_room(tx: &mut PgConnection, room: RoomId) -> Result<Vec<String>> {
    let rows: Vec<(String,)> = sqlx::query_as("SELECT storage_key FROM files WHERE room_id = $1")
        .bind(room.uuid())
        .fetch_all(tx)
        .await?;
    Ok(rows.into_iter().map(|(key,)| key).collect())
}

pub(crate) async fn delete(tx: &mut PgConnection, id: FileId) -> Result<bool> {
    let done = sqlx::query("DELETE FROM files WHERE id = $1").bind(id.uuid()).execute(tx).await?;
    Ok(done.rows_affected() > 0)
}

/// Which of these keys some row still names. System role.
pub(crate) async fn known_keys(tx: &mut PgConnection, keys: &[String]) -> Result<Vec<String>> {
    let rows: Vec<(String,)> = sqlx::query_as("SELECT storage_key FROM files WHERE storage_key = ANY($1)")
        .bind(keys)
        .fetch_all(tx)
        .await?;
    Ok(rows.into_iter().map(|(key,)| key).collect())
}
