//! Waiting for a condition, with the last thing seen in the failure.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::{sleep, timeout};

const POLL: Duration = Duration::from_millis(100);

/// Polls `look` until it answers `Ok`; after `limit`, what it answered last.
pub async fn within<T, S, F>(limit: Duration, mut look: impl FnMut() -> F) -> Result<T, String>
where
    S: Display,
    F: Future<Output = Result<T, S>>,
{
    let mut last = None;
    let found = timeout(limit, async {
        loop {
            match look().await {
                Ok(found) => return found,
                Err(state) => last = Some(state),
            }
            sleep(POLL).await;
        }
    })
    .await;
    found.map_err(|_| last.map_or_else(String::new, |state| state.to_string()))
}

/// Polls `look` until it answers `Ok`; panics after `limit` with what it answered last.
pub async fn until<T, S, F>(what: &str, limit: Duration, look: impl FnMut() -> F) -> T
where
    S: Display,
    F: Future<Output = Result<T, S>>,
{
    match within(limit, look).await {
        Ok(found) => found,
        Err(state) => panic!("not within {limit:?}: {what}; last seen: {state}"),
    }
}
