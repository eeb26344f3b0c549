//! Counting packets and how long they took, per window.

use std::time::{Duration, Instant};

use super::packet::Mark;

/// How long packets took, sorted.
#[derive(Debug, Clone, Default)]
pub struct Latency {
    sorted_ns: Vec<u64>,
}

impl Latency {
    fn new(mut taken_ns: Vec<u64>) -> Self {
        taken_ns.sort_unstable();
        Self { sorted_ns: taken_ns }
    }

    /// The time below which this share (0 to 1) of packets took.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.sorted_ns.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        Duration::from_nanos(self.sorted_ns.get(index).copied().unwrap_or_default())
    }
}

/// The middle of `values`, and how far they spread, as a share of it.
pub fn median(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(middle) = sorted.get(sorted.len() / 2).copied() else { return (0.0, 0.0) };
    let middle = if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[sorted.len() / 2 - 1], middle)
    } else {
        middle
    };
    let spread = sorted[sorted.len() - 1] - sorted[0];
    (middle, if middle > 0.0 { spread / middle } else { 0.0 })
}

/// What one window saw.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) sent: u64,
    pub(super) received: u64,
    taken_ns: Vec<u64>,
}

impl Window {
    pub(super) fn latency(self) -> Latency {
        Latency::new(self.taken_ns)
    }
}

#[derive(Debug)]
pub(super) struct Meter {
    began: Instant,
    number: u32,
    open: bool,
    window: Window,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, number: 0, open: false, window: Window::default() }
    }

    /// From now on packets sent are counted.
    pub(super) fn open(&mut self) {
        self.number += 1;
        self.open = true;
        self.window = Window::default();
    }

    /// From now on packets sent are not counted; those under way still are, until the window is taken.
    pub(super) fn close(&mut self) {
        self.open = false;
    }

    pub(super) fn take(&mut self) -> Window {
        std::mem::take(&mut self.window)
    }

    /// The mark for packets sent now.
    pub(super) fn mark(&self, now: Instant) -> Mark {
        let sent_ns = nanoseconds(now.saturating_duration_since(self.began));
        Mark { window: if self.open { self.number } else { 0 }, sent_ns }
    }

    pub(super) fn sent(&mut self, packets: usize) {
        if self.open {
            self.window.sent += packets as u64;
        }
    }

    pub(super) fn received(&mut self, payload: &[u8], now: Instant) {
        let Some(mark) = Mark::read(payload).filter(|mark| mark.window == self.number && mark.window > 0)
        else {
            return;
        };
        let now_ns = nanoseconds(now.saturating_duration_since(self.began));
        self.window.received += 1;
        self.window.taken_ns.push(now_ns.saturating_sub(mark.sent_ns));
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use aura_types::{Clock, SystemClock};

    use super::*;
    use crate::load::packet;

    #[test]
    fn only_packets_of_the_window_count() {
        let began = SystemClock.monotonic();
        let at = |ms| began + Duration::from_millis(ms);
        let mut meter = Meter::new(began);
        let before = packet::opus(100, meter.mark(at(0)));
        meter.open();
        let inside = packet::opus(100, meter.mark(at(10)));
        meter.sent(1);
        meter.close();
        let after = packet::opus(100, meter.mark(at(20)));
        meter.sent(1);
        for payload in [&before, &inside, &after, &inside] {
            meter.received(payload, at(13));
        }
        let window = meter.take();
        assert_eq!((window.sent, window.received), (1, 2));
        assert_eq!(window.latency().quantile(0.99), Duration::from_millis(3));
    }

    #[test]
    fn quantiles_and_medians() {
        let latency = Latency::new((1..=1_000).collect());
        assert_eq!(latency.quantile(0.5), Duration::from_nanos(501));
        assert_eq!(latency.quantile(0.999), Duration::from_nanos(999));
        assert_eq!(Latency::default().quantile(0.5), Duration::ZERO);
        assert_eq!(median(&[3.0, 1.0, 2.0]), (2.0, 1.0));
        assert_eq!(median(&[1.0, 3.0]).0, 2.0);
        assert_eq!(median(&[]), (0.0, 0.0));
    }
}
