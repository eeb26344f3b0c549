//! Alert rows: opened when a rule fires, kept up to date while it holds, closed when it resolves.

use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Result;

/// One firing of one rule.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct AlertRow {
    pub(crate) user_id: Uuid,
    pub(crate) id: Uuid,
    pub(crate) rule: String,
    pub(crate) instance: String,
    pub(crate) value: f64,
    pub(crate) threshold: f64,
    pub(crate) started_at: OffsetDateTime,
    pub(crate) fired_at: OffsetDateTime,
    pub(crate) seen_at: OffsetDateTime,
    pub(crate) resolved_at: Option<OffsetDateTime>,
}

/// Writes the row as it is now. System role.
pub(crate) async fn put(tx: &mut PgConnection, alert: &AlertRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO aic_alerts (user_id, id, rule, instance, value, threshold, started_at, fired_at, seen_at,
                                 resolved_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (user_id, id) DO UPDATE SET
             value = excluded.value, seen_at = excluded.seen_at, resolved_at = excluded.resolved_at",
    )
    .bind(alert.user_id)
    .bind(alert.id)
    .bind(&alert.rule)
    .bind(&alert.instance)
    .bind(alert.value)
    .bind(alert.threshold)
    .bind(alert.started_at)
    .bind(alert.fired_at)
    .bind(alert.seen_at)
    .bind(alert.resolved_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// The tenant's last 100, newest first.
pub(crate) async fn list(tx: &mut PgConnection) -> Result<Vec<AlertRow>> {
    Ok(sqlx::query_as(
        "SELECT user_id, id, rule, instance, value, threshold, started_at, fired_at, seen_at, resolved_at
         FROM aic_alerts ORDER BY fired_at DESC, id DESC LIMIT 100",
    )
    .fetch_all(tx)
    .await?)
}
