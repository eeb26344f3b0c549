//! Whether a publisher may send AIC now: yes, unless somebody listens who takes only Opus and nobody transcodes.
//!
//! One value per AIC track. The transcoder is opened while it is needed; when it is away the publisher is told at once,
//! and asked back only after the transcoder has been well for a while. Pure: what to do is read from the value.

use std::time::{Duration, Instant};

/// How long the first listeners wait for the transcoder before the publisher is asked for Opus.
const OPEN_PATIENCE: Duration = Duration::from_millis(300);
/// How long a transcoder that failed must be back before AIC is allowed again.
const RETURN_AFTER: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(4);

/// Where the transcoder of one track stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transcoder {
    /// None is configured, or the media are encrypted end to end.
    Unconfigured,
    /// Nobody needs it.
    Idle,
    Opening {
        since: Instant,
    },
    Ready {
        since: Instant,
    },
    Down {
        retry_at: Instant,
    },
}

/// The choice for one track.
#[derive(Debug, Clone)]
pub(crate) struct CodecChoice {
    transcoder: Transcoder,
    allows_aic: bool,
    failures: u32,
}

impl CodecChoice {
    /// A track that is sent as AIC until somebody cannot hear it.
    pub(crate) fn new(has_transcoder: bool) -> Self {
        let transcoder = if has_transcoder { Transcoder::Idle } else { Transcoder::Unconfigured };
        Self { transcoder, allows_aic: true, failures: 0 }
    }

    /// Whether the publisher may send AIC now.
    pub(crate) fn allows_aic(&self) -> bool {
        self.allows_aic
    }

    /// Whether a transcoding stream should be open or opening now.
    pub(crate) fn wants_stream(&self) -> bool {
        matches!(self.transcoder, Transcoder::Opening { .. } | Transcoder::Ready { .. })
    }

    /// Lets time pass, with what is known of the listeners: whether any takes no AIC.
    pub(crate) fn review(&mut self, opus_only_listeners: bool, now: Instant) {
        if !opus_only_listeners {
            if self.transcoder != Transcoder::Unconfigured {
                self.transcoder = Transcoder::Idle;
            }
            self.allows_aic = true;
            return;
        }
        match self.transcoder {
            Transcoder::Unconfigured => self.allows_aic = false,
            Transcoder::Idle => self.transcoder = Transcoder::Opening { since: now },
            Transcoder::Opening { since } => self.allows_aic &= now.duration_since(since) < OPEN_PATIENCE,
            Transcoder::Ready { since } => {
                if now.duration_since(since) >= RETURN_AFTER {
                    self.allows_aic = true;
                    self.failures = 0;
                }
            }
            Transcoder::Down { retry_at } => {
                if now >= retry_at {
                    self.transcoder = Transcoder::Opening { since: now };
                }
            }
        }
    }

    /// The stream is open.
    pub(crate) fn opened(&mut self, now: Instant) {
        if matches!(self.transcoder, Transcoder::Opening { .. }) {
            self.transcoder = Transcoder::Ready { since: now };
        }
    }

    /// The stream ended in order, for having nothing to do: another is opened, and that is no failure.
    pub(crate) fn ended(&mut self, now: Instant) {
        if self.wants_stream() {
            self.transcoder = Transcoder::Opening { since: now };
        }
    }

    /// The stream broke, could not be opened, or is too slow.
    pub(crate) fn failed(&mut self, now: Instant) {
        if !self.wants_stream() {
            return;
        }
        let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(8)).min(LONGEST_RETRY);
        self.failures += 1;
        self.transcoder = Transcoder::Down { retry_at: now + wait };
        self.allows_aic = false;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    #[test]
    fn without_a_transcoder_one_deaf_listener_decides_at_once() {
        let now = Instant::now();
        let mut choice = CodecChoice::new(false);
        choice.review(false, now);
        assert!(choice.allows_aic());
        choice.review(true, now);
        assert!(!choice.allows_aic() && !choice.wants_stream());
        choice.review(false, now);
        assert!(choice.allows_aic(), "the listener left");
    }

    #[test]
    fn a_prompt_transcoder_is_not_noticed() {
        let now = Instant::now();
        let mut choice = CodecChoice::new(true);
        choice.review(true, now);
        assert!(choice.wants_stream() && choice.allows_aic());
        choice.opened(now + TICK);
        choice.review(true, now + 10 * OPEN_PATIENCE);
        assert!(choice.allows_aic());
        choice.review(false, now + 10 * OPEN_PATIENCE);
        assert!(!choice.wants_stream(), "closed when nobody needs it");
    }

    #[test]
    fn a_late_one_costs_a_detour() {
        let now = Instant::now();
        let mut choice = CodecChoice::new(true);
        choice.review(true, now);
        choice.review(true, now + OPEN_PATIENCE);
        assert!(!choice.allows_aic());
        let opened = now + OPEN_PATIENCE + TICK;
        choice.opened(opened);
        choice.review(true, opened + RETURN_AFTER - TICK);
        assert!(!choice.allows_aic(), "not back at once");
        choice.review(true, opened + RETURN_AFTER);
        assert!(choice.allows_aic());
    }

    #[test]
    fn a_broken_one_is_told_at_once_and_retried_ever_more_patiently() {
        let mut now = Instant::now();
        let mut choice = CodecChoice::new(true);
        choice.review(true, now);
        choice.opened(now);
        choice.failed(now);
        assert!(!choice.allows_aic() && !choice.wants_stream());
        let mut waits = Vec::new();
        for _ in 0..8 {
            let down_at = now;
            while !choice.wants_stream() {
                now += Duration::from_millis(50);
                choice.review(true, now);
            }
            waits.push(now - down_at);
            choice.failed(now);
        }
        assert!(waits.is_sorted() && waits[0] == FIRST_RETRY && waits[7] == LONGEST_RETRY, "{waits:?}");
        assert!(!choice.allows_aic());
    }

    #[test]
    fn an_idle_end_is_no_failure_and_stale_news_change_nothing() {
        let now = Instant::now();
        let mut choice = CodecChoice::new(true);
        choice.review(true, now);
        choice.opened(now);
        choice.ended(now);
        assert!(choice.allows_aic() && choice.wants_stream());
        choice.review(false, now);
        choice.failed(now);
        choice.opened(now);
        assert!(choice.allows_aic() && !choice.wants_stream(), "about a stream nobody wants any more");
    }
}
