//! The Prometheus registry behind the `metrics` macros. No listener of its own: health serves the text.

use std::sync::OnceLock;

use metrics::{Unit, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Bucket bounds for durations in seconds: from a cached read to a slow upload.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bucket bounds for `…_ms`: work on one packet of audio, where 10, 15, 20 and 30 ms are limits that are watched.
const MILLISECONDS: &[f64] =
    &[0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 25.0, 30.0, 50.0, 100.0, 500.0];

/// Bucket bounds for everything else.
const DECADES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 10_000.0, 100_000.0];

/// Seconds an HTTP request took, by method, route template and status.
pub(crate) const HTTP_DURATION: &str = "http_server_request_duration_seconds";
/// HTTP requests being handled.
pub(crate) const HTTP_ACTIVE: &str = "http_server_active_requests";
/// Seconds a gRPC call took, by method and code, as the server saw it.
pub(crate) const RPC_SERVER_DURATION: &str = "rpc_server_call_duration_seconds";
/// Seconds a gRPC call took, by method and code, as the client saw it.
pub(crate) const RPC_CLIENT_DURATION: &str = "rpc_client_call_duration_seconds";

/// Changed certificate files, by outcome: used or refused.
pub(crate) const TLS_RELOADS: &str = "auralink_tls_reloads_total";
/// Panics of tasks, by task.
pub(crate) const TASK_PANICS: &str = "aura_task_panics_total";

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// The process's metrics.
#[derive(Debug, Clone, Copy)]
pub struct Metrics;

impl Metrics {
    /// Installs the recorder, once a process; later calls do nothing.
    pub fn install() -> Self {
        HANDLE.get_or_init(|| {
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
                .and_then(|builder| {
                    builder.set_buckets_for_metric(Matcher::Suffix("_ms".to_owned()), MILLISECONDS)
                })
                .and_then(|builder| builder.set_buckets(DECADES))
                .expect("the bucket lists are not empty");
            // Another recorder in the process keeps its metrics; ours then renders nothing.
            let handle = builder.install_recorder().ok();
            describe_histogram!(HTTP_DURATION, Unit::Seconds, "Time to answer an HTTP request");
            describe_histogram!(RPC_SERVER_DURATION, Unit::Seconds, "Time to answer a gRPC call");
            describe_histogram!(RPC_CLIENT_DURATION, Unit::Seconds, "Time a gRPC call to a peer took");
            metrics::describe_counter!(TLS_RELOADS, "Changed certificate files, used or refused");
            metrics::describe_counter!(TASK_PANICS, "Tasks that panicked");
            metrics::describe_gauge!(HTTP_ACTIVE, "HTTP requests being handled");
            handle
        });
        Self
    }

    /// All metrics as Prometheus text.
    #[must_use]
    pub fn render(self) -> String {
        HANDLE.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default()
    }

    /// Folds observed values into buckets; without it memory grows with every observation.
    pub fn upkeep(self) {
        if let Some(Some(handle)) = HANDLE.get() {
            handle.run_upkeep();
        }
    }
}
