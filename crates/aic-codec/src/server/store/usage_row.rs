//! Sums as they lie in tables, and the way back.

use sqlx::FromRow;

use super::unsigned;
use crate::server::engine::histogram::Histogram;
use crate::server::engine::usage::{Quality, Usage};

/// The columns every table of sums has.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct UsageRow {
    pub(crate) frames: i64,
    pub(crate) fallback_frames: i64,
    pub(crate) concealed_frames: i64,
    pub(crate) coded_bytes: i64,
    pub(crate) native_bytes: i64,
    pub(crate) quality_sum: f64,
    pub(crate) quality_count: i64,
    pub(crate) quality_min: Option<f64>,
    pub(crate) latency_sum_ms: f64,
    pub(crate) latency_count: i64,
    pub(crate) latency_counts: Vec<i64>,
}

impl From<UsageRow> for Usage {
    fn from(row: UsageRow) -> Self {
        Self {
            frames: unsigned(row.frames),
            fallback_frames: unsigned(row.fallback_frames),
            concealed_frames: unsigned(row.concealed_frames),
            coded_bytes: unsigned(row.coded_bytes),
            native_bytes: unsigned(row.native_bytes),
            quality: Quality {
                sum: row.quality_sum,
                count: unsigned(row.quality_count),
                min: row.quality_min,
            },
            latency: Histogram::from_row(&row.latency_counts, row.latency_sum_ms, row.latency_count),
            ..Self::default()
        }
    }
}
