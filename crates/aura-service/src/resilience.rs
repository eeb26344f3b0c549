//! Living with peers that fail: circuit breaker, retry, rate limit. The state machines take `now` and do no
//! I/O; the tower layers and the `retry` function drive them.

mod breaker;
mod rate_limit;
mod retry;

pub use breaker::{Breaker, BreakerConfig, BreakerLayer, BreakerOpen, BreakerService, Circuit};
pub use rate_limit::LocalRateLimiter;
pub use retry::{RetryPolicy, retry};
