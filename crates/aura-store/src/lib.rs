//! Postgres pools, the tenant transaction, migrations, and the Redis event bus.
//!
//! Names no table: schemas and queries belong to the services. PostgreSQL is the truth, Redis the hint:
//! nothing here waits for Redis where the answer is not about Redis.
#![warn(missing_docs)]

pub mod bus;
mod error;
pub mod migrate;
pub mod postgres;
mod rate_limit;
mod redis;
mod retry;

pub use error::StoreError;
pub use postgres::{Database, DatabaseOptions, SystemTx, TenantTx};
pub use rate_limit::RedisRateLimiter;
pub use redis::{Redis, RedisConnection};

/// An error and its causes in one line, for the log.
fn chain(error: &StoreError) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
