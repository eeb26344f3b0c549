//! Users' configurations. A tenant transaction sees its own row or none.

use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Result;
use crate::control::Mode;
use crate::server::engine::preference::Preference;

#[derive(Debug, Clone, FromRow)]
struct ConfigRow {
    enabled: bool,
    mode: String,
    target_compression_ratio: f64,
    max_latency_ms: f64,
    min_quality_score: f64,
    enable_fallback: bool,
    gpu_enabled: bool,
    gpu_device_id: i32,
    updated_at: OffsetDateTime,
}

/// The tenant's configuration and when it was stored. `lock`: until the transaction ends nobody else changes it.
pub(crate) async fn find(
    tx: &mut PgConnection,
    user: Uuid,
    lock: bool,
) -> Result<Option<(Preference, OffsetDateTime)>> {
    let row: Option<ConfigRow> = sqlx::query_as(if lock {
        "SELECT enabled, mode, target_compression_ratio, max_latency_ms, min_quality_score, enable_fallback,
                gpu_enabled, gpu_device_id, updated_at FROM aic_configs WHERE user_id = $1 FOR UPDATE"
    } else {
        "SELECT enabled, mode, target_compression_ratio, max_latency_ms, min_quality_score, enable_fallback,
                gpu_enabled, gpu_device_id, updated_at FROM aic_configs WHERE user_id = $1"
    })
    .bind(user)
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| {
        let preference = Preference {
            enabled: row.enabled,
            // The column's check allows no other text.
            mode: row.mode.parse().unwrap_or(Mode::Adaptive),
            target_compression_ratio: row.target_compression_ratio,
            max_latency_ms: row.max_latency_ms,
            min_quality_score: row.min_quality_score,
            enable_fallback: row.enable_fallback,
            gpu_enabled: row.gpu_enabled,
            gpu_device_id: u32::try_from(row.gpu_device_id).unwrap_or(0),
        };
        (preference, row.updated_at)
    }))
}

/// Stores the whole configuration.
pub(crate) async fn put(
    tx: &mut PgConnection,
    user: Uuid,
    preference: &Preference,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO aic_configs (user_id, enabled, mode, target_compression_ratio, max_latency_ms,
                                  min_quality_score, enable_fallback, gpu_enabled, gpu_device_id,
                                  created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
         ON CONFLICT (user_id) DO UPDATE SET
             enabled = excluded.enabled, mode = excluded.mode,
             target_compression_ratio = excluded.target_compression_ratio,
             max_latency_ms = excluded.max_latency_ms, min_quality_score = excluded.min_quality_score,
             enable_fallback = excluded.enable_fallback, gpu_enabled = excluded.gpu_enabled,
             gpu_device_id = excluded.gpu_device_id, updated_at = excluded.updated_at",
    )
    .bind(user)
    .bind(preference.enabled)
    .bind(preference.mode.as_str())
    .bind(preference.target_compression_ratio)
    .bind(preference.max_latency_ms)
    .bind(preference.min_quality_score)
    .bind(preference.enable_fallback)
    .bind(preference.gpu_enabled)
    .bind(i32::try_from(preference.gpu_device_id).unwrap_or(0))
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}
