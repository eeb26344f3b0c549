//! The shared rate limiter.

use std::time::{Duration, Instant};

use aura_store::{Redis, RedisRateLimiter};
use aura_testkit::{RedisServer, eventually};
use aura_types::{Quota, RateLimiter as _, SystemClock};

fn limiter(server: &RedisServer) -> RedisRateLimiter {
    RedisRateLimiter::new(Redis::new(server.url()).unwrap(), SystemClock::shared())
}

const QUOTA: Quota = Quota { burst: 5, refill_per_s: 0.01 };

#[tokio::test]
async fn processes_share_one_quota() {
    let server = RedisServer::shared();
    let (one, two) = (limiter(server), limiter(server));
    let mut allowed = 0;
    for _ in 0..5 {
        for limiter in [&one, &two] {
            let decision = limiter.check("shared-quota", QUOTA).await;
            allowed += u32::from(decision.allowed);
            if !decision.allowed {
                let wait = decision.retry_after.unwrap();
                assert!(wait > Duration::from_secs(60) && wait <= Duration::from_secs(100), "{wait:?}");
            }
        }
    }
    assert_eq!(allowed, 5);
    assert!(one.check("another-key", QUOTA).await.allowed);
}

#[tokio::test]
async fn tokens_come_back_with_time() {
    let server = RedisServer::shared();
    let limiter = limiter(server);
    let quota = Quota { burst: 1, refill_per_s: 20.0 };
    assert!(limiter.check("refill", quota).await.allowed);
    eventually(Duration::from_secs(2), || async { limiter.check("refill", quota).await.allowed }).await;
}

#[tokio::test]
async fn a_dead_redis_neither_opens_nor_closes_the_gate() {
    let server = RedisServer::start();
    let limiter = limiter(&server);
    assert!(limiter.check("fallback", QUOTA).await.allowed);
    server.kill9().await;
    #[expect(clippy::disallowed_methods, reason = "measures how long callers wait")]
    let started = Instant::now();
    let mut allowed = 0;
    for _ in 0..50 {
        allowed += u32::from(limiter.check("fallback", QUOTA).await.allowed);
    }
    assert_eq!(allowed, 5, "each process counts for itself");
    assert!(started.elapsed() < Duration::from_secs(2), "and does not wait for Redis each time");

    server.restart().await;
    // Redis came back empty: that its count is used again shows by five more being allowed.
    let mut again = 0;
    eventually(Duration::from_secs(5), || {
        let check = limiter.check("fallback", QUOTA);
        async { check.await.allowed }
    })
    .await;
    again += 1;
    for _ in 0..10 {
        again += u32::from(limiter.check("fallback", QUOTA).await.allowed);
    }
    assert_eq!(again, 5);
}
