//! Invitation links to rooms.

use super::Result;
use crate::engine::link::Limits;
use crate::engine::page::{Cursor, Window};
use aura_types::{InviteId, RoomId, UserId};
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, FromRow)]
pub(crate) struct InviteRow {
    pub(crate) id: Uuid,
    pub(crate) expires_at: Option<OffsetDateTime>,
    pub(crate) max_uses: Option<i32>,
    pub(crate) uses: i32,
    pub(crate) revoked_at: Option<OffsetDateTime>,
    pub(crate) created_at: OffsetDateTime,
}

impl InviteRow {
    pub(crate) fn position(&self) -> Cursor {
        Cursor { created_at: self.created_at, id: self.id }
    }
}

/// An invitation as whoever holds its token sees it, locked for the transaction.
#[derive(Debug, FromRow)]
pub(crate) struct OpenInviteRow {
    #[sqlx(flatten)]
    pub(crate) invite: InviteRow,
    pub(crate) room_id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) room_name: String,
    pub(crate) host_name: String,
    pub(crate) guests_allowed: bool,
}

impl OpenInviteRow {
    pub(crate) fn is_usable(&self, now: OffsetDateTime) -> bool {
        let limits = Limits { expires_at: self.invite.expires_at, max_uses: self.invite.max_uses };
        limits.usable(self.invite.uses, self.invite.revoked_at.is_some(), now)
    }
}

pub(crate) async fn insert(
    tx: &mut PgConnection,
    id: InviteId,
    owner: UserId,
    room: RoomId,
    token_hash: &[u8; 32],
    limits: Limits,
    now: OffsetDateTime,
) -> Result<InviteRow> {
    Ok(sqlx::query_as(
        "INSERT INTO room_invites (id, owner_id, room_id, token_hash, expires_at, max_uses, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         RETURNING id, expires_at, max_uses, uses, revoked_at, created_at",
    )
    .bind(id.uuid())
    .bind(owner.uuid())
    .bind(room.uuid())
    .bind(&token_hash[..])
    .bind(limits.expires_at)
    .bind(limits.max_uses)
    .bind(now)
    .fetch_one(tx)
    .await?)
}

pub(crate) async fn list(
    tx: &mut PgConnection,
    owner: UserId,
    room: RoomId,
    window: &Window,
) -> Result<Vec<InviteRow>> {
    Ok(sqlx::query_as(
        "SELECT id, expires_at, max_uses, uses, revoked_at, created_at FROM room_invites
         WHERE owner_id = $1 AND room_id = $2 AND (created_at, id) < ($3, $4)
         ORDER BY created_at DESC, id DESC LIMIT $5",
    )
    .bind(owner.uuid())
    .bind(room.uuid())
    .bind(window.after.created_at)
    .bind(window.after.id)
    .bind(window.fetch())
    .fetch_all(tx)
    .await?)
}

/// False when the room has no such invitation.
pub(crate) async fn revoke(
    tx: &mut PgConnection,
    owner: UserId,
    room: RoomId,
    id: InviteId,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE room_invites SET revoked_at = COALESCE(revoked_at, $4)
         WHERE owner_id = $1 AND room_id = $2 AND id = $3",
    )
    .bind(owner.uuid())
    .bind(room.uuid())
    .bind(id.uuid())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Stops every link into the room. Done by the owner.
pub(crate) async fn revoke_all(
    tx: &mut PgConnection,
    owner: UserId,
    room: RoomId,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query(
        "UPDATE room_invites SET revoked_at = $3
         WHERE owner_id = $1 AND room_id = $2 AND revoked_at IS NULL",
    )
    .bind(owner.uuid())
    .bind(room.uuid())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Looks an invitation up by its token and locks it: counted uses cannot overtake each other. System role.
pub(crate) async fn lock(tx: &mut PgConnection, token_hash: &[u8; 32]) -> Result<Option<OpenInviteRow>> {
    Ok(sqlx::query_as(
        "SELECT i.id, i.expires_at, i.max_uses, i.uses, i.revoked_at, i.created_at, i.room_id, i.owner_id,
                r.name AS room_name, p.display_name AS host_name, r.guests_allowed
         FROM room_invites i
         JOIN rooms r ON r.owner_id = i.owner_id AND r.id = i.room_id
         JOIN aura_id_registry p ON p.user_id = i.owner_id
         WHERE i.token_hash = $1 FOR UPDATE OF i",
    )
    .bind(&token_hash[..])
    .fetch_optional(tx)
    .await?)
}

/// System role, on a locked row.
pub(crate) async fn count_use(tx: &mut PgConnection, open: &OpenInviteRow) -> Result<()> {
    sqlx::query("UPDATE room_invites SET uses = uses + 1 WHERE owner_id = $1 AND room_id = $2 AND id = $3")
        .bind(open.owner_id)
        .bind(open.room_id)
        .bind(open.invite.id)
        .execute(tx)
        .await?;
    Ok(())
}
