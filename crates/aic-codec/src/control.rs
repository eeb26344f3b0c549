//! What is sent, and when AIC gives way to Opus: state machines that take the time as an argument.
//!
//! [`Controller`] joins them: it is fed what the sender measures and says, every 200 ms, which codec and how. Nothing
//! here touches audio but [`activity`] and [`content`], which listen to 16 kHz frames.

pub mod activity;
pub mod content;
mod controller;
pub mod fallback;
pub mod ladder;
mod latency;
pub mod loss;
pub mod rate;

pub use controller::{Controller, Decision, Observed, Settings};
pub use fallback::Fallback;
pub use latency::Latency;

/// How often decisions are made.
pub const PERIOD_MS: u64 = 200;

/// What the user asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Mode {
    /// 6 kbit/s in packets of 20 ms.
    Conservative = 0,
    /// Rate by quality, packets of 20 to 40 ms.
    Adaptive = 1,
    /// 3 kbit/s and less where quality allows, packets of 60 ms.
    Aggressive = 2,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Conservative, Self::Adaptive, Self::Aggressive];

    /// As in configuration and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conservative => "conservative",
            Self::Adaptive => "adaptive",
            Self::Aggressive => "aggressive",
        }
    }
}

impl std::str::FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or(UnknownMode)
    }
}

/// A mode that does not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the mode is conservative, adaptive or aggressive")]
pub struct UnknownMode;

/// Why Opus is sent instead of AIC, the gravest last. The numbers are on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Reason {
    /// The quality score stays below the limit at the highest rate.
    Quality = 0,
    /// Coding takes too long.
    Latency = 1,
    /// Music or tones, which the model does not carry.
    Content = 2,
    /// The peer runs another model.
    ModelMismatch = 3,
    /// The machine is too busy.
    Overload = 4,
    /// The codec, or a transcoder that somebody needs, is away.
    Unavailable = 5,
    /// Turned off.
    Disabled = 6,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::Quality,
        Self::Latency,
        Self::Content,
        Self::ModelMismatch,
        Self::Overload,
        Self::Unavailable,
        Self::Disabled,
    ];

    /// As in `aic_fallback_total{reason}`.
    pub const fn as_str(self) -> &'static str {
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
}
