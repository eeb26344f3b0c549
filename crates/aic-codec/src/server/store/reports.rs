//! Writing measurements: a report is one interval of one session. Counted once, however often it arrives.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Result, signed};
use crate::control::Mode;
use crate::server::engine::usage::Usage;

/// What a session is, from its start on.
#[derive(Debug, Clone)]
pub(crate) struct SessionFacts {
    pub(crate) id: Uuid,
    /// Nil: nobody's.
    pub(crate) user: Uuid,
    /// `transcode`, `compress`, `decompress`, `browser` or `native`.
    pub(crate) kind: &'static str,
    pub(crate) instance: String,
    pub(crate) caller: String,
    pub(crate) room: String,
    pub(crate) track: String,
    /// `send`, `receive` or empty.
    pub(crate) direction: &'static str,
    pub(crate) model: String,
    pub(crate) backend: &'static str,
    pub(crate) started_at: OffsetDateTime,
}

/// One interval of a session.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) session: Arc<SessionFacts>,
    /// Counts up within the session.
    pub(crate) sequence: u64,
    /// When the interval ended.
    pub(crate) at: OffsetDateTime,
    pub(crate) window_ms: u32,
    pub(crate) mode: Mode,
    pub(crate) usage: Usage,
    /// Why the session ended with this interval, if it did.
    pub(crate) ended: Option<&'static str>,
}

/// Counts the report unless one of its session with this or a later sequence was. True when it was new.
pub(crate) async fn count(tx: &mut PgConnection, report: &Report) -> Result<bool> {
    let session = &*report.session;
    sqlx::query(
        "INSERT INTO aic_sessions (user_id, id, kind, instance, caller, room, track, direction, mode, model,
                                   started_at, last_seen_at, last_sequence)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, -1) ON CONFLICT DO NOTHING",
    )
    .bind(session.user)
    .bind(session.id)
    .bind(session.kind)
    .bind(&session.instance)
    .bind(&session.caller)
    .bind(&session.room)
    .bind(&session.track)
    .bind(session.direction)
    .bind(report.mode.as_str())
    .bind(&session.model)
    .bind(session.started_at)
    .bind(report.at)
    .execute(&mut *tx)
    .await?;
    let usage = &report.usage;
    let fallbacks: BTreeMap<&str, u64> =
        usage.fallbacks.iter().map(|(reason, times)| (reason.as_str(), *times)).collect();
    let done = sqlx::query(
        "WITH counted AS (
             UPDATE aic_sessions SET
                 instance = $19, mode = $6, model = $7, last_sequence = $3,
                 last_seen_at = greatest(last_seen_at, $4),
                 ended_at = CASE WHEN $20::text IS NULL THEN NULL ELSE $4 END, end_reason = coalesce($20, ''),
                 frames = frames + $8, fallback_frames = fallback_frames + $9,
                 concealed_frames = concealed_frames + $10, coded_bytes = coded_bytes + $11,
                 native_bytes = native_bytes + $12, quality_sum = quality_sum + $13,
                 quality_count = quality_count + $14, latency_sum_ms = latency_sum_ms + $16,
                 latency_count = latency_count + $17, latency_counts = add_counts(latency_counts, $18),
                 fallbacks = fallbacks + $21, last_fallback_reason = coalesce($22, last_fallback_reason)
             WHERE user_id = $1 AND id = $2 AND last_sequence < $3
             RETURNING 1)
         INSERT INTO aic_metrics (user_id, session_id, sequence, \"timestamp\", window_ms, mode, model, frames,
                                  fallback_frames, concealed_frames, coded_bytes, native_bytes, quality_sum,
                                  quality_count, quality_min, latency_sum_ms, latency_count, latency_counts,
                                  fallbacks)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $23 FROM counted",
    )
    .bind(session.user)
    .bind(session.id)
    .bind(signed(report.sequence))
    .bind(report.at)
    .bind(i32::try_from(report.window_ms.clamp(1, 600_000)).unwrap_or(600_000))
    .bind(report.mode.as_str())
    .bind(&session.model)
    .bind(signed(usage.frames))
    .bind(signed(usage.fallback_frames))
    .bind(signed(usage.concealed_frames))
    .bind(signed(usage.coded_bytes))
    .bind(signed(usage.native_bytes))
    .bind(usage.quality.sum)
    .bind(signed(usage.quality.count))
    .bind(usage.quality.min)
    .bind(usage.latency.sum_ms)
    .bind(signed(usage.latency.count))
    .bind(usage.latency.to_row())
    .bind(&session.instance)
    .bind(report.ended)
    .bind(signed(usage.fallback_times()))
    .bind(usage.last_fallback.map(|reason| reason.as_str()))
    .bind(Json(&fallbacks))
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}
