//! People as others see them: the public directory behind names, contacts and calls.

use super::Result;
use crate::engine::text::{Email, SearchTerm};
use aura_types::UserId;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct PersonRow {
    pub(crate) user_id: Uuid,
    pub(crate) display_name: String,
    pub(crate) aura_id: String,
}

pub(crate) async fn find(tx: &mut PgConnection, id: UserId) -> Result<Option<PersonRow>> {
    Ok(sqlx::query_as("SELECT user_id, display_name, aura_id FROM aura_id_registry WHERE user_id = $1")
        .bind(id.uuid())
        .fetch_optional(tx)
        .await?)
}

pub(crate) async fn find_by_aura_id(tx: &mut PgConnection, aura_id: &str) -> Result<Option<PersonRow>> {
    Ok(sqlx::query_as("SELECT user_id, display_name, aura_id FROM aura_id_registry WHERE aura_id = $1")
        .bind(aura_id)
        .fetch_optional(tx)
        .await?)
}

/// People whose name starts with the term or whose AuraID it is, without the one who asks.
pub(crate) async fn search(
    tx: &mut PgConnection,
    asking: UserId,
    term: &SearchTerm,
    limit: i64,
) -> Result<Vec<PersonRow>> {
    let (from, to) = term.name_range();
    Ok(sqlx::query_as(
        "SELECT user_id, display_name, aura_id FROM aura_id_registry
         WHERE ((display_name_key >= $1 AND display_name_key < $2) OR aura_id = $3) AND user_id <> $4
         ORDER BY display_name_key, aura_id LIMIT $5",
    )
    .bind(from)
    .bind(to)
    .bind(term.aura_id())
    .bind(asking.uuid())
    .bind(limit)
    .fetch_all(tx)
    .await?)
}

/// The person with exactly this address, if they can be found at all. System role: addresses are not public.
pub(crate) async fn find_by_email(tx: &mut PgConnection, email: &Email) -> Result<Option<PersonRow>> {
    Ok(sqlx::query_as(
        "SELECT r.user_id, r.display_name, r.aura_id
         FROM users u JOIN aura_id_registry r ON r.user_id = u.id
         WHERE u.email_key = $1 AND r.privacy = 'public'",
    )
    .bind(email.key())
    .fetch_optional(tx)
    .await?)
}
