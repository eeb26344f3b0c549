//! Layered configuration: embedded defaults → file → environment, checked whole before anything starts.
//!
//! All faults are reported together. Unknown keys are faults, in the file and under the service's own
//! environment prefix; the names every service shares (`DATABASE_URL`, …) are ignored by a service whose
//! configuration has no place for them.

mod keys;
mod loader;
mod repair;
mod secret;
mod section;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use keys::{LivekitKeys, parse_pairs};
pub use loader::{Loader, SHARED_NAMES};
pub use secret::{MIN_SECRET_BYTES, Secret};
pub use section::{
    DatabaseConfig, Environment, Listen, LogConfig, LogFormat, RedisConfig, ShutdownConfig, TelemetryConfig,
};

/// What the process shell needs to know of a service's configuration.
pub trait ServiceConfig: DeserializeOwned + Serialize + Send + 'static {
    /// Where this runs; decides whether weak secrets are tolerated.
    fn environment(&self) -> Environment;

    /// How to log.
    fn log(&self) -> &LogConfig;

    /// Where to send traces.
    fn telemetry(&self) -> &TelemetryConfig;

    /// How long shutdown may take.
    fn shutdown(&self) -> &ShutdownConfig;

    /// Checks across keys, and of secrets. Every fault found is added; none stops the others.
    fn check(&self, faults: &mut Faults);
}

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The dotted key, empty when the fault is not about one key.
    pub key: String,
    /// What is wrong, without the value (it may be a secret).
    pub message: String,
    /// Where the value came from, when it came from somewhere.
    pub origin: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match &self.origin {
            Some(origin) => write!(f, " ({origin})"),
            None => Ok(()),
        }
    }
}

/// The faults found so far.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Records a fault of `key`, unless that key has one already: the first is the cause.
    pub fn add(&mut self, key: &str, message: impl Into<String>) {
        self.push(Fault { key: key.to_owned(), message: message.into(), origin: None });
    }

    /// Records a fault when `secret` is short, a well-known default, or empty, outside development.
    pub fn secret(&mut self, key: &str, secret: &Secret, environment: Environment) {
        if environment.is_development() {
            return;
        }
        if let Some(weakness) = secret.weakness() {
            self.add(key, weakness);
        }
    }

    /// [`Self::secret`] for every LiveKit API secret; a set without keys is a fault everywhere.
    pub fn livekit_keys(&mut self, key: &str, keys: &LivekitKeys, environment: Environment) {
        if keys.is_empty() {
            self.add(key, "holds no API key; write `key: secret`");
        }
        for (_, secret) in keys.iter() {
            self.secret(key, secret, environment);
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, fault: Fault) {
        if fault.key.is_empty() || !self.has(&fault.key) {
            self.0.push(fault);
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|fault| fault.key == key)
    }

    pub(crate) fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read or parsed.
    #[error("configuration file {path}: {reason}")]
    File {
        /// The file, or `config.default.toml` for the embedded defaults.
        path: String,
        /// Why.
        reason: String,
    },
    /// One or more keys are wrong.
    #[error("{}", list(.0))]
    Faults(Vec<Fault>),
}

impl ConfigError {
    /// The faults, when that is what is wrong.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Faults(faults) => faults,
            Self::File { .. } => &[],
        }
    }
}

fn list(faults: &[Fault]) -> String {
    let mut text = format!("{} configuration fault(s):", faults.len());
    for fault in faults {
        text.push_str("\n  ");
        text.push_str(&fault.to_string());
    }
    text
}

/// Loads from the embedded defaults, the file named by `AURALINK_CONFIG`, and the process environment.
///
/// # Errors
/// Every fault found, at once.
pub fn load<T: ServiceConfig>(
    env_prefix: &'static str,
    default_toml: &'static str,
) -> Result<T, ConfigError> {
    let mut loader = Loader::new(env_prefix, default_toml).process_env();
    if let Some(path) = std::env::var_os("AURALINK_CONFIG") {
        loader = loader.file(path);
    }
    loader.load()
}

/// The configuration as JSON with every secret replaced, for `--check-config`.
#[must_use]
pub fn redacted<T: Serialize>(config: &T) -> String {
    serde_json::to_string_pretty(config).unwrap_or_else(|error| format!("cannot print: {error}"))
}
