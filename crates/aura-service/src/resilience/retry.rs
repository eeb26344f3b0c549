//! Retry with exponential backoff and full jitter, inside a time budget. Only for calls that may safely
//! happen twice: the caller says so by using it.

use std::future::Future;
use std::time::Duration;

/// How often and how long to try.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Tries in all, the first included.
    pub max_tries: u32,
    /// The longest pause after the first failure; doubled after each further one.
    pub base: Duration,
    /// The longest pause ever.
    pub max: Duration,
    /// No new try starts after this much time.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_tries: 3,
            base: Duration::from_millis(50),
            max: Duration::from_secs(1),
            budget: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// The pause before try number `next` (2 is the first retry), for a uniform `random` in 0..1. Full
    /// jitter: callers that failed together do not come back together.
    #[must_use]
    pub fn pause(&self, next: u32, random: f64) -> Duration {
        let doublings = next.saturating_sub(2).min(16);
        self.base.saturating_mul(1 << doublings).min(self.max).mul_f64(random.clamp(0.0, 1.0))
    }
}

/// Calls `attempt` until it succeeds, fails with an error that is not `retryable`, or the policy ends.
///
/// # Errors
/// The last attempt's error.
pub async fn retry<T, E, F, A>(
    policy: &RetryPolicy,
    retryable: impl Fn(&E) -> bool,
    mut attempt: A,
) -> Result<T, E>
where
    A: FnMut() -> F,
    F: Future<Output = Result<T, E>>,
{
    let deadline = tokio::time::Instant::now() + policy.budget;
    let mut tries = 1;
    loop {
        match attempt().await {
            Err(error) if tries < policy.max_tries && retryable(&error) => {
                tries += 1;
                let pause = policy.pause(tries, rand::random());
                if tokio::time::Instant::now() + pause >= deadline {
                    return Err(error);
                }
                tokio::time::sleep(pause).await;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RetryPolicy::default();
        let longest: Vec<_> = (2..9).map(|next| policy.pause(next, 1.0).as_millis()).collect();
        assert_eq!(longest, [50, 100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(policy.pause(5, 0.0), Duration::ZERO);
    }

    #[tokio::test]
    async fn retries_only_what_may_be_retried_and_within_the_budget() {
        let run = async |policy: RetryPolicy, error: &'static str| {
            let mut calls = 0;
            let result: Result<(), _> = retry(
                &policy,
                |error| *error == "busy",
                || {
                    calls += 1;
                    async move { Err(error) }
                },
            )
            .await;
            assert_eq!(result, Err(error));
            calls
        };
        assert_eq!(run(RetryPolicy::default(), "busy").await, 3);
        assert_eq!(run(RetryPolicy::default(), "fatal").await, 1);
        let no_budget = RetryPolicy { budget: Duration::ZERO, ..RetryPolicy::default() };
        assert_eq!(run(no_budget, "busy").await, 1);
    }
}
