//! Merges the layers and remembers where each key came from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use figment::Figment;
use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::repair::{self, Origin, Origins};
use super::{ConfigError, Fault, Faults, ServiceConfig};

/// Environment names every service understands, and the keys they set.
pub const SHARED_NAMES: [(&str, &str); 13] = [
    ("DATABASE_URL", "database.url"),
    ("REDIS_URL", "redis.url"),
    ("AURALINK_ENV", "env"),
    ("LOG_LEVEL", "log.level"),
    ("LOG_FORMAT", "log.format"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("LIVEKIT_KEYS", "auth.livekit_keys"),
    ("AURALINK_SERVICE_SECRET", "auth.service_secret"),
    ("AURALINK_USER_SECRET", "auth.user_secret"),
    ("AIC_ENABLED", "aic.enabled"),
    ("AIC_MODE", "aic.mode"),
    ("AIC_TARGET_COMPRESSION_RATIO", "aic.target_compression_ratio"),
    ("AIC_MAX_LATENCY_MS", "aic.max_latency_ms"),
];

const DEFAULTS_NAME: &str = "config.default.toml";

/// Builds a configuration from its layers.
#[derive(Debug)]
pub struct Loader {
    env_prefix: String,
    default_toml: String,
    file: Option<PathBuf>,
    env: BTreeMap<String, String>,
    unreadable_env: Vec<String>,
}

impl Loader {
    /// Starts from embedded defaults; `env_prefix` is without trailing underscores (`AURA_SFU`).
    #[must_use]
    pub fn new(env_prefix: &str, default_toml: &str) -> Self {
        Self {
            env_prefix: env_prefix.to_owned(),
            default_toml: default_toml.to_owned(),
            file: None,
            env: BTreeMap::new(),
            unreadable_env: Vec::new(),
        }
    }

    /// Adds a TOML file. It must exist.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Adds environment variables.
    #[must_use]
    pub fn env<K: Into<String>, V: Into<String>>(mut self, vars: impl IntoIterator<Item = (K, V)>) -> Self {
        self.env.extend(vars.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Adds this process's environment.
    #[must_use]
    pub fn process_env(mut self) -> Self {
        let ours = |name: &str, prefix: &str| {
            name.starts_with(prefix) || SHARED_NAMES.iter().any(|(shared, _)| *shared == name)
        };
        for (name, value) in std::env::vars_os() {
            let Ok(name) = OsString::into_string(name) else { continue };
            if !ours(&name, &self.env_prefix) {
                continue;
            }
            match value.into_string() {
                Ok(value) => drop(self.env.insert(name, value)),
                Err(_) => self.unreadable_env.push(name),
            }
        }
        self
    }

    /// Merges the layers and checks the result.
    ///
    /// # Errors
    /// Every fault found, at once.
    pub fn load<T: ServiceConfig>(self) -> Result<T, ConfigError> {
        self.load_checked(T::check)
    }

    /// [`Self::load`] for a type that is not a whole service's configuration, with its own check.
    ///
    /// # Errors
    /// Every fault found, at once.
    pub fn load_checked<T: DeserializeOwned>(
        self,
        check: impl FnOnce(&T, &mut Faults),
    ) -> Result<T, ConfigError> {
        let defaults = parse_toml(&self.default_toml, DEFAULTS_NAME)?;
        let mut merged = defaults.clone();
        let mut origins = Origins::default();
        let mut faults = Faults::default();

        if let Some(path) = &self.file {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| ConfigError::File { path: name.clone(), reason: error.to_string() })?;
            let layer = parse_toml(&text, &name)?;
            origins.record_leaves(&layer, &name);
            merge(&mut merged, layer);
        }
        self.merge_env(&mut merged, &mut origins, &mut faults);

        let config = repair::deserialize::<T>(merged, &defaults, &origins, &mut faults);
        if let Some(config) = &config {
            check(config, &mut faults);
        }
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(ConfigError::Faults(faults.into_vec())),
        }
    }

    fn merge_env(&self, merged: &mut Dict, origins: &mut Origins, faults: &mut Faults) {
        let own_prefix = format!("{}__", self.env_prefix);
        // The shared names first: the service's own spelling of the same key is more specific.
        let shared = SHARED_NAMES.iter().filter_map(|(name, key)| {
            self.env.get(*name).map(|value| (*name, value, key.split('.').map(str::to_owned).collect(), true))
        });
        let own = self.env.iter().filter_map(|(name, value)| {
            let rest = name.strip_prefix(&own_prefix)?;
            let path: Vec<_> = rest.split("__").map(str::to_ascii_lowercase).collect();
            Some((name.as_str(), value, path, false))
        });
        for (name, raw, path, is_shared) in shared.chain(own) {
            if raw.is_empty() {
                continue; // compose files pass unset variables as empty ones
            }
            let origin =
                Origin { source: format!("environment {name}"), raw: Some(raw.clone()), shared: is_shared };
            if path.iter().any(String::is_empty) || !repair::insert(merged, &path, parse_value(raw)) {
                faults.push(Fault {
                    key: path.join("."),
                    message: "does not name a key".to_owned(),
                    origin: Some(origin.source),
                });
                continue;
            }
            origins.record(path.join("."), origin);
        }
        // A single underscore after the prefix is a typo that would otherwise pass in silence.
        let own_single = format!("{}_", self.env_prefix);
        for name in self.env.keys() {
            if name.starts_with(&own_single) && !name.starts_with(&own_prefix) {
                faults.add(name, format!("is not a setting; keys start with {own_prefix}"));
            }
        }
        for name in &self.unreadable_env {
            faults.add(name, "is not UTF-8");
        }
    }
}

fn parse_toml(text: &str, name: &str) -> Result<Dict, ConfigError> {
    Figment::from(Toml::string(text))
        .extract::<Dict>()
        .map_err(|error| ConfigError::File { path: name.to_owned(), reason: error.to_string() })
}

/// Numbers, booleans, lists and tables as figment spells them; anything else is text.
fn parse_value(raw: &str) -> Value {
    raw.parse().unwrap_or_else(|_| Value::from(raw))
}

fn merge(into: &mut Dict, layer: Dict) {
    for (key, value) in layer {
        if let (Some(Value::Dict(_, old)), Value::Dict(_, new)) = (into.get_mut(&key), &value) {
            merge(old, new.clone());
        } else {
            into.insert(key, value);
        }
    }
}
