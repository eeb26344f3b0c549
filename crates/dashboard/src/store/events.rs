//! Ids of bus events already applied. System role.

use super::Result;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// True the first time an event is seen; recorded with the change it causes, in one transaction.
pub(crate) async fn claim(
    tx: &mut PgConnection,
    id: &str,
    event_type: &str,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query(
        "INSERT INTO processed_events (event_id, event_type, processed_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(event_type)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}
