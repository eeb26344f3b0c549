//! SFU rooms that must end: the outbox between a committed change here and the SFU.

use super::Result;
use aura_types::UserId;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// Asks for the end of an SFU room, in the transaction of the change that ends it.
pub(crate) async fn request(
    tx: &mut PgConnection,
    livekit_room: &str,
    by: UserId,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO room_deletions (livekit_room, requested_by, requested_at) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING",
    )
    .bind(livekit_room)
    .bind(by.uuid())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// System role.
pub(crate) async fn open(tx: &mut PgConnection, limit: i64) -> Result<Vec<String>> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "SELECT livekit_room FROM room_deletions WHERE done_at IS NULL ORDER BY requested_at LIMIT $1",
    )
    .bind(limit)
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|(room,)| room).collect())
}

/// System role.
pub(crate) async fn mark_done(tx: &mut PgConnection, livekit_room: &str, now: OffsetDateTime) -> Result<()> {
    sqlx::query("UPDATE room_deletions SET done_at = $2 WHERE livekit_room = $1")
        .bind(livekit_room)
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

/// Somebody entered a room with this name: reopens its deletion, if it has a tombstone. System role.
pub(crate) async fn reopen(tx: &mut PgConnection, livekit_room: &str) -> Result<bool> {
    let done = sqlx::query("UPDATE room_deletions SET done_at = NULL WHERE livekit_room = $1")
        .bind(livekit_room)
        .execute(tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Forgets tombstones older than any join token. System role.
pub(crate) async fn delete_old(tx: &mut PgConnection, before: OffsetDateTime) -> Result<u64> {
    let done = sqlx::query("DELETE FROM room_deletions WHERE done_at < $1").bind(before).execute(tx).await?;
    Ok(done.rows_affected())
}
