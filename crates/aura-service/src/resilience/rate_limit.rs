//! A rate limiter in this process's memory: exact for one process, and what the Redis-backed limiter of
//! `aura-store` falls back on.

use std::sync::{Mutex, PoisonError};

use aura_types::{DecisionFuture, Quota, RateLimiter, SharedClock, TokenBuckets};

const MAX_KEYS: usize = 100_000;

/// Token buckets in memory.
#[derive(Debug)]
pub struct LocalRateLimiter {
    buckets: Mutex<TokenBuckets>,
    clock: SharedClock,
}

impl LocalRateLimiter {
    /// No key has been seen yet.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { buckets: Mutex::new(TokenBuckets::new(MAX_KEYS)), clock }
    }
}

impl RateLimiter for LocalRateLimiter {
    fn check<'a>(&'a self, key: &'a str, quota: Quota) -> DecisionFuture<'a> {
        let now = self.clock.monotonic();
        let decision = self.buckets.lock().unwrap_or_else(PoisonError::into_inner).take(key, quota, now);
        Box::pin(std::future::ready(decision))
    }
}
