//! Tokens: who calls, and what they may do. Three kinds that never stand in for each other.
//!
//! [`user`]: a person at the dashboard. [`service`]: one of our processes. [`access_token`]: a participant,
//! as LiveKit's SDKs sign and read them. Each kind has its own keys, and every key one algorithm (HS256);
//! `jku`, `x5u` and embedded keys are ignored. Time is passed in, so that tests need not wait.

pub mod access_token;
mod grants;
mod jwt;
pub mod service;
pub mod user;

pub use jwt::{KeyError, TokenError};
