//! The speech codec's settings, spans of time and usage reports: what may be asked for, and what may be believed.
//!
//! Ranges are those of `proto/auralink/aic/v1/codec.proto`; the service checks them again. Here they get the names
//! of the public fields.

mod report;
mod settings;
mod span;

pub(crate) use report::Report;
pub(crate) use settings::{Change, Gpu};
pub(crate) use span::Span;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `conservative`: 6 kbit/s, one frame a packet. `adaptive`: the rate follows the quality. `aggressive`: 3 kbit/s
/// preferred, three to five frames a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AicMode)]
pub(crate) enum Mode {
    Conservative,
    Adaptive,
    Aggressive,
}

/// `send`: from the user towards the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AicDirection)]
pub(crate) enum Direction {
    Send,
    Receive,
}

/// A client that runs the codec itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AicClientSource)]
pub(crate) enum ClientSource {
    Browser,
    Native,
}

/// Why audio was not coded although the codec was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AicFallbackReason)]
pub(crate) enum Reason {
    /// Below `min_quality_score` at the highest rate.
    Quality,
    /// Coding takes longer than `max_latency_ms`.
    Latency,
    /// Music, tones.
    Content,
    /// The other side runs another model.
    ModelMismatch,
    /// No processor time in time.
    Overload,
    /// The codec failed or is away.
    Unavailable,
    /// Switched off.
    Disabled,
}

impl Reason {
    pub(crate) const ALL: [Self; 7] = [
        Self::Quality,
        Self::Latency,
        Self::Content,
        Self::ModelMismatch,
        Self::Overload,
        Self::Unavailable,
        Self::Disabled,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Quality => "quality",
            Self::Latency => "latency",
            Self::Content => "content",
            Self::ModelMismatch => "model_mismatch",
            Self::Overload => "overload",
            Self::Unavailable => "unavailable",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_named_alike_everywhere() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        assert_eq!(Reason::parse("weather"), None);
    }
}
