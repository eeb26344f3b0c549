//! How to come back after a break: which kind of reconnect, when, and when to give up.
//!
//! A resume keeps the session and its media; it is tried first. A full reconnect joins anew and republishes.

use std::time::{Duration, Instant};

const FIRST_DELAY: Duration = Duration::from_millis(300);
const LONGEST_DELAY: Duration = Duration::from_secs(7);
/// Resumes tried before the session is taken for lost.
const RESUMES: u32 = 3;

/// A way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Same session, new signalling, ICE restart.
    Resume,
    /// A fresh join.
    Full,
}

#[derive(Debug)]
pub(crate) struct Reconnect {
    plan: Plan,
    tried: u32,
    limit: u32,
    resumes_failed: u32,
    /// When to try next; `None` while a try is under way.
    due: Option<Instant>,
}

impl Reconnect {
    /// The first try is due at once.
    pub(crate) fn new(plan: Plan, limit: u32, now: Instant) -> Self {
        Self { plan, tried: 0, limit, resumes_failed: 0, due: Some(now) }
    }

    /// From now on only a fresh join will do; it is due at once, for the server said so itself.
    pub(crate) fn require_full(&mut self, now: Instant) {
        self.plan = Plan::Full;
        self.due = Some(now);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// The try to make now, if one is due.
    pub(crate) fn start(&mut self, now: Instant) -> Option<Plan> {
        self.due.filter(|due| now >= *due)?;
        self.due = None;
        self.tried += 1;
        Some(self.plan)
    }

    /// The try under way failed. False when it was the last.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        if self.plan == Plan::Resume {
            self.resumes_failed += 1;
            if self.resumes_failed >= RESUMES {
                self.plan = Plan::Full;
            }
        }
        if self.tried >= self.limit {
            return false;
        }
        let factor = 1_u32 << self.tried.saturating_sub(1).min(16);
        self.due = Some(now + (FIRST_DELAY * factor).min(LONGEST_DELAY));
        true
    }
}

#[cfg(test)]
mod tests {
    use aura_types::{Clock, SystemClock};

    use super::*;

    #[test]
    fn tries_at_once_then_backs_off_and_gives_up() {
        let mut now = SystemClock.monotonic();
        let mut reconnect = Reconnect::new(Plan::Resume, 10, now);
        let mut delays = Vec::new();
        let mut plans = Vec::new();
        loop {
            plans.push(reconnect.start(now).expect("due"));
            assert_eq!(reconnect.start(now), None, "one try at a time");
            if !reconnect.failed(now) {
                break;
            }
            let due = reconnect.deadline().expect("another try");
            delays.push((due - now).as_millis());
            now = due;
        }
        assert_eq!(delays, [300, 600, 1_200, 2_400, 4_800, 7_000, 7_000, 7_000, 7_000]);
        assert_eq!(plans[..3], [Plan::Resume; 3]);
        assert_eq!(plans[3..], [Plan::Full; 7]);
    }

    #[test]
    fn a_refused_resume_becomes_a_full_reconnect() {
        let now = SystemClock.monotonic();
        let mut reconnect = Reconnect::new(Plan::Resume, 10, now);
        assert_eq!(reconnect.start(now), Some(Plan::Resume));
        reconnect.require_full(now);
        assert_eq!(reconnect.start(now), Some(Plan::Full));
        assert!(reconnect.failed(now));
        assert_eq!(reconnect.start(now), None, "not at once again");
    }
}
