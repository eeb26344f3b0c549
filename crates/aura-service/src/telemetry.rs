//! Logs and traces. Logs go to standard output as JSON or text, each line with the request id and trace id
//! of its span; spans go to an OTLP/gRPC collector when an endpoint is configured.
//!
//! A subscriber is global: [`init`] is called once, by the process shell. Libraries only use `tracing`.

mod format;
mod trace_context;

use std::collections::HashMap;
use std::io;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use trace_context::{adopt, is_traceparent, trace_id, traceparent};

use crate::config::{LogConfig, LogFormat, TelemetryConfig};
use crate::lifecycle::TASK_TARGET;

/// Chatty libraries: their debug output hides ours, and the exporter's own spans would feed on themselves.
const QUIET: [&str; 7] = [
    "h2=warn",
    "hyper=warn",
    "hyper_util=warn",
    "tonic=warn",
    "tower=warn",
    "sqlx=warn",
    "opentelemetry=warn",
];

/// Logging or tracing could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log.level` is no filter.
    #[error("log.level is not a filter: {0}")]
    Filter(String),
    /// `telemetry.otlp_endpoint` cannot be used.
    #[error("telemetry.otlp_endpoint: {0}")]
    Exporter(String),
    /// Something else set a subscriber already.
    #[error("logging is set up already")]
    AlreadySet,
}

/// Sends out what is still buffered when dropped or shut down.
#[derive(Debug)]
pub struct TelemetryGuard {
    provider: SdkTracerProvider,
}

impl TelemetryGuard {
    /// Sends out buffered spans and stops. Blocks for as long as the collector takes, at most seconds.
    pub fn shutdown(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::debug!(%error, "trace exporter did not stop cleanly");
        }
    }

    /// Sends out buffered spans.
    pub fn flush(&self) {
        if let Err(error) = self.provider.force_flush() {
            tracing::debug!(%error, "trace exporter did not flush");
        }
    }
}

/// Sets up logs and traces for this process. Needs a tokio runtime when an endpoint is set.
///
/// # Errors
/// When a setting cannot be used, or a subscriber is set already.
pub fn init(
    service: &'static str,
    version: &'static str,
    log: &LogConfig,
    telemetry: &TelemetryConfig,
) -> Result<TelemetryGuard, TelemetryError> {
    let (subscriber, guard) = subscriber(service, version, log, telemetry, io::stdout)?;
    subscriber.try_init().map_err(|_| TelemetryError::AlreadySet)?;
    Ok(guard)
}

/// The subscriber [`init`] installs, writing to `writer`: tests scope it with `set_default`.
///
/// # Errors
/// When a setting cannot be used.
pub fn subscriber<W>(
    service: &'static str,
    version: &'static str,
    log: &LogConfig,
    telemetry: &TelemetryConfig,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync + 'static, TelemetryGuard), TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let provider = provider(service, version, telemetry)?;
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(service))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(|metadata| metadata.target() != TASK_TARGET));
    let lines = match log.format {
        LogFormat::Json => format::json(service, writer),
        LogFormat::Text => format::text(writer),
    };
    let subscriber = tracing_subscriber::registry().with(filter(&log.level)?).with(traces).with(lines);
    Ok((subscriber, TelemetryGuard { provider }))
}

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    // A lone word that is no level would pass as the name of a target, and silence everything else.
    if !level.contains(['=', ',']) && level.parse::<LevelFilter>().is_err() {
        return Err(TelemetryError::Filter(format!("{level:?} is not a level")));
    }
    let quiet = QUIET.iter().filter(|directive| {
        let name = directive.split_once('=').map_or(**directive, |(name, _)| name);
        !level.contains(name)
    });
    let directives = quiet.copied().chain([level]).collect::<Vec<_>>().join(",");
    EnvFilter::try_new(directives).map_err(|error| TelemetryError::Filter(error.to_string()))
}

fn provider(
    service: &'static str,
    version: &'static str,
    telemetry: &TelemetryConfig,
) -> Result<SdkTracerProvider, TelemetryError> {
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", version))
        .with_attribute(KeyValue::new("service.namespace", "auralink"))
        .build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let endpoint = telemetry.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty());
    let Some(endpoint) = endpoint else {
        // Spans still get trace ids, for the logs and for the services we call, but are not recorded.
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        return Ok(builder.with_sampler(sampler).build());
    };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| TelemetryError::Exporter(error.to_string()))?;
    let ratio = telemetry.sample_ratio.clamp(0.0, 1.0);
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
    Ok(builder.with_sampler(sampler).with_batch_exporter(exporter).build())
}

/// The headers that carry the current trace and request on to another service.
#[must_use]
pub fn outgoing_headers() -> HashMap<&'static str, String> {
    let mut headers = HashMap::new();
    if let Some(value) = traceparent() {
        headers.insert("traceparent", value);
    }
    if let Some(id) = crate::request_scope::request_id() {
        headers.insert("x-request-id", id);
    }
    headers
}
