//! What a user wants from the codec.

use super::Mode;
use crate::engine::text::Invalid;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const MAX_RATIO: f64 = 0.99;
const MAX_LATENCY_MS: f64 = 1000.0;
const MAX_DEVICE: u32 = 63;

/// Whether the service may code this user's audio on a GPU, where it has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AicGpu)]
pub(crate) struct Gpu {
    pub(crate) enabled: bool,
    pub(crate) device_id: u32,
}

/// Settings to change; what is absent stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) enabled: Option<bool>,
    pub(crate) mode: Option<Mode>,
    pub(crate) target_compression_ratio: Option<f64>,
    pub(crate) max_latency_ms: Option<f64>,
    pub(crate) min_quality_score: Option<f64>,
    pub(crate) enable_fallback: Option<bool>,
    pub(crate) gpu: Option<Gpu>,
}

impl Change {
    pub(crate) fn checked(self) -> Result<Self, Invalid> {
        if self.target_compression_ratio.is_some_and(|ratio| !(0.0..=MAX_RATIO).contains(&ratio)) {
            return Err(Invalid::new("target_compression_ratio", format!("must be 0 to {MAX_RATIO}")));
        }
        if self.max_latency_ms.is_some_and(|latency| !(1.0..=MAX_LATENCY_MS).contains(&latency)) {
            return Err(Invalid::new("max_latency_ms", format!("must be 1 to {MAX_LATENCY_MS}")));
        }
        if self.min_quality_score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            return Err(Invalid::new("min_quality_score", "must be 0 to 1"));
        }
        if self.gpu.is_some_and(|gpu| gpu.device_id > MAX_DEVICE) {
            return Err(Invalid::new("gpu.device_id", format!("must be 0 to {MAX_DEVICE}")));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        let fault = |change: Change| change.checked().unwrap_err().field;
        let nothing = Change::default();
        assert_eq!(nothing.checked(), Ok(nothing));
        let limits = Change { max_latency_ms: Some(1000.0), min_quality_score: Some(1.0), ..nothing };
        assert_eq!(limits.checked(), Ok(limits));
        for ratio in [-0.1, 1.0, f64::NAN] {
            let change = Change { target_compression_ratio: Some(ratio), ..nothing };
            assert_eq!(fault(change), "target_compression_ratio");
        }
        for latency in [0.0, 1000.5, f64::NAN] {
            assert_eq!(fault(Change { max_latency_ms: Some(latency), ..nothing }), "max_latency_ms");
        }
        assert_eq!(fault(Change { min_quality_score: Some(1.01), ..nothing }), "min_quality_score");
        let gpu = Gpu { enabled: true, device_id: 64 };
        assert_eq!(fault(Change { gpu: Some(gpu), ..nothing }), "gpu.device_id");
    }
}
