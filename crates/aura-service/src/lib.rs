//! The process shell of every service: config, telemetry, health, lifecycle, HTTP and gRPC edges, auth,
//! resilience, mTLS.
//!
//! No business rule lives here, and no storage: a service brings its handlers and its `run`, this crate
//! brings everything a handler may take for granted.
#![warn(missing_docs)]

pub mod auth;
pub mod config;
pub mod error;
pub mod grpc;
pub mod health;
pub mod http;
pub mod json;
pub mod lifecycle;
pub mod metrics;
mod patience;
pub mod process;
pub mod request_scope;
pub mod resilience;
pub mod telemetry;

pub use error::{Result, ServiceError};
pub use health::Health;
pub use lifecycle::Lifecycle;
pub use patience::Patience;
pub use process::Service;
