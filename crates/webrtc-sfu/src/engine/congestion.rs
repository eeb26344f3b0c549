//! How much video a subscriber's downlink takes: a cap on layers, driven by the loss it reports.
//!
//! Sustained loss lowers the cap one layer at a time; after a clean while it is raised again as a trial, and a trial
//! that fails makes the next one wait longer. Coarser than bandwidth estimation, but it needs no pacer: batches stay
//! whole. Audio is never capped.

use std::time::{Duration, Instant};

use aura_media::layer::Layer;

/// Loss above this share hurts: retransmission no longer hides it.
const HIGH_LOSS: f32 = 0.10;
/// Loss below this share is ordinary.
const LOW_LOSS: f32 = 0.02;
/// Loss must last this long before the cap is lowered: every video reports for itself, and one bad report is chance.
const BAD_FOR: Duration = Duration::from_millis(1_500);
const FIRST_TRIAL_AFTER: Duration = Duration::from_secs(8);
const LONGEST_WAIT: Duration = Duration::from_secs(64);
/// A trial that survives this long has succeeded.
const TRIAL_PROVEN: Duration = Duration::from_secs(10);

/// The cap of one subscriber.
#[derive(Debug, Clone)]
pub(crate) struct Downlink {
    cap: Layer,
    bad_since: Option<Instant>,
    trial_at: Option<Instant>,
    wait: Duration,
    raised_at: Option<Instant>,
}

impl Default for Downlink {
    fn default() -> Self {
        Self { cap: Layer::High, bad_since: None, trial_at: None, wait: FIRST_TRIAL_AFTER, raised_at: None }
    }
}

impl Downlink {
    /// The highest layer to send now.
    pub(crate) fn cap(&self) -> Layer {
        self.cap
    }

    /// Takes the loss (0 to 1) one of the subscriber's videos had in its last report interval. True if the cap moved.
    pub(crate) fn report(&mut self, loss: f32, now: Instant) -> bool {
        if loss > HIGH_LOSS {
            let since = *self.bad_since.get_or_insert(now);
            return now.duration_since(since) >= BAD_FOR && self.lower(now);
        }
        self.bad_since = None;
        if loss > LOW_LOSS {
            return false;
        }
        if self.raised_at.is_some_and(|at| now.duration_since(at) >= TRIAL_PROVEN) {
            self.raised_at = None;
            self.wait = FIRST_TRIAL_AFTER;
        }
        if self.cap < Layer::High && self.trial_at.is_some_and(|at| now >= at) {
            self.cap = Layer::from_index(self.cap.index() + 1);
            self.raised_at = Some(now);
            self.trial_at = Some(now + self.wait);
            return true;
        }
        false
    }

    fn lower(&mut self, now: Instant) -> bool {
        self.bad_since = None;
        if self.raised_at.take().is_some() {
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
        self.trial_at = Some(now + self.wait);
        if self.cap == Layer::Low {
            return false;
        }
        self.cap = Layer::from_index(self.cap.index() - 1);
        true
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    /// Reports every two seconds; returns the time of the last.
    fn reports(downlink: &mut Downlink, mut now: Instant, loss: f32, count: u32) -> Instant {
        for _ in 0..count {
            now += Duration::from_secs(2);
            downlink.report(loss, now);
        }
        now
    }

    #[test]
    fn one_bad_report_is_chance_two_are_congestion() {
        let mut downlink = Downlink::default();
        let now = reports(&mut downlink, Instant::now(), 0.3, 1);
        assert_eq!(downlink.cap(), Layer::High);
        reports(&mut downlink, now, 0.3, 1);
        assert_eq!(downlink.cap(), Layer::Medium);
    }

    #[test]
    fn it_recovers_and_waits_longer_after_a_failed_trial() {
        let mut downlink = Downlink::default();
        let mut now = reports(&mut downlink, Instant::now(), 0.3, 4);
        assert_eq!(downlink.cap(), Layer::Low);
        now = reports(&mut downlink, now, 0.0, 4);
        assert_eq!(downlink.cap(), Layer::Medium, "a trial after eight clean seconds");
        now = reports(&mut downlink, now, 0.3, 2);
        assert_eq!(downlink.cap(), Layer::Low, "which failed");
        now = reports(&mut downlink, now, 0.0, 7);
        assert_eq!(downlink.cap(), Layer::Low, "so the next waits sixteen");
        now = reports(&mut downlink, now, 0.0, 1);
        assert_eq!(downlink.cap(), Layer::Medium);
        reports(&mut downlink, now, 0.0, 12);
        assert_eq!(downlink.cap(), Layer::High, "all the way back");
    }

    #[test]
    fn ordinary_loss_changes_nothing() {
        let mut downlink = Downlink::default();
        reports(&mut downlink, Instant::now(), 0.05, 50);
        assert_eq!(downlink.cap(), Layer::High);
    }
}
