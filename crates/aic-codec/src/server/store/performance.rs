//! How the models do, by hour: sums over all sessions, and reading them.

use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

use super::{Result, signed, unsigned};
use crate::server::engine::histogram::Histogram;
use crate::server::engine::usage::Usage;

/// One hour of one model on one backend.
#[derive(Debug, Clone)]
pub(crate) struct Hour {
    pub(crate) hour: OffsetDateTime,
    pub(crate) model: String,
    pub(crate) backend: String,
    pub(crate) usage: Usage,
}

#[derive(FromRow)]
struct HourRow {
    hour: OffsetDateTime,
    model: String,
    backend: String,
    frames: i64,
    fallback_frames: i64,
    quality_sum: f64,
    quality_count: i64,
    latency_sum_ms: f64,
    latency_count: i64,
    latency_counts: Vec<i64>,
}

/// Adds to the hour's sums. System role.
pub(crate) async fn add(
    tx: &mut PgConnection,
    hour: OffsetDateTime,
    model: &str,
    backend: &str,
    usage: &Usage,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO aic_model_performance AS old (hour, model, backend, frames, fallback_frames, quality_sum,
             quality_count, latency_sum_ms, latency_count, latency_counts)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (hour, model, backend) DO UPDATE SET
             frames = old.frames + excluded.frames,
             fallback_frames = old.fallback_frames + excluded.fallback_frames,
             quality_sum = old.quality_sum + excluded.quality_sum,
             quality_count = old.quality_count + excluded.quality_count,
             latency_sum_ms = old.latency_sum_ms + excluded.latency_sum_ms,
             latency_count = old.latency_count + excluded.latency_count,
             latency_counts = add_counts(old.latency_counts, excluded.latency_counts)",
    )
    .bind(hour)
    .bind(model)
    .bind(backend)
    .bind(signed(usage.frames))
    .bind(signed(usage.fallback_frames))
    .bind(usage.quality.sum)
    .bind(signed(usage.quality.count))
    .bind(usage.latency.sum_ms)
    .bind(signed(usage.latency.count))
    .bind(usage.latency.to_row())
    .execute(tx)
    .await?;
    Ok(())
}

/// Since `from`, newest hour first; at most 2,000 rows.
pub(crate) async fn list(tx: &mut PgConnection, from: OffsetDateTime) -> Result<Vec<Hour>> {
    let rows: Vec<HourRow> = sqlx::query_as(
        "SELECT hour, model, backend, frames, fallback_frames, quality_sum, quality_count, latency_sum_ms,
                latency_count, latency_counts
         FROM aic_model_performance WHERE hour >= $1 ORDER BY hour DESC, model, backend LIMIT 2000",
    )
    .bind(from)
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut usage = Usage {
                frames: unsigned(row.frames),
                fallback_frames: unsigned(row.fallback_frames),
                latency: Histogram::from_row(&row.latency_counts, row.latency_sum_ms, row.latency_count),
                ..Usage::default()
            };
            usage.quality.sum = row.quality_sum;
            usage.quality.count = unsigned(row.quality_count);
            Hour { hour: row.hour, model: row.model, backend: row.backend, usage }
        })
        .collect())
}
