//! Configuration of the SFU; `config.default.toml` documents every key.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aura_service::config::{
    Environment, Faults, LivekitKeys, LogConfig, RedisConfig, Secret, ServiceConfig, ShutdownConfig,
    TelemetryConfig,
};
use aura_service::grpc::TlsConfig;
use aura_service::http::TrustedProxies;
use serde::{Deserialize, Serialize};

use crate::engine::room::RoomPolicy;

/// The SFU's configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub(crate) env: Environment,
    pub(crate) http_addr: SocketAddr,
    pub(crate) grpc_addr: SocketAddr,
    pub(crate) admin_addr: SocketAddr,
    /// Whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) region: String,
    /// mTLS for gRPC; plain, with service tokens only, when absent.
    #[serde(default)]
    pub(crate) grpc_tls: Option<TlsConfig>,
    pub(crate) auth: AuthConfig,
    pub(crate) redis: RedisConfig,
    pub(crate) rtc: RtcSection,
    pub(crate) aic: AicSection,
    pub(crate) room: RoomSection,
    pub(crate) limit: LimitSection,
    pub(crate) log: LogConfig,
    pub(crate) telemetry: TelemetryConfig,
    pub(crate) shutdown: ShutdownConfig,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthConfig {
    pub(crate) livekit_keys: LivekitKeys,
    pub(crate) service_secret: Secret,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RtcSection {
    pub(crate) udp_enabled: bool,
    pub(crate) udp_port: u16,
    pub(crate) tcp_enabled: bool,
    pub(crate) tcp_port: u16,
    pub(crate) bind_ip: IpAddr,
    pub(crate) node_ips: Vec<IpAddr>,
    pub(crate) enable_loopback_candidate: bool,
    pub(crate) shards: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AicSection {
    pub(crate) enabled: bool,
    pub(crate) model: String,
    pub(crate) grpc_url: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoomSection {
    pub(crate) auto_create: bool,
    pub(crate) empty_timeout_s: u64,
    pub(crate) departure_timeout_s: u64,
    pub(crate) max_participants: u32,
    pub(crate) enable_remote_unmute: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitSection {
    pub(crate) signal_message_size: usize,
}

impl LimitSection {
    /// Largest signalling message a client may send.
    pub(crate) fn signal_message_bytes(&self) -> usize {
        match self.signal_message_size {
            0 => usize::MAX,
            bytes => bytes,
        }
    }
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
        if !self.rtc.udp_enabled && !self.rtc.tcp_enabled {
            faults.add("rtc.udp_enabled", "UDP and ICE-TCP cannot both be off");
        }
        let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if self.aic.model.is_empty() || self.aic.model.len() > 64 || !self.aic.model.bytes().all(named) {
            faults.add("aic.model", "letters, digits, '-', '_' and '.', at most 64");
        }
        if self.rtc.shards > 256 {
            faults.add("rtc.shards", "at most 256");
        }
    }
}

impl Config {
    pub(crate) fn room_policy(&self, node_id: String) -> RoomPolicy {
        RoomPolicy {
            empty_timeout: Duration::from_secs(self.room.empty_timeout_s),
            departure_timeout: Duration::from_secs(self.room.departure_timeout_s),
            max_participants: self.room.max_participants,
            remote_unmute: self.room.enable_remote_unmute,
            node_id,
            region: self.region.clone(),
        }
    }

    /// Number of media threads.
    pub(crate) fn shard_count(&self) -> usize {
        match self.rtc.shards {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        }
    }
}
