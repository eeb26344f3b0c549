//! Rate quotas: the decision as values, so that the local limiter (`aura-service`) and the Redis one
//! (`aura-store`) agree, and the token buckets both fall back on.
//!
//! Pure: time comes in as `now`.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// A token bucket's size and refill rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// How many requests may come at once.
    pub burst: u32,
    /// How many more are allowed per second, on average.
    pub refill_per_s: f64,
}

impl Quota {
    /// `count` requests a minute, all of which may come at once.
    #[must_use]
    pub fn per_minute(count: u32) -> Self {
        Self { burst: count, refill_per_s: f64::from(count) / 60.0 }
    }

    /// `count` requests a second, all of which may come at once.
    #[must_use]
    pub fn per_second(count: u32) -> Self {
        Self { burst: count, refill_per_s: f64::from(count) }
    }

    /// The time a drained bucket takes to be full again; state older than this may be forgotten.
    #[must_use]
    pub fn refill_time(&self) -> Duration {
        if self.refill_per_s > 0.0 {
            Duration::try_from_secs_f64(f64::from(self.burst) / self.refill_per_s).unwrap_or(Duration::MAX)
        } else {
            Duration::MAX
        }
    }
}

/// What a limiter says about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request may go on.
    pub allowed: bool,
    /// How many more would be allowed right now.
    pub remaining: u32,
    /// When refused, how long to wait before the next try.
    pub retry_after: Option<Duration>,
}

/// The future of a decision, boxed so that limiters can be trait objects.
pub type DecisionFuture<'a> = Pin<Box<dyn Future<Output = Decision> + Send + 'a>>;

/// Anything that can count requests by key. It always decides: a limiter whose store is down decides
/// locally rather than allow all or refuse all.
pub trait RateLimiter: Send + Sync {
    /// Counts one request of `key` against `quota`.
    fn check<'a>(&'a self, key: &'a str, quota: Quota) -> DecisionFuture<'a>;
}

/// Token buckets by key, bounded in number.
#[derive(Debug)]
pub struct TokenBuckets {
    buckets: HashMap<String, Bucket>,
    max_keys: usize,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    updated: Instant,
    full_at: Instant,
}

impl TokenBuckets {
    /// Keeps at most `max_keys` buckets; full ones are forgotten first, then the oldest.
    #[must_use]
    pub fn new(max_keys: usize) -> Self {
        Self { buckets: HashMap::new(), max_keys: max_keys.max(1) }
    }

    /// How many buckets are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether no bucket is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Takes one token of `key`.
    pub fn take(&mut self, key: &str, quota: Quota, now: Instant) -> Decision {
        let burst = f64::from(quota.burst);
        if !self.buckets.contains_key(key) {
            self.make_room(now);
            self.buckets.insert(key.to_owned(), Bucket { tokens: burst, updated: now, full_at: now });
        }
        let bucket = self.buckets.get_mut(key).expect("inserted above when it was missing");
        let elapsed = now.saturating_duration_since(bucket.updated).as_secs_f64();
        bucket.tokens = (bucket.tokens + elapsed * quota.refill_per_s).min(burst);
        bucket.updated = now;

        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        // Nothing divided by nothing is not a number: a quota of zero refills never.
        let seconds_until = |tokens: f64| match tokens / quota.refill_per_s {
            seconds if seconds.is_nan() => 86_400.0,
            seconds => seconds.clamp(0.0, 86_400.0),
        };
        bucket.full_at = now + Duration::from_secs_f64(seconds_until(burst - bucket.tokens));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 ≤ tokens ≤ burst: u32"
        )]
        let remaining = bucket.tokens as u32;
        Decision {
            allowed,
            remaining,
            retry_after: (!allowed).then(|| Duration::from_secs_f64(seconds_until(1.0 - bucket.tokens))),
        }
    }

    fn make_room(&mut self, now: Instant) {
        if self.buckets.len() < self.max_keys {
            return;
        }
        self.buckets.retain(|_, bucket| bucket.full_at > now);
        if self.buckets.len() < self.max_keys {
            return;
        }
        // Under attack by many keys: drop the older half, so that this scan is rare.
        let mut ages: Vec<_> = self.buckets.values().map(|bucket| bucket.updated).collect();
        ages.sort_unstable();
        let median = ages[ages.len() / 2];
        self.buckets.retain(|_, bucket| bucket.updated > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock as _, SystemClock};

    #[test]
    fn refuses_past_the_burst_and_refills_with_time() {
        let start = SystemClock.monotonic();
        let mut buckets = TokenBuckets::new(10);
        let quota = Quota { burst: 3, refill_per_s: 2.0 };
        for _ in 0..3 {
            assert!(buckets.take("a", quota, start).allowed);
        }
        let refused = buckets.take("a", quota, start);
        assert!(!refused.allowed);
        assert_eq!(refused.retry_after, Some(Duration::from_millis(500)));
        assert!(buckets.take("b", quota, start).allowed, "keys do not share a bucket");
        assert!(buckets.take("a", quota, start + Duration::from_millis(500)).allowed);
        assert!(!buckets.take("a", quota, start + Duration::from_millis(500)).allowed);
    }

    #[test]
    fn number_of_keys_is_bounded() {
        let start = SystemClock.monotonic();
        let mut buckets = TokenBuckets::new(100);
        for i in 0..10_000_u64 {
            buckets.take(&format!("k{i}"), Quota::per_minute(5), start + Duration::from_micros(i));
            assert!(buckets.len() <= 100);
        }
    }

    #[test]
    fn a_quota_of_zero_allows_nothing() {
        let now = SystemClock.monotonic();
        let decision = TokenBuckets::new(10).take("a", Quota { burst: 0, refill_per_s: 0.0 }, now);
        assert_eq!((decision.allowed, decision.remaining), (false, 0));
    }

    #[test]
    fn a_quota_without_refill_stays_empty() {
        let start = SystemClock.monotonic();
        let mut buckets = TokenBuckets::new(10);
        let quota = Quota { burst: 1, refill_per_s: 0.0 };
        assert!(buckets.take("a", quota, start).allowed);
        assert!(!buckets.take("a", quota, start + Duration::from_secs(3_600)).allowed);
    }
}
