//! Sections every service's configuration is built from.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Secret;

/// Where the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// A developer's machine or a test: sample secrets are tolerated.
    Development,
    /// A rehearsal of production.
    Staging,
    /// The default, so that forgetting to say is safe.
    #[default]
    Production,
}

impl Environment {
    /// Whether weak secrets are tolerated.
    #[must_use]
    pub fn is_development(self) -> bool {
        self == Self::Development
    }
}

/// The three addresses a service listens on. Port 0 lets the system choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Public HTTP.
    pub http_addr: SocketAddr,
    /// Internal gRPC.
    pub grpc_addr: SocketAddr,
    /// Health and metrics, for operators only.
    pub admin_addr: SocketAddr,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// A level (`info`) or filter directives (`info,webrtc_sfu::shard=debug`).
    pub level: String,
    /// JSON or text.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Json }
    }
}

/// Traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// An OTLP/gRPC collector (`http://host:4317`). Nothing is exported without one.
    pub otlp_endpoint: Option<String>,
    /// The share of new traces that is recorded, 0 to 1. A caller's decision is kept.
    pub sample_ratio: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample_ratio: 1.0 }
    }
}

/// Shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// How long to report "not ready" before refusing work, so that load balancers notice.
    pub drain_delay_s: u64,
    /// How long work in progress may take after that.
    pub grace_s: u64,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { drain_delay_s: 0, grace_s: 20 }
    }
}

impl ShutdownConfig {
    /// [`Self::drain_delay_s`] as a duration.
    #[must_use]
    pub fn drain_delay(&self) -> Duration {
        Duration::from_secs(self.drain_delay_s)
    }

    /// [`Self::grace_s`] as a duration.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_s)
    }
}

/// PostgreSQL.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// The service's own login (`DATABASE_URL`). Contains a password, so it is a secret.
    pub url: Secret,
    /// Connections on behalf of users.
    pub max_connections: u32,
    /// Connections on behalf of the system.
    pub system_connections: u32,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self { url: Secret::default(), max_connections: 16, system_connections: 4 }
    }
}

/// Redis.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisConfig {
    /// The server (`REDIS_URL`). May contain a password, so it is a secret.
    pub url: Secret,
}
