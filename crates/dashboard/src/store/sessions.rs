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
    /// What its successor was made with, once used.
    pub(crate) successor_seed: Option<Vec<u8>>,
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

/// Reads a token and locks it and its family: of two uses at the same time one comes second. The family first (the inner
/// query is done before the outer one locks), so that whoever goes from a token to its successor waits for nobody who
/// holds that one.
pub(crate) async fn lock_token(tx: &mut PgConnection, token_hash: &[u8; 32]) -> Result<Option<TokenRow>> {
    Ok(sqlx::query_as(
        "WITH f AS MATERIALIZED (
             SELECT user_id, id, expires_at, revoked_at FROM refresh_families
             WHERE (user_id, id) = (SELECT user_id, family_id FROM refresh_tokens WHERE token_hash = $1)
             FOR UPDATE)
         SELECT t.user_id, t.family_id, t.expires_at, t.used_at, t.successor_seed,
                f.expires_at AS family_expires_at, f.revoked_at
         FROM f JOIN refresh_tokens t ON t.user_id = f.user_id AND t.family_id = f.id
         WHERE t.token_hash = $1 FOR UPDATE OF t",
    )
    .bind(&token_hash[..])
    .fetch_optional(tx)
    .await?)
}

pub(crate) async fn mark_used(
    tx: &mut PgConnection,
    token_hash: &[u8; 32],
    successor_seed: &[u8; 32],
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query("UPDATE refresh_tokens SET used_at = $2, successor_seed = $3 WHERE token_hash = $1")
        .bind(&token_hash[..])
        .bind(now)
        .bind(&successor_seed[..])
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

/// Which of these logins are over.
pub(crate) async fn ended_among(
    tx: &mut PgConnection,
    logins: &[(UserId, SessionId)],
    now: OffsetDateTime,
) -> Result<Vec<(UserId, SessionId)>> {
    let (users, families): (Vec<_>, Vec<_>) =
        logins.iter().map(|(user, family)| (user.uuid(), family.uuid())).unzip();
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT l.user_id, l.id FROM unnest($1::uuid[], $2::uuid[]) AS l (user_id, id)
         LEFT JOIN refresh_families f ON f.user_id = l.user_id AND f.id = l.id
         WHERE f.id IS NULL OR f.revoked_at IS NOT NULL OR f.expires_at <= $3",
    )
    .bind(users)
    .bind(families)
    .bind(now)
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|(user, id)| (UserId::from_uuid(user), SessionId::from_uuid(id))).collect())
}
