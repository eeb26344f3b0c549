//! Waiting for something to become true, instead of sleeping and hoping.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

const POLL: Duration = Duration::from_millis(20);

/// Asks `condition` until it answers true.
///
/// # Panics
/// When it has not within `limit`.
#[track_caller]
pub fn eventually<F: Future<Output = bool>>(
    limit: Duration,
    condition: impl FnMut() -> F,
) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    let mut condition = condition;
    async move {
        let held = eventually_within(limit, || {
            let answer = condition();
            async move { answer.await.then_some(()) }
        });
        assert!(held.await.is_some(), "the condition at {place} did not hold within {limit:?}");
    }
}

/// Asks `attempt` until it yields a value; `None` after `limit`.
pub async fn eventually_within<T, F: Future<Output = Option<T>>>(
    limit: Duration,
    mut attempt: impl FnMut() -> F,
) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // One attempt that hangs must not hang the test.
        match timeout(left.max(POLL), attempt()).await {
            Ok(Some(value)) => return Some(value),
            Ok(None) if Instant::now() < deadline => sleep(POLL).await,
            Ok(None) | Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn yields_as_soon_as_it_holds_and_gives_up_in_time() {
        let mut asked = 0;
        eventually(Duration::from_secs(5), || {
            asked += 1;
            let holds = asked == 3;
            async move { holds }
        })
        .await;
        assert_eq!(asked, 3);
        let never = eventually_within(Duration::from_millis(50), std::future::pending::<Option<()>>).await;
        assert_eq!(never, None);
    }
}
