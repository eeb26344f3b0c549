//! Test support: throw-away PostgreSQL and Redis, tokens, waiting for conditions, built binaries.
//!
//! Real servers, on loopback and free ports, gone with the test process however it ends. Everything panics
//! rather than return errors: in a test there is nobody to handle them.
#![warn(missing_docs)]

mod binary;
pub mod catalogue;
mod keeper;
mod postgres;
mod redis;
mod scratch;
pub mod tokens;
mod wait;

pub use aura_local::{Launch, Process, Signal, find_program};
pub use binary::{binary, test_data, workspace_root};
pub use postgres::{Postgres, TestDatabase};
pub use redis::RedisServer;
pub use scratch::Scratch;
pub use wait::{eventually, eventually_within};

/// A port free for TCP and UDP on loopback.
#[must_use]
pub fn free_port() -> u16 {
    aura_local::free_port()
}

/// A port free for TCP on loopback.
#[must_use]
pub fn free_tcp_port() -> u16 {
    aura_local::free_port()
}

/// A port free for UDP on loopback.
#[must_use]
pub fn free_udp_port() -> u16 {
    aura_local::free_port()
}
