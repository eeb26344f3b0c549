//! Settings of the dashboard. `config.default.toml` documents each; this gives them types and checks them.

use crate::accounts::PasswordConfig;
use crate::engine::call::Timings;
use crate::files::FileConfig;
use crate::housekeeping::RetentionConfig;
use crate::throttle::LimitConfig;
use crate::ws::WebSocketConfig;
use aura_service::config::{
    DatabaseConfig, Environment, Faults, LivekitKeys, LogConfig, RedisConfig, Secret, ServiceConfig,
    ShutdownConfig, TelemetryConfig,
};
use aura_service::grpc::TlsConfig;
use aura_service::http::TrustedProxies;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use time::Duration;
use url::Url;

/// The embedded defaults.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub env: Environment,
    pub http_addr: SocketAddr,
    pub grpc_addr: SocketAddr,
    pub admin_addr: SocketAddr,
    pub public_url: String,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// mTLS for gRPC, served and called; plain, with service tokens only, when absent.
    #[serde(default)]
    pub grpc_tls: Option<TlsConfig>,
    pub housekeeping_s: u32,
    #[serde(default)]
    pub log: LogConfig,
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    #[serde(default)]
    pub shutdown: ShutdownConfig,
    #[serde(default)]
    pub database: DatabaseConfig,
    #[serde(default)]
    pub redis: RedisConfig,
    #[serde(default)]
    pub auth: AuthConfig,
    pub sfu: SfuConfig,
    pub aic: AicConfig,
    pub files: FileConfig,
    pub tokens: TokenConfig,
    pub passwords: PasswordConfig,
    pub calls: CallConfig,
    pub limits: LimitConfig,
    pub websocket: WebSocketConfig,
    pub retention: RetentionConfig,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    pub livekit_keys: LivekitKeys,
    pub service_secret: Secret,
    pub user_secret: Secret,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SfuConfig {
    pub grpc_url: String,
    pub public_url: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AicConfig {
    pub grpc_url: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    pub access_s: u32,
    pub refresh_idle_s: u32,
    pub refresh_grace_s: u32,
    pub login_s: u32,
    pub join_s: u32,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallConfig {
    pub join_timeout_s: u32,
    pub ring_timeout_s: u32,
    pub reconnect_grace_s: u32,
    pub reconcile_s: u32,
}

impl CallConfig {
    pub(crate) fn timings(&self) -> Timings {
        Timings { join: seconds(self.join_timeout_s), reconnect_grace: seconds(self.reconnect_grace_s) }
    }
}

pub(crate) fn seconds(count: u32) -> Duration {
    Duration::seconds(i64::from(count))
}

impl ServiceConfig for Config {
    fn environment(&self) -> Environment {
        self.env
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }

    fn check(&self, faults: &mut Faults) {
        faults.livekit_keys("auth.livekit_keys", &self.auth.livekit_keys, self.env);
        faults.secret("auth.service_secret", &self.auth.service_secret, self.env);
        faults.secret("auth.user_secret", &self.auth.user_secret, self.env);
        for (key, secret) in
            [("auth.service_secret", &self.auth.service_secret), ("auth.user_secret", &self.auth.user_secret)]
        {
            if secret.is_empty() {
                faults.add(key, "is missing");
            }
        }
        for (key, url, schemes) in [
            ("public_url", &self.public_url, &["http", "https"][..]),
            ("sfu.public_url", &self.sfu.public_url, &["ws", "wss"]),
            ("sfu.grpc_url", &self.sfu.grpc_url, &["http", "https"]),
            ("aic.grpc_url", &self.aic.grpc_url, &["http", "https"]),
        ] {
            if !Url::parse(url).is_ok_and(|url| schemes.contains(&url.scheme()) && url.host().is_some()) {
                faults.add(key, format!("must be a URL with scheme {}", schemes.join(" or ")));
            }
        }
        let weak = self.passwords.memory_kib < 19_456 || self.passwords.iterations < 2;
        if weak && !self.env.is_development() {
            faults.add("passwords", "must cost at least 19456 KiB and 2 iterations");
        }
        if !(1..=120).contains(&self.calls.ring_timeout_s) {
            faults.add("calls.ring_timeout_s", "must be 1 to 120");
        }
        for (key, count) in [
            ("calls.reconcile_s", self.calls.reconcile_s),
            ("housekeeping_s", self.housekeeping_s),
            ("websocket.ping_s", self.websocket.ping_s),
            ("websocket.session_check_s", self.websocket.session_check_s),
        ] {
            if count == 0 {
                faults.add(key, "must not be 0");
            }
        }
        if !(30..=86_400).contains(&self.tokens.access_s) {
            faults.add("tokens.access_s", "must be 30 to 86400");
        }
        if self.tokens.refresh_grace_s > 120 {
            faults.add("tokens.refresh_grace_s", "must be 0 to 120");
        }
    }
}
