//! What a user wants of the codec, its limits, and how a request's targets narrow it.

use crate::control::Mode;

/// The settings of one user, or the service's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Preference {
    pub(crate) enabled: bool,
    pub(crate) mode: Mode,
    pub(crate) target_compression_ratio: f64,
    pub(crate) max_latency_ms: f64,
    pub(crate) min_quality_score: f64,
    pub(crate) enable_fallback: bool,
    pub(crate) gpu_enabled: bool,
    pub(crate) gpu_device_id: u32,
}

/// Some of the settings, as asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) enabled: Option<bool>,
    pub(crate) mode: Option<Mode>,
    pub(crate) target_compression_ratio: Option<f64>,
    pub(crate) max_latency_ms: Option<f64>,
    pub(crate) min_quality_score: Option<f64>,
    pub(crate) enable_fallback: Option<bool>,
    pub(crate) gpu_enabled: Option<bool>,
    pub(crate) gpu_device_id: Option<u32>,
}

/// A value out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub(crate) struct OutOfRange {
    pub(crate) field: &'static str,
    pub(crate) message: &'static str,
}

impl Preference {
    /// With `change` applied, if every value is in range.
    pub(crate) fn with(self, change: &Change) -> Result<Self, OutOfRange> {
        let next = Self {
            enabled: change.enabled.unwrap_or(self.enabled),
            mode: change.mode.unwrap_or(self.mode),
            target_compression_ratio: change
                .target_compression_ratio
                .unwrap_or(self.target_compression_ratio),
            max_latency_ms: change.max_latency_ms.unwrap_or(self.max_latency_ms),
            min_quality_score: change.min_quality_score.unwrap_or(self.min_quality_score),
            enable_fallback: change.enable_fallback.unwrap_or(self.enable_fallback),
            gpu_enabled: change.gpu_enabled.unwrap_or(self.gpu_enabled),
            gpu_device_id: change.gpu_device_id.unwrap_or(self.gpu_device_id),
        };
        next.check()?;
        Ok(next)
    }

    /// Whether every value is in range; NaN is in no range.
    pub(crate) fn check(&self) -> Result<(), OutOfRange> {
        let within = |value: f64, low: f64, high: f64| (low..=high).contains(&value);
        let checks = [
            (
                within(self.target_compression_ratio, 0.0, 0.99),
                "target_compression_ratio",
                "must be 0 to 0.99",
            ),
            (within(self.max_latency_ms, 1.0, 1_000.0), "max_latency_ms", "must be 1 to 1000"),
            (within(self.min_quality_score, 0.0, 1.0), "min_quality_score", "must be 0 to 1"),
            (self.gpu_device_id <= 63, "gpu_device_id", "must be 0 to 63"),
        ];
        match checks.into_iter().find(|(ok, ..)| !ok) {
            Some((_, field, message)) => Err(OutOfRange { field, message }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const DEFAULTS: Preference = Preference {
        enabled: true,
        mode: Mode::Adaptive,
        target_compression_ratio: 0.8,
        max_latency_ms: 20.0,
        min_quality_score: 0.85,
        enable_fallback: true,
        gpu_enabled: false,
        gpu_device_id: 0,
    };

    #[test]
    fn a_change_touches_only_what_it_names() {
        let change = Change { mode: Some(Mode::Aggressive), max_latency_ms: Some(40.0), ..Change::default() };
        let next = DEFAULTS.with(&change).expect("in range");
        assert_eq!(next, Preference { mode: Mode::Aggressive, max_latency_ms: 40.0, ..DEFAULTS });
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let cases = [
            (Change { target_compression_ratio: Some(1.0), ..Change::default() }, "target_compression_ratio"),
            (Change { max_latency_ms: Some(f64::NAN), ..Change::default() }, "max_latency_ms"),
            (Change { max_latency_ms: Some(0.0), ..Change::default() }, "max_latency_ms"),
            (Change { min_quality_score: Some(-0.1), ..Change::default() }, "min_quality_score"),
            (Change { gpu_device_id: Some(64), ..Change::default() }, "gpu_device_id"),
        ];
        for (change, field) in cases {
            assert_eq!(DEFAULTS.with(&change).map_err(|fault| fault.field), Err(field));
        }
    }
}
