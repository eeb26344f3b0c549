//! Partitions ahead, retention, and sessions nobody has heard of any more. System role.

use aura_store::Database;
use time::{Duration, OffsetDateTime};

use super::Result;

const DAYS_AHEAD: i32 = 8;
/// A session that has reported nothing for this long ended without saying so.
const LOST_AFTER: Duration = Duration::minutes(10);
/// An alert whose replica has not renewed it for this long is over, or nobody knows.
const STALE_AFTER: Duration = Duration::minutes(15);

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) partitions_made: i32,
    pub(crate) partitions_dropped: i32,
    pub(crate) sessions_lost: u64,
    pub(crate) sessions_forgotten: u64,
    pub(crate) alerts_closed: u64,
}

pub(crate) async fn run(db: &Database, now: OffsetDateTime, retention: Duration) -> Result<Done> {
    let mut tx = db.system().await?;
    let (partitions_made,): (i32,) = sqlx::query_as("SELECT ensure_metric_partitions($1, $2)")
        .bind(now.date())
        .bind(DAYS_AHEAD)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;

    let oldest = now - retention;
    let mut tx = db.system().await?;
    let (partitions_dropped,): (i32,) =
        sqlx::query_as("SELECT drop_metric_partitions($1)").bind(oldest.date()).fetch_one(&mut *tx).await?;
    let lost = sqlx::query(
        "UPDATE aic_sessions SET ended_at = last_seen_at, end_reason = 'lost'
         WHERE ended_at IS NULL AND last_seen_at < $1",
    )
    .bind(now - LOST_AFTER)
    .execute(&mut *tx)
    .await?;
    let forgotten = sqlx::query("DELETE FROM aic_sessions WHERE started_at < $1 AND ended_at IS NOT NULL")
        .bind(oldest)
        .execute(&mut *tx)
        .await?;
    let closed =
        sqlx::query("UPDATE aic_alerts SET resolved_at = seen_at WHERE resolved_at IS NULL AND seen_at < $1")
            .bind(now - STALE_AFTER)
            .execute(&mut *tx)
            .await?;
    for sql in
        ["DELETE FROM aic_alerts WHERE fired_at < $1", "DELETE FROM aic_model_performance WHERE hour < $1"]
    {
        sqlx::query(sql).bind(oldest).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(Done {
        partitions_made,
        partitions_dropped,
        sessions_lost: lost.rows_affected(),
        sessions_forgotten: forgotten.rows_affected(),
        alerts_closed: closed.rows_affected(),
    })
}
