//! What passed through the codec and what it cost, added up: for a packet, an interval, a session, a bucket.

use std::collections::BTreeMap;

use super::histogram::Histogram;
use crate::control::Reason;

/// Bytes of one 20 ms frame of the stream AIC replaces by default: Opus at 32 kbit/s.
pub(crate) const NATIVE_FRAME_BYTES: u64 = 80;

/// The reason called `text` in labels, columns and map keys.
pub(crate) fn parse_reason(text: &str) -> Option<Reason> {
    Reason::ALL.into_iter().find(|reason| reason.as_str() == text)
}

/// Whether falling back for this reason is a fault to alert on: content and switches are not.
pub(crate) fn is_fault(reason: Reason) -> bool {
    !matches!(reason, Reason::Content | Reason::Disabled)
}

/// Scores weighted by the frames they stand for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Quality {
    pub(crate) sum: f64,
    pub(crate) count: u64,
    pub(crate) min: Option<f64>,
}

impl Quality {
    pub(crate) fn add(&mut self, score: f64, frames: u64) {
        self.merge(&Self { sum: score * frames as f64, count: frames, min: Some(score) });
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.count += other.count;
        self.min = match (self.min, other.min) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
    }

    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// The sums.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Usage {
    /// 20 ms each.
    pub(crate) frames: u64,
    pub(crate) fallback_frames: u64,
    pub(crate) concealed_frames: u64,
    pub(crate) input_bytes: u64,
    pub(crate) output_bytes: u64,
    /// Payload on the AIC leg, fallback packets included.
    pub(crate) coded_bytes: u64,
    /// Payload that the replaced stream would have taken for the same frames.
    pub(crate) native_bytes: u64,
    pub(crate) quality: Quality,
    pub(crate) latency: Histogram,
    /// Times the codec fell back, by reason.
    pub(crate) fallbacks: BTreeMap<Reason, u64>,
    pub(crate) last_fallback: Option<Reason>,
    /// Frames lost to faults rather than to content or switches; a part of `fallback_frames`.
    pub(crate) fault_frames: u64,
}

impl Usage {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.frames += other.frames;
        self.fallback_frames += other.fallback_frames;
        self.concealed_frames += other.concealed_frames;
        self.input_bytes += other.input_bytes;
        self.output_bytes += other.output_bytes;
        self.coded_bytes += other.coded_bytes;
        self.native_bytes += other.native_bytes;
        self.fault_frames += other.fault_frames;
        self.quality.merge(&other.quality);
        self.latency.merge(&other.latency);
        for (reason, times) in &other.fallbacks {
            *self.fallbacks.entry(*reason).or_default() += times;
        }
        self.last_fallback = other.last_fallback.or(self.last_fallback);
    }

    /// 1 − coded / native, never below 0; 0 when there is nothing to compare.
    pub(crate) fn compression_ratio(&self) -> f64 {
        if self.native_bytes == 0 || self.coded_bytes == 0 {
            return 0.0;
        }
        (1.0 - self.coded_bytes as f64 / self.native_bytes as f64).max(0.0)
    }

    /// May be negative: an Opus fallback at a higher rate than the replaced stream.
    pub(crate) fn saved_bytes(&self) -> i64 {
        if self.coded_bytes == 0 {
            return 0;
        }
        let native = i64::try_from(self.native_bytes).unwrap_or(i64::MAX);
        native.saturating_sub_unsigned(self.coded_bytes)
    }

    /// Share of frames that were not AIC, 0..1.
    pub(crate) fn fallback_share(&self) -> f64 {
        if self.frames == 0 { 0.0 } else { self.fallback_frames as f64 / self.frames as f64 }
    }

    pub(crate) fn fallback_times(&self) -> u64 {
        self.fallbacks.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_shares() {
        let mut usage = Usage { frames: 50, coded_bytes: 800, native_bytes: 4_000, ..Usage::default() };
        usage.quality.add(0.9, 40);
        let mut later = Usage { frames: 50, fallback_frames: 25, ..Usage::default() };
        later.quality.add(0.8, 10);
        later.fallbacks.insert(Reason::Quality, 1);
        later.last_fallback = Some(Reason::Quality);
        usage.merge(&later);
        assert!((usage.compression_ratio() - 0.8).abs() < 1e-9);
        assert_eq!(usage.saved_bytes(), 3_200);
        assert!((usage.fallback_share() - 0.25).abs() < 1e-9);
        assert!((usage.quality.mean().unwrap_or_default() - 0.88).abs() < 1e-9);
        assert_eq!(usage.quality.min, Some(0.8));
        assert_eq!((usage.fallback_times(), usage.last_fallback), (1, Some(Reason::Quality)));
    }

    #[test]
    fn reasons_round_trip_as_text() {
        for reason in Reason::ALL {
            assert_eq!(parse_reason(reason.as_str()), Some(reason));
        }
        assert_eq!(parse_reason("Quality"), None);
    }
}
