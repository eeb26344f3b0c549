//! A user's contact list.

use super::Result;
use super::people::PersonRow;
use crate::engine::page::{Cursor, Window};
use aura_types::UserId;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

#[derive(Debug, FromRow)]
pub(crate) struct ContactRow {
    #[sqlx(flatten)]
    pub(crate) person: PersonRow,
    pub(crate) created_at: OffsetDateTime,
}

impl ContactRow {
    pub(crate) fn position(&self) -> Cursor {
        Cursor { created_at: self.created_at, id: self.person.user_id }
    }
}

pub(crate) async fn list(tx: &mut PgConnection, owner: UserId, window: &Window) -> Result<Vec<ContactRow>> {
    Ok(sqlx::query_as(
        "SELECT r.user_id, r.display_name, r.aura_id, c.created_at
         FROM contacts c JOIN aura_id_registry r ON r.user_id = c.contact_id
         WHERE c.owner_id = $1 AND (c.created_at, c.contact_id) < ($2, $3)
         ORDER BY c.created_at DESC, c.contact_id DESC LIMIT $4",
    )
    .bind(owner.uuid())
    .bind(window.after.created_at)
    .bind(window.after.id)
    .bind(window.fetch())
    .fetch_all(tx)
    .await?)
}

/// Adding twice is adding once.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    owner: UserId,
    contact: UserId,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO contacts (owner_id, contact_id, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(owner.uuid())
    .bind(contact.uuid())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut PgConnection, owner: UserId, contact: UserId) -> Result<bool> {
    let done = sqlx::query("DELETE FROM contacts WHERE owner_id = $1 AND contact_id = $2")
        .bind(owner.uuid())
        .bind(contact.uuid())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() > 0)
}
