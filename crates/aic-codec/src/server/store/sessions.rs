//! Reading a user's sessions and measurements. Tenant transactions: row-level security keeps to that user's rows.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::usage_row::UsageRow;
use super::{Result, unsigned};
use crate::server::engine::usage::{Usage, parse_reason};

/// A session as its user sees it.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct SessionRow {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) room: String,
    pub(crate) track: String,
    pub(crate) direction: String,
    pub(crate) mode: String,
    pub(crate) model: String,
    pub(crate) started_at: OffsetDateTime,
    pub(crate) ended_at: Option<OffsetDateTime>,
    pub(crate) end_reason: String,
    pub(crate) fallbacks: i64,
    pub(crate) last_fallback_reason: String,
    #[sqlx(flatten)]
    pub(crate) usage: UsageRow,
}

/// Sessions older than (`started_at`, `id`), newest first.
pub(crate) async fn list(
    tx: &mut PgConnection,
    before: (OffsetDateTime, Uuid),
    only_open: bool,
    limit: u32,
) -> Result<Vec<SessionRow>> {
    Ok(sqlx::query_as(
        "SELECT id, kind, room, track, direction, mode, model, started_at, ended_at, end_reason, fallbacks,
                last_fallback_reason, frames, fallback_frames, concealed_frames, coded_bytes, native_bytes,
                quality_sum, quality_count, NULL::double precision AS quality_min, latency_sum_ms,
                latency_count, latency_counts
         FROM aic_sessions
         WHERE (started_at, id) < ($1, $2) AND (ended_at IS NULL OR NOT $3)
         ORDER BY started_at DESC, id DESC LIMIT $4",
    )
    .bind(before.0)
    .bind(before.1)
    .bind(only_open)
    .bind(i64::from(limit))
    .fetch_all(tx)
    .await?)
}

/// What measurements to add up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) from: OffsetDateTime,
    pub(crate) to: OffsetDateTime,
    pub(crate) bucket_s: u32,
    pub(crate) session: Option<Uuid>,
}

/// The sums of one bucket.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bucket {
    /// Unix seconds.
    pub(crate) start_s: i64,
    pub(crate) sessions: u32,
    pub(crate) usage: Usage,
}

#[derive(FromRow)]
struct BucketRow {
    start_s: i64,
    sessions: i64,
    #[sqlx(flatten)]
    usage: UsageRow,
}

/// Buckets that hold something, oldest first, and the number of sessions in the whole range.
pub(crate) async fn buckets(tx: &mut PgConnection, range: &Range) -> Result<(Vec<Bucket>, u32)> {
    let rows: Vec<BucketRow> = sqlx::query_as(
        "SELECT (floor(extract(epoch FROM \"timestamp\") / $3) * $3)::bigint AS start_s,
                count(DISTINCT session_id) AS sessions,
                sum(frames)::bigint AS frames, sum(fallback_frames)::bigint AS fallback_frames,
                sum(concealed_frames)::bigint AS concealed_frames, sum(coded_bytes)::bigint AS coded_bytes,
                sum(native_bytes)::bigint AS native_bytes, sum(quality_sum) AS quality_sum,
                sum(quality_count)::bigint AS quality_count, min(quality_min) AS quality_min,
                sum(latency_sum_ms) AS latency_sum_ms, sum(latency_count)::bigint AS latency_count,
                sum_counts(latency_counts) AS latency_counts
         FROM aic_metrics
         WHERE \"timestamp\" >= $1 AND \"timestamp\" < $2 AND ($4::uuid IS NULL OR session_id = $4)
         GROUP BY 1 ORDER BY 1",
    )
    .bind(range.from)
    .bind(range.to)
    .bind(i64::from(range.bucket_s))
    .bind(range.session)
    .fetch_all(&mut *tx)
    .await?;
    let mut buckets: BTreeMap<i64, Bucket> = rows
        .into_iter()
        .map(|row| {
            let sessions = u32::try_from(row.sessions).unwrap_or(u32::MAX);
            (row.start_s, Bucket { start_s: row.start_s, sessions, usage: row.usage.into() })
        })
        .collect();
    let reasons: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT (floor(extract(epoch FROM m.\"timestamp\") / $3) * $3)::bigint, f.key, sum(f.value::bigint)::bigint
         FROM aic_metrics m, jsonb_each_text(m.fallbacks) f
         WHERE m.\"timestamp\" >= $1 AND m.\"timestamp\" < $2 AND ($4::uuid IS NULL OR m.session_id = $4)
         GROUP BY 1, 2",
    )
    .bind(range.from)
    .bind(range.to)
    .bind(i64::from(range.bucket_s))
    .bind(range.session)
    .fetch_all(&mut *tx)
    .await?;
    for (start_s, reason, times) in reasons {
        if let (Some(bucket), Some(reason)) = (buckets.get_mut(&start_s), parse_reason(&reason)) {
            bucket.usage.fallbacks.insert(reason, unsigned(times));
        }
    }
    let (sessions,): (i64,) = sqlx::query_as(
        "SELECT count(DISTINCT session_id) FROM aic_metrics
         WHERE \"timestamp\" >= $1 AND \"timestamp\" < $2 AND ($3::uuid IS NULL OR session_id = $3)",
    )
    .bind(range.from)
    .bind(range.to)
    .bind(range.session)
    .fetch_one(tx)
    .await?;
    Ok((buckets.into_values().collect(), u32::try_from(sessions).unwrap_or(u32::MAX)))
}
