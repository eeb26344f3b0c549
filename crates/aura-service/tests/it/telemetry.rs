//! Log lines, and spans at a collector.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aura_service::config::{LogConfig, LogFormat, TelemetryConfig};
use aura_service::error::ServiceError;
use aura_service::{http, telemetry};
use axum::Router;
use axum::routing::get;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use serde_json::Value;
use tonic::{Request, Response, Status};
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::fmt::MakeWriter;

use crate::{lifecycle, listener, stop};

/// Collects what is written.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn json(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn log(format: LogFormat) -> LogConfig {
    LogConfig { level: "info".into(), format }
}

fn router() -> Router {
    let work = || async {
        tracing::info!(room.id = "r1", count = 2, ok = true, "working");
        telemetry::traceparent().unwrap_or_default()
    };
    let fault = || async { ServiceError::internal("disk full") };
    let router = Router::new().route("/work/{token}", get(work)).route("/fault", get(fault));
    http::shell(router, "sample", http::TrustedProxies::default())
}

/// One request through the layers, without a socket, so that it runs under this test's own subscriber.
async fn ask(path: &str) -> (http_body_util::Collected<bytes::Bytes>, ::http::HeaderMap) {
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;
    let request = ::http::Request::get(path)
        .header("x-request-id", "req-1")
        .header("traceparent", PARENT)
        .body(axum::body::Body::empty())
        .unwrap();
    let response = router().oneshot(request).await.unwrap();
    let headers = response.headers().clone();
    (response.into_body().collect().await.unwrap(), headers)
}

#[tokio::test]
async fn json_lines_carry_request_and_trace() {
    let lines = Lines::default();
    let (subscriber, _guard) = telemetry::subscriber(
        "sample",
        "1",
        &log(LogFormat::Json),
        &TelemetryConfig::default(),
        lines.clone(),
    )
    .unwrap();
    let outgoing = async {
        ask("/fault").await;
        ask("/work/s3cret-token?access_token=s3cret").await.0.to_bytes()
    }
    .with_subscriber(subscriber)
    .await;

    let written = lines.json();
    for line in &written {
        assert_eq!(
            (line["request_id"].as_str(), line["trace_id"].as_str()),
            (Some("req-1"), Some(TRACE)),
            "{line}"
        );
        assert_eq!(line["service"], "sample");
        assert!(line["timestamp"].as_str().unwrap().contains('T'), "{line}");
    }
    let working = written.iter().find(|line| line["message"] == "working").unwrap();
    assert_eq!(
        (working["room.id"].as_str(), working["count"].as_i64(), working["ok"].as_bool()),
        (Some("r1"), Some(2), Some(true))
    );
    assert_eq!(working["http.route"], "/work/{token}");
    let fault = written.iter().find(|line| line["level"] == "ERROR").unwrap();
    assert_eq!(fault["error.cause"], "disk full");
    assert!(!lines.text().contains("s3cret"), "paths and queries carry tokens");
    // What goes on to the next service is the same trace, under our own span, and keeps the caller's decision.
    let outgoing = String::from_utf8(outgoing.to_vec()).unwrap();
    assert!(outgoing.starts_with(&format!("00-{TRACE}-")) && outgoing.ends_with("-01"), "{outgoing}");
    assert_ne!(outgoing, PARENT);
}

#[tokio::test]
async fn text_lines_are_for_people() {
    let lines = Lines::default();
    let (subscriber, _guard) = telemetry::subscriber(
        "sample",
        "1",
        &log(LogFormat::Text),
        &TelemetryConfig::default(),
        lines.clone(),
    )
    .unwrap();
    ask("/work/x").with_subscriber(subscriber).await;
    let text = lines.text();
    assert!(text.contains("working") && text.contains("req-1") && text.contains(TRACE), "{text}");
}

#[test]
fn a_wrong_level_is_refused() {
    for level in ["loud", "info,a=b=c"] {
        let wrong = LogConfig { level: level.into(), format: LogFormat::Json };
        let made = telemetry::subscriber("s", "1", &wrong, &TelemetryConfig::default(), io::sink);
        assert!(made.is_err(), "{level:?}");
    }
}

/// A collector that keeps what it is sent.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_reach_the_collector() {
    let life = lifecycle();
    let collector = Collector::default();
    let listener = listener().await;
    let addr: SocketAddr = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
    let serving = server.serve_with_incoming_shutdown(
        tonic::transport::server::TcpIncoming::from(listener),
        life.soft().cancelled_owned(),
    );
    life.spawn_critical("collector", serving);

    let config = TelemetryConfig { otlp_endpoint: Some(format!("http://{addr}")), sample_ratio: 1.0 };
    let (subscriber, guard) =
        telemetry::subscriber("sample", "1.2.3", &log(LogFormat::Json), &config, io::sink).unwrap();
    async {
        life.spawn("background", async {}).await.unwrap();
        ask("/work/x").await;
    }
    .with_subscriber(subscriber)
    .await;
    tokio::task::spawn_blocking(move || guard.shutdown()).await.unwrap();

    aura_testkit::eventually(Duration::from_secs(5), || async { !collector.0.lock().unwrap().is_empty() })
        .await;
    let exports = collector.0.lock().unwrap().clone();
    let resource = &exports[0].resource_spans[0];
    let attributes = format!("{:?}", resource.resource.as_ref().unwrap().attributes);
    assert!(attributes.contains("sample") && attributes.contains("1.2.3"), "{attributes}");
    let spans = &resource.scope_spans[0].spans;
    assert_eq!((exports.len(), spans.len()), (1, 1), "a task's life is no trace: {spans:?}");
    let span = &spans[0];
    assert_eq!(span.name, "GET /work/{token}");
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), "00f067aa0ba902b7");
    stop(&life).await;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
