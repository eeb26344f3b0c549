//! Rows of uploaded files. The bytes are `crate::files`' business.

use super::Result;
use crate::engine::page::{Cursor, Window};
use aura_types::{FileId, RoomId, UserId};
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

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

/// Everything the user uploaded, in rooms or outside.
pub(crate) async fn list_uploaded(
    tx: &mut PgConnection,
    user: UserId,
    window: &Window,
) -> Result<Vec<FileRow>> {
    Ok(sqlx::query_as(
        "SELECT * FROM files WHERE uploader_id = $1 AND (created_at, id) < ($2, $3)
         ORDER BY created_at DESC, id DESC LIMIT $4",
    )
    .bind(user.uuid())
    .bind(window.after.created_at)
    .bind(window.after.id)
    .bind(window.fetch())
    .fetch_all(tx)
    .await?)
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
