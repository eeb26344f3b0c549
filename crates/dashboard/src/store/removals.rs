//! People an owner sent away from a room, until they are let back in.

use super::Result;
use aura_types::{RoomId, UserId};
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

/// Newest removals an owner is shown.
const SHOWN: i64 = 1_000;

#[derive(Debug, Clone, FromRow)]
pub(crate) struct RemovalRow {
    pub(crate) identity: String,
    pub(crate) display_name: String,
    pub(crate) removed_at: OffsetDateTime,
}

/// Somebody as a room's owner knows them.
#[derive(Debug, Clone)]
pub(crate) struct Removed<'a> {
    pub(crate) identity: &'a str,
    /// The account or guest behind the identity.
    pub(crate) person: Option<UserId>,
    pub(crate) name: &'a str,
}

/// Done by the owner; doing it again moves the time, so that tokens issued since are refused too.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    owner: UserId,
    room: RoomId,
    removed: &Removed<'_>,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query("DELETE FROM room_removals WHERE room_id = $1 AND identity = $2")
        .bind(room.uuid())
        .bind(removed.identity)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "INSERT INTO room_removals (owner_id, room_id, identity, person_id, display_name, removed_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind(owner.uuid())
    .bind(room.uuid())
    .bind(removed.identity)
    .bind(removed.person.map(|person| person.uuid()))
    .bind(removed.name)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Newest first. Seen by the owner.
pub(crate) async fn list(tx: &mut PgConnection, room: RoomId) -> Result<Vec<RemovalRow>> {
    Ok(sqlx::query_as(
        "SELECT identity, display_name, removed_at FROM room_removals WHERE room_id = $1
         ORDER BY removed_at DESC, identity LIMIT $2",
    )
    .bind(room.uuid())
    .bind(SHOWN)
    .fetch_all(tx)
    .await?)
}

/// Lets somebody back in; false when they are not removed. Done by the owner.
pub(crate) async fn delete(tx: &mut PgConnection, room: RoomId, identity: &str) -> Result<bool> {
    let done = sqlx::query("DELETE FROM room_removals WHERE room_id = $1 AND identity = $2")
        .bind(room.uuid())
        .bind(identity)
        .execute(tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Whether somebody is removed. Seen by themselves, the owner and the system role.
pub(crate) async fn is_removed(tx: &mut PgConnection, room: RoomId, identity: &str) -> Result<bool> {
    let row: Option<(i32,)> =
        sqlx::query_as("SELECT 1 FROM room_removals WHERE room_id = $1 AND identity = $2 LIMIT 1")
            .bind(room.uuid())
            .bind(identity)
            .fetch_optional(tx)
            .await?;
    Ok(row.is_some())
}

/// Which of these are removed from the room. System role.
pub(crate) async fn among(tx: &mut PgConnection, room: RoomId, identities: &[String]) -> Result<Vec<String>> {
    let rows: Vec<(String,)> =
        sqlx::query_as("SELECT identity FROM room_removals WHERE room_id = $1 AND identity = ANY($2)")
            .bind(room.uuid())
            .bind(identities)
            .fetch_all(tx)
            .await?;
    Ok(rows.into_iter().map(|(identity,)| identity).collect())
}

/// Who was removed since then, by room. System role.
pub(crate) async fn since(tx: &mut PgConnection, then: OffsetDateTime) -> Result<Vec<(Uuid, String)>> {
    Ok(sqlx::query_as(
        "SELECT room_id, identity FROM room_removals WHERE removed_at > $1 ORDER BY room_id, identity",
    )
    .bind(then)
    .fetch_all(tx)
    .await?)
}
