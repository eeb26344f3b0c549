//! The speech codec: settings and measurements.

use crate::engine::aic::{Direction, Gpu, Mode, Reason};
use serde::Serialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// What the user wants from low-bandwidth audio.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AicConfig {
    pub(crate) enabled: bool,
    pub(crate) mode: Mode,
    /// The share of the replaced stream's bytes to save, 0 to 0.99.
    pub(crate) target_compression_ratio: f64,
    /// Time in the codec for one packet; beyond it Opus is sent instead.
    pub(crate) max_latency_ms: f64,
    /// 0 to 1; below it Opus is sent instead.
    pub(crate) min_quality_score: f64,
    /// Whether Opus is sent when the codec is not good enough.
    pub(crate) enable_fallback: bool,
    pub(crate) gpu: Gpu,
    /// Null: never changed, these are the defaults.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub(crate) updated_at: Option<OffsetDateTime>,
}

/// What passed through the codec, and what it cost.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct AicFigures {
    /// 20 ms each.
    pub(crate) frames: u64,
    /// Frames that went as Opus.
    pub(crate) fallback_frames: u64,
    /// Their share, 0 to 1.
    pub(crate) fallback_rate: f64,
    /// Payload that travelled, fallback included.
    pub(crate) coded_bytes: u64,
    /// What the replaced stream would have taken: Opus at 32 kbit/s, or the Opus that came in.
    pub(crate) native_bytes: u64,
    pub(crate) saved_bytes: i64,
    /// Share of the bytes that was saved; null: nothing was coded.
    #[schema(required = true)]
    pub(crate) compression_ratio: Option<f64>,
    /// Mean quality score of active speech, 0 to 1; null: not measured.
    #[schema(required = true)]
    pub(crate) quality: Option<f64>,
    /// Codec time for one frame; null: not measured.
    #[schema(required = true)]
    pub(crate) latency_mean_ms: Option<f64>,
    #[schema(required = true)]
    pub(crate) latency_p95_ms: Option<f64>,
}

/// One bucket of time, or the whole span.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AicPoint {
    /// When it begins.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    pub(crate) sessions: u32,
    pub(crate) figures: AicFigures,
    #[schema(required = true)]
    pub(crate) quality_min: Option<f64>,
    /// How often the codec gave way to Opus, by reason.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub(crate) fallbacks: BTreeMap<Reason, u64>,
}

/// Measurements of a span of time. Buckets without any are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AicMetrics {
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) to: OffsetDateTime,
    pub(crate) bucket_s: u32,
    pub(crate) total: AicPoint,
    /// Oldest first.
    pub(crate) points: Vec<AicPoint>,
}

/// What was wrong: coding took longer than it may at the 95th percentile, or too much went as Opus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AicRule {
    InferenceLatency,
    FallbackRate,
    Other,
}

impl AicRule {
    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "inference_latency" => Self::InferenceLatency,
            "fallback_rate" => Self::FallbackRate,
            _ => Self::Other,
        }
    }
}

/// A rule that the user's streams broke for minutes.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct AicAlert {
    pub(crate) id: Uuid,
    pub(crate) rule: AicRule,
    /// The worst seen: milliseconds, or a share from 0 to 1.
    pub(crate) value: f64,
    /// In the same unit.
    pub(crate) threshold: f64,
    /// Since when it held.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) fired_at: OffsetDateTime,
    /// Null: it still holds.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub(crate) resolved_at: Option<OffsetDateTime>,
}

/// What one model did on this server, for everybody, in one hour.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AicModelHour {
    /// When the hour begins.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) hour: OffsetDateTime,
    /// The service's model, or `other`.
    pub(crate) model: String,
    /// `native` or `onnx`: in the service; `browser` or `client`: as those report.
    pub(crate) backend: String,
    /// 20 ms each.
    pub(crate) frames: u64,
    /// Share of them that went as Opus, 0 to 1.
    pub(crate) fallback_rate: f64,
    /// Mean quality score of active speech, 0 to 1; null: not measured.
    #[schema(required = true)]
    pub(crate) quality: Option<f64>,
    /// Codec time for one frame; null: not measured.
    #[schema(required = true)]
    pub(crate) latency_mean_ms: Option<f64>,
    #[schema(required = true)]
    pub(crate) latency_p95_ms: Option<f64>,
}

/// Where the codec ran: in the service (`transcode`, `compress`, `decompress`), in a page, in a native client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AicKind {
    Transcode,
    Compress,
    Decompress,
    Browser,
    Native,
    Other,
}

impl AicKind {
    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "transcode" => Self::Transcode,
            "compress" => Self::Compress,
            "decompress" => Self::Decompress,
            "browser" => Self::Browser,
            "native" => Self::Native,
            _ => Self::Other,
        }
    }
}

/// One stream through the codec.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AicSession {
    pub(crate) id: Uuid,
    pub(crate) kind: AicKind,
    #[schema(required = true)]
    pub(crate) room: Option<String>,
    #[schema(required = true)]
    pub(crate) track: Option<String>,
    pub(crate) direction: Direction,
    pub(crate) mode: Mode,
    pub(crate) model: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) started_at: OffsetDateTime,
    /// Null: still open.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub(crate) ended_at: Option<OffsetDateTime>,
    /// `ended`, `moved`, `draining`, `idle`, `failed` or `lost`.
    #[schema(required = true)]
    pub(crate) end_reason: Option<String>,
    pub(crate) figures: AicFigures,
    /// How often the codec gave way to Opus.
    pub(crate) fallbacks: u64,
    #[schema(required = true)]
    pub(crate) last_fallback_reason: Option<Reason>,
    /// Made up for lost packets.
    pub(crate) concealed_frames: u64,
}
