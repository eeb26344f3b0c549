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

/// How often an SFU room was asked to end: grows when somebody brings it back. System role.
pub(crate) async fn generation(tx: &mut PgConnection, livekit_room: &str) -> Result<Option<i32>> {
    let row: Option<(i32,)> = sqlx::query_as("SELECT generation FROM room_deletions WHERE livekit_room = $1")
        .bind(livekit_room)
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|(generation,)| generation))
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

/// The room of this generation is gone. False when it was reopened since: then it stays to be ended. System role.
pub(crate) async fn mark_done(
    tx: &mut PgConnection,
    livekit_room: &str,
    generation: i32,
    now: OffsetDateTime,
) -> Result<bool> {
    let done =
        sqlx::query("UPDATE room_deletions SET done_at = $3 WHERE livekit_room = $1 AND generation = $2")
            .bind(livekit_room)
            .bind(generation)
            .bind(now)
            .execute(tx)
            .await?;
    Ok(done.rows_affected() > 0)
}

/// Rooms of these names are live: reopens the deletion of each that has a tombstone, and says how many. Also while
/// the deletion is open: one that is being carried out may have come too early. System role.
pub(crate) async fn reopen(tx: &mut PgConnection, livekit_rooms: &[String]) -> Result<u64> {
    let done = sqlx::query(
        "UPDATE room_deletions SET done_at = NULL, generation = generation + 1 WHERE livekit_room = ANY($1)",
    )
    .bind(livekit_rooms)
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}
