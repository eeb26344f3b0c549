//! Refresh tokens and their families. System role throughout.

use super::Result;
use aura_types::{SessionId, UserId};
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

/// A presented refresh token with the state of its family, locked for the transaction.
#[derive(Debug, FromRow)]
pub(crate) struct TokenRow {
    pub(crate) user_id: Uuid,
    pub(crate) family_id: Uuid,
    pub(crate) expires_at: OffsetDateTime,
    pub(crate) used_at: Option<OffsetDateTime>,
    pub(crate) family_expires_at: OffsetDateTime,
    pub(crate) revoked_at: Option<OffsetDateTime>,
}

pub(crate) async fn open_family(
    tx: &mut PgConnection,
    user: UserId,
    family: SessionId,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<()> {
    sqlx::query("INSERT INTO refresh_families (user_id, id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(user.uuid())
        .bind(family.uuid())
        .bind(now)
        .bind(expires_at)
        .execute(tx)
        .await?;
    Ok(())
}

pub(crate) async fn insert_token(
    tx: &mut PgConnection,
    token_hash: &[u8; 32],
    user: UserId,
    family: SessionId,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO refresh_tokens (token_hash, user_id, family_id, issued_at, expires_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&token_hash[..])
    .bind(user.uuid())
    .bind(family.uuid())
    .bind(now)
    .bind(expires_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// Reads a token and locks it and its family: of two uses at the same time one comes second, and is reuse.
pub(crate) async fn lock_token(tx: &mut PgConnection, token_hash: &[u8; 32]) -> Result<Option<TokenRow>> {
    Ok(sqlx::query_as(
        "SELECT t.user_id, t.family_id, t.expires_at, t.used_at, f.expires_at AS family_expires_at, f.revoked_at
         FROM refresh_tokens t JOIN refresh_families f ON f.user_id = t.user_id AND f.id = t.family_id
         WHERE t.token_hash = $1 FOR UPDATE",
    )
    .bind(&token_hash[..])
    .fetch_optional(tx)
    .await?)
}

pub(crate) async fn mark_used(
    tx: &mut PgConnection,
    token_hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query("UPDATE refresh_tokens SET used_at = $2 WHERE token_hash = $1")
        .bind(&token_hash[..])
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

/// `reason` is `logout` or `reuse`.
pub(crate) async fn revoke_family(
    tx: &mut PgConnection,
    user: Uuid,
    family: Uuid,
    reason: &str,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query(
        "UPDATE refresh_families SET revoked_at = $3, revoke_reason = $4
         WHERE user_id = $1 AND id = $2 AND revoked_at IS NULL",
    )
    .bind(user)
    .bind(family)
    .bind(now)
    .bind(reason)
    .execute(tx)
    .await?;
    Ok(())
}

/// Forgets families that can no longer be refreshed.
pub(crate) async fn delete_expired(tx: &mut PgConnection, before: OffsetDateTime) -> Result<u64> {
    let done =
        sqlx::query("DELETE FROM refresh_families WHERE expires_at < $1").bind(before).execute(tx).await?;
    Ok(done.rows_affected())
}
