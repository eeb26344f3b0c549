//! Rate limits shared by all processes: one atomic script in Redis. While Redis is away each process counts
//! for itself: never unlimited, never total denial.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aura_types::{Decision, DecisionFuture, Quota, RateLimiter, SharedClock, TokenBuckets};
use redis::Script;
use tokio::time::timeout;

use crate::{Redis, StoreError};

/// A token bucket on Redis's own clock, so that processes need not agree on the time.
const SCRIPT: &str = r"
local burst, refill, ttl_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(bucket[1]) or burst, tonumber(bucket[2]) or now
tokens = math.min(burst, tokens + math.max(0, now - at) * refill / 1000)
local allowed, wait_ms = 0, 0
if tokens >= 1 then
  allowed, tokens = 1, tokens - 1
elseif refill > 0 then
  wait_ms = math.ceil((1 - tokens) / refill * 1000)
else
  wait_ms = ttl_ms
end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(now))
redis.call('PEXPIRE', KEYS[1], ttl_ms)
return {allowed, math.floor(tokens), wait_ms}
";

const MAX_LOCAL_KEYS: usize = 100_000;
/// The longest a request waits for Redis's opinion.
const LIMIT: Duration = Duration::from_millis(250);
/// After a failure, how long Redis is not asked: requests should not queue up behind a dead server.
const PAUSE: Duration = Duration::from_secs(1);
const DAY_MS: u64 = 86_400_000;

/// Token buckets in Redis, with buckets in memory behind them.
pub struct RedisRateLimiter {
    redis: Redis,
    script: Script,
    clock: SharedClock,
    local: Mutex<Local>,
}

struct Local {
    buckets: TokenBuckets,
    redis_away_until: Option<Instant>,
}

impl std::fmt::Debug for RedisRateLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisRateLimiter").field("redis", &self.redis).finish_non_exhaustive()
    }
}

impl RedisRateLimiter {
    /// Counts in `redis`.
    #[must_use]
    pub fn new(redis: Redis, clock: SharedClock) -> Self {
        let local = Local { buckets: TokenBuckets::new(MAX_LOCAL_KEYS), redis_away_until: None };
        Self { redis, script: Script::new(SCRIPT), clock, local: Mutex::new(local) }
    }

    async fn check_redis(&self, key: &str, quota: Quota) -> Result<Decision, StoreError> {
        let mut connection = self.redis.conn().await?;
        let refill_ms = u64::try_from(quota.refill_time().as_millis()).unwrap_or(DAY_MS);
        let (allowed, remaining, wait_ms): (u8, u32, u64) = self
            .script
            .key(format!("ratelimit:{key}"))
            .arg(quota.burst)
            .arg(quota.refill_per_s)
            .arg(refill_ms.clamp(1_000, DAY_MS))
            .invoke_async(&mut connection)
            .await?;
        let allowed = allowed == 1;
        Ok(Decision { allowed, remaining, retry_after: (!allowed).then(|| Duration::from_millis(wait_ms)) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RateLimiter for RedisRateLimiter {
    fn check<'a>(&'a self, key: &'a str, quota: Quota) -> DecisionFuture<'a> {
        Box::pin(async move {
            let away = self.lock().redis_away_until.is_some_and(|until| self.clock.monotonic() < until);
            if !away {
                match timeout(LIMIT, self.check_redis(key, quota)).await {
                    Ok(Ok(decision)) => return decision,
                    Ok(Err(error)) => {
                        tracing::warn!(error = %crate::chain(&error), "counting requests locally");
                    }
                    Err(_) => tracing::warn!("Redis is slow: counting requests locally"),
                }
                self.lock().redis_away_until = Some(self.clock.monotonic() + PAUSE);
            }
            metrics::counter!("auralink_rate_limit_local_total").increment(1);
            let now = self.clock.monotonic();
            self.lock().buckets.take(key, quota, now)
        })
    }
}
