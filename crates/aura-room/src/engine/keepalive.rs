//! Application pings on the signalling connection, and noticing that it is dead.
//!
//! Any message from the server counts as life; only silence for the whole timeout is death.

use std::time::{Duration, Instant};

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing before this instant.
    Wait(Instant),
    /// Send a ping.
    Ping,
    /// The server has been silent for too long.
    Lost,
}

#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: Duration,
    timeout: Duration,
    heard_at: Instant,
    ping_at: Instant,
}

impl Keepalive {
    /// `interval` and `timeout` as the server asked, in seconds; zero means it did not say.
    pub(crate) fn new(interval_s: i32, timeout_s: i32, now: Instant) -> Self {
        let seconds = |given: i32, default: u64| {
            Duration::from_secs(u64::try_from(given).ok().filter(|s| *s > 0).unwrap_or(default))
        };
        let (interval, timeout) = (seconds(interval_s, 5), seconds(timeout_s, 15));
        Self { interval, timeout, heard_at: now, ping_at: now + interval }
    }

    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// When [`Self::poll`] has something to say.
    pub(crate) fn deadline(&self) -> Instant {
        self.ping_at.min(self.heard_at + self.timeout)
    }

    pub(crate) fn poll(&mut self, now: Instant) -> Beat {
        if now >= self.heard_at + self.timeout {
            return Beat::Lost;
        }
        if now >= self.ping_at {
            self.ping_at = now + self.interval;
            return Beat::Ping;
        }
        Beat::Wait(self.deadline())
    }
}

#[cfg(test)]
mod tests {
    use aura_types::{Clock, SystemClock};

    use super::*;

    #[test]
    fn pings_at_the_interval_and_dies_only_of_silence() {
        let start = SystemClock.monotonic();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut keepalive = Keepalive::new(5, 15, start);
        assert_eq!(keepalive.poll(at(1)), Beat::Wait(at(5)));
        assert_eq!(keepalive.poll(at(5)), Beat::Ping);
        assert_eq!(keepalive.poll(at(5)), Beat::Wait(at(10)));
        keepalive.heard(at(9));
        assert_eq!(keepalive.poll(at(20)), Beat::Ping);
        assert_eq!(keepalive.poll(at(23)), Beat::Wait(at(24)));
        assert_eq!(keepalive.poll(at(24)), Beat::Lost);
    }

    #[test]
    fn a_server_that_names_no_interval_gets_the_defaults() {
        let start = SystemClock.monotonic();
        let mut keepalive = Keepalive::new(0, -1, start);
        assert_eq!(keepalive.poll(start), Beat::Wait(start + Duration::from_secs(5)));
    }
}
