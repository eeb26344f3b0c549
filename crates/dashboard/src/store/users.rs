//! Accounts: `users` with their AuraID and preferences.

use super::Result;
use crate::engine::text::{DisplayName, Email};
use aura_types::UserId;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

/// A user as they see themselves.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct UserRow {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) aura_id: String,
    pub(crate) created_at: OffsetDateTime,
}

/// What a login needs to decide.
#[derive(Debug, FromRow)]
pub(crate) struct CredentialRow {
    #[sqlx(flatten)]
    pub(crate) user: UserRow,
    pub(crate) password_hash: String,
}

/// Inserts the account under the proposed AuraID; None when that one is taken. System role.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    id: UserId,
    email: &Email,
    name: &DisplayName,
    password_hash: &str,
    aura_id: &str,
    now: OffsetDateTime,
) -> Result<Option<UserRow>> {
    let user: Option<UserRow> = sqlx::query_as(
        "INSERT INTO users (id, email, password_hash, display_name, aura_id, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT (aura_id) DO NOTHING
         RETURNING id, email, display_name, aura_id, created_at",
    )
    .bind(id.uuid())
    .bind(email.as_str())
    .bind(password_hash)
    .bind(name.as_str())
    .bind(aura_id)
    .bind(now)
    .fetch_optional(&mut *tx)
    .await?;
    if user.is_some() {
        sqlx::query(
            "WITH registered AS (
                 INSERT INTO aura_id_registry (aura_id, user_id, display_name, created_at) VALUES ($1, $2, $3, $4))
             INSERT INTO notification_preferences (user_id, updated_at) VALUES ($2, $4)",
        )
        .bind(aura_id)
        .bind(id.uuid())
        .bind(name.as_str())
        .bind(now)
        .execute(&mut *tx)
        .await?;
    }
    Ok(user)
}

/// System role.
pub(crate) async fn credentials(tx: &mut PgConnection, email: &Email) -> Result<Option<CredentialRow>> {
    Ok(sqlx::query_as(
        "SELECT id, email, display_name, aura_id, created_at, password_hash FROM users WHERE email_key = $1",
    )
    .bind(email.key())
    .fetch_optional(tx)
    .await?)
}

/// System role.
pub(crate) async fn replace_password_hash(
    tx: &mut PgConnection,
    id: Uuid,
    old: &str,
    new: &str,
    now: OffsetDateTime,
) -> Result<()> {
    // Only over the hash that was verified: a password changed meanwhile stays changed.
    sqlx::query("UPDATE users SET password_hash = $3, updated_at = $4 WHERE id = $1 AND password_hash = $2")
        .bind(id)
        .bind(old)
        .bind(new)
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

pub(crate) async fn find(tx: &mut PgConnection, id: UserId) -> Result<Option<UserRow>> {
    Ok(sqlx::query_as("SELECT id, email, display_name, aura_id, created_at FROM users WHERE id = $1")
        .bind(id.uuid())
        .fetch_optional(tx)
        .await?)
}

/// Renames; the registry's copy follows by foreign key.
pub(crate) async fn rename(
    tx: &mut PgConnection,
    id: UserId,
    name: &DisplayName,
    now: OffsetDateTime,
) -> Result<Option<UserRow>> {
    Ok(sqlx::query_as(
        "UPDATE users SET display_name = $2, updated_at = $3 WHERE id = $1
         RETURNING id, email, display_name, aura_id, created_at",
    )
    .bind(id.uuid())
    .bind(name.as_str())
    .bind(now)
    .fetch_optional(tx)
    .await?)
}

/// How long a person wants their phone to ring; None leaves it to the service. System role.
pub(crate) async fn ring_timeout_s(tx: &mut PgConnection, id: UserId) -> Result<Option<i32>> {
    let row: Option<(Option<i32>,)> =
        sqlx::query_as("SELECT ring_timeout_s FROM notification_preferences WHERE user_id = $1")
            .bind(id.uuid())
            .fetch_optional(tx)
            .await?;
    Ok(row.and_then(|(seconds,)| seconds))
}
