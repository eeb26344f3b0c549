//! People in a room without an account, let in by a link for a limited time.

use super::Result;
use aura_types::{RoomId, UserId};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// System role: the invitation is the permission.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    owner: Uuid,
    room: RoomId,
    guest: UserId,
    name: &str,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO room_guests (owner_id, room_id, guest_id, display_name, joined_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(owner)
    .bind(room.uuid())
    .bind(guest.uuid())
    .bind(name)
    .bind(now)
    .bind(expires_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// The guest's name. Read by the guest (or the owner).
pub(crate) async fn name(tx: &mut PgConnection, room: RoomId, guest: UserId) -> Result<Option<String>> {
    let row: Option<(String,)> =
        sqlx::query_as("SELECT display_name FROM room_guests WHERE room_id = $1 AND guest_id = $2")
            .bind(room.uuid())
            .bind(guest.uuid())
            .fetch_optional(tx)
            .await?;
    Ok(row.map(|(name,)| name))
}
