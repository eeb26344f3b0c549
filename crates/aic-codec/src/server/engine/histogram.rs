//! Codec times counted in fixed buckets: adds up over rows, sessions and replicas, and still yields percentiles.
//! The bounds are part of what is stored; changing them would mix two meanings in one column.

/// Upper bounds of all buckets but the last, in milliseconds.
pub(crate) const BOUNDS_MS: [f64; 15] =
    [0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 25.0, 30.0, 50.0, 100.0];

/// Counted times.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) counts: [u64; BOUNDS_MS.len() + 1],
    pub(crate) sum_ms: f64,
    pub(crate) count: u64,
}

impl Histogram {
    pub(crate) fn add(&mut self, ms: f64, times: u64) {
        let ms = if ms.is_finite() { ms.max(0.0) } else { 0.0 };
        let bucket = BOUNDS_MS.iter().position(|bound| ms <= *bound).unwrap_or(BOUNDS_MS.len());
        self.counts[bucket] += times;
        self.count += times;
        self.sum_ms += ms * times as f64;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
        self.sum_ms += other.sum_ms;
        self.count += other.count;
    }

    pub(crate) fn mean_ms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_ms / self.count as f64 }
    }

    /// The time that the share `p` (0..1) stayed below, interpolated inside its bucket; 0 when nothing was counted,
    /// 100 when it lies beyond the last bound.
    pub(crate) fn percentile_ms(&self, p: f64) -> f64 {
        let total: u64 = self.counts.iter().sum();
        if total == 0 {
            return 0.0;
        }
        let rank = p.clamp(0.0, 1.0) * total as f64;
        let mut below = 0.0;
        let mut lower = 0.0;
        for (bound, count) in BOUNDS_MS.iter().zip(self.counts) {
            let here = count as f64;
            if here > 0.0 && below + here >= rank {
                return lower + (bound - lower) * ((rank - below) / here).clamp(0.0, 1.0);
            }
            below += here;
            lower = *bound;
        }
        lower
    }

    /// As stored.
    pub(crate) fn to_row(&self) -> Vec<i64> {
        self.counts.iter().map(|count| i64::try_from(*count).unwrap_or(i64::MAX)).collect()
    }

    /// From what was stored; missing buckets are empty.
    pub(crate) fn from_row(counts: &[i64], sum_ms: f64, count: i64) -> Self {
        let mut this = Self { sum_ms, count: u64::try_from(count).unwrap_or(0), ..Self::default() };
        for (mine, stored) in this.counts.iter_mut().zip(counts) {
            *mine = u64::try_from(*stored).unwrap_or(0);
        }
        this
    }

    /// What a report of mean and 95th percentile over `count` frames stands for: 19 of 20 at the mean, the rest at
    /// the percentile. Exact for the mean up to the share above; good enough to add up with the measured ones.
    pub(crate) fn from_summary(mean_ms: f64, p95_ms: f64, count: u64) -> Self {
        let mut this = Self::default();
        let slow = count / 20;
        this.add(mean_ms, count - slow);
        if slow > 0 {
            this.add(p95_ms.max(mean_ms), slow);
        }
        this.sum_ms = mean_ms.max(0.0) * count as f64;
        this
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_in_their_bucket_and_add_up() {
        let mut quick = Histogram::default();
        quick.add(2.5, 90);
        let mut slow = Histogram::default();
        slow.add(40.0, 10);
        assert_eq!(quick.percentile_ms(0.0), 2.0);
        let p50 = quick.percentile_ms(0.5);
        assert!((2.0..=3.0).contains(&p50), "{p50}");
        quick.merge(&slow);
        let p95 = quick.percentile_ms(0.95);
        assert!((30.0..=50.0).contains(&p95), "{p95}");
        assert!((quick.mean_ms() - 6.25).abs() < 1e-9);
        assert_eq!(Histogram::from_row(&quick.to_row(), quick.sum_ms, 100), quick);
    }

    #[test]
    fn nonsense_and_nothing_are_survived() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.percentile_ms(0.95), histogram.mean_ms()), (0.0, 0.0));
        histogram.add(f64::NAN, 1);
        histogram.add(-3.0, 1);
        histogram.add(1e9, 1);
        assert_eq!(histogram.percentile_ms(1.0), 100.0, "beyond the last bound");
        assert_eq!(Histogram::from_row(&[1, -1], 0.5, 1).counts[0], 1);
    }

    #[test]
    fn a_summary_keeps_its_mean_and_its_tail() {
        let histogram = Histogram::from_summary(2.5, 18.0, 1_000);
        assert!((histogram.mean_ms() - 2.5).abs() < 1e-9);
        assert_eq!(histogram.count, 1_000);
        assert!(histogram.percentile_ms(0.97) > 15.0);
    }
}
