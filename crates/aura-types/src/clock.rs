//! The only place that reads a clock. Everything else takes `now`, or a [`Clock`] at its edge.
//!
//! Wall time is for what people and other machines see (expiry, timestamps); monotonic time is for
//! durations and deadlines. The two are never mixed.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// A source of time, as a trait object: `Arc<dyn Clock>`.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall time, UTC. May jump.
    fn now(&self) -> OffsetDateTime;

    /// Monotonic time, for durations and deadlines.
    fn monotonic(&self) -> Instant;

    /// Wall time in milliseconds since 1970.
    fn unix_ms(&self) -> i64 {
        i64::try_from(self.now().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
    }
}

/// A clock handed around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clock, ready to hand around.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands still until a test advances it.
#[derive(Debug, Clone)]
pub struct ManualClock {
    start: Instant,
    state: Arc<Mutex<(OffsetDateTime, Duration)>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        Self { start: SystemClock.monotonic(), state: Arc::new(Mutex::new((now, Duration::ZERO))) }
    }

    /// Moves both wall and monotonic time forward.
    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        state.0 += by;
        state.1 += by;
    }

    /// Sets wall time alone, as an administrator or NTP would.
    pub fn set(&self, now: OffsetDateTime) {
        self.lock().0 = now;
    }

    /// This clock as a trait object; it and `self` show the same time.
    #[must_use]
    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (OffsetDateTime, Duration)> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        self.lock().0
    }

    fn monotonic(&self) -> Instant {
        self.start + self.lock().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(OffsetDateTime::UNIX_EPOCH);
        let (wall, mono) = (clock.now(), clock.monotonic());
        assert_eq!((clock.now(), clock.monotonic()), (wall, mono));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.unix_ms(), 1_500);
        assert_eq!(clock.monotonic() - mono, Duration::from_millis(1_500));
        clock.set(OffsetDateTime::UNIX_EPOCH);
        assert_eq!(clock.monotonic() - mono, Duration::from_millis(1_500), "monotonic time never goes back");
    }
}
