//! Settings of the service. `config.default.toml` documents each; this gives them types and checks them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use aura_service::config::{
    DatabaseConfig, Environment, Faults, LogConfig, Secret, ServiceConfig, ShutdownConfig, TelemetryConfig,
};
use aura_service::grpc::TlsConfig;
use serde::{Deserialize, Serialize};

use super::engine::preference::Preference;
use crate::Backend;
use crate::control::Mode;

/// The service's configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub(crate) env: Environment,
    pub(crate) grpc_addr: SocketAddr,
    pub(crate) admin_addr: SocketAddr,
    pub(crate) instance: String,
    /// mTLS for gRPC; plain, with service tokens only, when absent.
    #[serde(default)]
    pub(crate) grpc_tls: Option<TlsConfig>,
    #[serde(default)]
    pub(crate) auth: AuthConfig,
    #[serde(default)]
    pub(crate) database: DatabaseConfig,
    pub(crate) aic: AicSection,
    pub(crate) model: ModelSection,
    pub(crate) workers: WorkerSection,
    pub(crate) limits: LimitSection,
    pub(crate) store: StoreSection,
    #[serde(default)]
    pub(crate) log: LogConfig,
    #[serde(default)]
    pub(crate) telemetry: TelemetryConfig,
    #[serde(default)]
    pub(crate) shutdown: ShutdownConfig,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuthConfig {
    pub(crate) service_secret: Secret,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AicSection {
    pub(crate) enabled: bool,
    #[serde(with = "mode_name")]
    pub(crate) mode: Mode,
    pub(crate) target_compression_ratio: f64,
    pub(crate) max_latency_ms: f64,
    pub(crate) min_quality_score: f64,
    pub(crate) enable_fallback: bool,
    pub(crate) gpu: GpuSection,
}

/// The library knows no configuration files; here its modes are written by name.
mod mode_name {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Mode;

    pub(super) fn serialize<S: Serializer>(mode: &Mode, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(mode.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GpuSection {
    pub(crate) enabled: bool,
    pub(crate) device_id: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelSection {
    pub(crate) dir: PathBuf,
    pub(crate) backend: BackendName,
    pub(crate) warm_up_frames: u32,
}

/// What shall run the network, as configuration spells it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BackendName {
    Auto,
    Native,
    Onnx,
}

impl From<BackendName> for Backend {
    fn from(name: BackendName) -> Self {
        match name {
            BackendName::Auto => Self::Auto,
            BackendName::Native => Self::Native,
            BackendName::Onnx => Self::Onnx,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkerSection {
    pub(crate) threads: usize,
    pub(crate) queue: usize,
}

impl WorkerSection {
    pub(crate) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitSection {
    pub(crate) streams: usize,
    pub(crate) streams_per_caller: usize,
    pub(crate) unary_per_caller: usize,
    pub(crate) unary_ms: u32,
    pub(crate) idle_s: u32,
    pub(crate) imported_sessions: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreSection {
    pub(crate) flush_ms: u32,
    pub(crate) backlog_rows: usize,
    pub(crate) retention_days: u32,
    pub(crate) housekeeping_s: u32,
}

impl StoreSection {
    pub(crate) fn flush_every(&self) -> Duration {
        Duration::from_millis(u64::from(self.flush_ms))
    }
}

impl Config {
    /// What users get who have configured nothing.
    pub(crate) fn default_preference(&self) -> Preference {
        Preference {
            enabled: self.aic.enabled,
            mode: self.aic.mode,
            target_compression_ratio: self.aic.target_compression_ratio,
            max_latency_ms: self.aic.max_latency_ms,
            min_quality_score: self.aic.min_quality_score,
            enable_fallback: self.aic.enable_fallback,
            gpu_enabled: self.aic.gpu.enabled,
            gpu_device_id: self.aic.gpu.device_id,
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
        faults.secret("auth.service_secret", &self.auth.service_secret, self.env);
        for (key, secret) in
            [("auth.service_secret", &self.auth.service_secret), ("database.url", &self.database.url)]
        {
            if secret.is_empty() {
                faults.add(key, "is missing");
            }
        }
        if let Err(fault) = self.default_preference().check() {
            let key = match fault.field {
                "gpu_device_id" => "aic.gpu.device_id".to_owned(),
                field => format!("aic.{field}"),
            };
            faults.add(&key, fault.message);
        }
        for (key, value, low, high) in [
            ("workers.threads", self.workers.threads, 0, 256),
            ("workers.queue", self.workers.queue, 1, 65_536),
            ("limits.streams", self.limits.streams, 1, 65_536),
            ("limits.streams_per_caller", self.limits.streams_per_caller, 1, 65_536),
            ("limits.unary_per_caller", self.limits.unary_per_caller, 1, 1_024),
            ("limits.unary_ms", self.limits.unary_ms as usize, 20, 60_000),
            ("limits.idle_s", self.limits.idle_s as usize, 1, 3_600),
            ("limits.imported_sessions", self.limits.imported_sessions, 1, 4_096),
            ("store.flush_ms", self.store.flush_ms as usize, 100, 60_000),
            ("store.backlog_rows", self.store.backlog_rows, 1, 1_000_000),
            ("store.retention_days", self.store.retention_days as usize, 1, 59),
            ("store.housekeeping_s", self.store.housekeeping_s as usize, 1, 86_400),
        ] {
            if !(low..=high).contains(&value) {
                faults.add(key, format!("must be {low} to {high}"));
            }
        }
    }
}
