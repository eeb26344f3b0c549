//! How long coding takes: the 95th percentile of the last five seconds.

use std::collections::VecDeque;

const SPAN_MS: u64 = 5_000;
/// Samples kept at most: five seconds of 20 ms frames.
const CAPACITY: usize = 250;
/// With fewer samples than this there is no percentile.
const ENOUGH: usize = 50;

/// A sliding percentile.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    samples: VecDeque<(u64, f32)>,
}

impl Latency {
    /// One frame took `ms`.
    pub fn add(&mut self, now_ms: u64, ms: f32) {
        if self.samples.len() == CAPACITY {
            self.samples.pop_front();
        }
        self.samples.push_back((now_ms, ms));
    }

    /// The 95th percentile; none while there are fewer than a second's worth of samples.
    pub fn p95(&mut self, now_ms: u64) -> Option<f32> {
        while self.samples.front().is_some_and(|&(at, _)| at + SPAN_MS < now_ms) {
            self.samples.pop_front();
        }
        if self.samples.len() < ENOUGH {
            return None;
        }
        let mut sorted: Vec<f32> = self.samples.iter().map(|&(_, ms)| ms).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        Some(sorted[(sorted.len() * 95).div_ceil(100) - 1])
    }

    /// The newest sample.
    pub fn last(&self) -> Option<f32> {
        self.samples.back().map(|&(_, ms)| ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_of_the_last_five_seconds() {
        let mut latency = Latency::default();
        for frame in 0..49 {
            latency.add(frame * 20, 100.0);
        }
        assert_eq!(latency.p95(1_000), None);
        for frame in 49..500 {
            latency.add(frame * 20, if frame % 25 == 0 { 50.0 } else { 2.0 });
        }
        assert_eq!(latency.p95(10_000), Some(2.0), "4 % of slow frames are below the percentile");
        for frame in 500..520 {
            latency.add(frame * 20, 31.0);
        }
        assert_eq!(latency.p95(10_400), Some(31.0));
        assert_eq!(latency.p95(60_000), None);
    }
}
