//! One span and one measurement per gRPC call, on the server side, with the request's scope around it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use aura_types::{Clock as _, SystemClock};
use metrics::histogram;
use tonic::Code;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::metrics::RPC_SERVER_DURATION;
use crate::request_scope::RequestScope;
use crate::telemetry;

#[derive(Debug, Clone)]
pub(super) struct ObserveLayer {
    pub(super) service: &'static str,
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner, service: self.service }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Observe<S> {
    inner: S,
    service: &'static str,
}

impl<S, B> Service<http::Request<B>> for Observe<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let scope = RequestScope::from_headers(request.headers());
        let method = request.uri().path().trim_start_matches('/').to_owned();
        let span = tracing::info_span!(
            parent: None,
            "grpc",
            otel.name = method,
            otel.kind = "server",
            rpc.method = method,
            rpc.response.status_code = Empty,
            request_id = scope.request_id(),
            trace_id = Empty,
            service = self.service,
        );
        telemetry::adopt(&span, scope.traceparent());
        if let Some(id) = telemetry::trace_id(&span) {
            span.record("trace_id", id);
        }
        let started = SystemClock.monotonic();
        let call = span.in_scope(|| self.inner.call(request));
        let recorded = span.clone();
        Box::pin(
            scope
                .run(async move {
                    let result = call.await;
                    if let Ok(response) = &result {
                        record(&recorded, &method, response, started.elapsed());
                    }
                    result
                })
                .instrument(span),
        )
    }
}

fn record(span: &tracing::Span, method: &str, response: &http::Response<Body>, elapsed: std::time::Duration) {
    let code = header_code(response.headers()).unwrap_or(Code::Ok);
    // Until a call has reached a handler its path is the caller's text, and must not become a label.
    let refused = matches!(code, Code::Unimplemented | Code::Unauthenticated | Code::PermissionDenied);
    let method = if refused { "refused" } else { method };
    let code = format!("{code:?}");
    span.record("rpc.response.status_code", &code);
    histogram!(
        RPC_SERVER_DURATION,
        "rpc_method" => method.to_owned(),
        "rpc_response_status_code" => code,
    )
    .record(elapsed.as_secs_f64());
}

/// The status a response carries in its headers; one that failed later carries it in trailers.
pub(super) fn header_code(headers: &http::HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}
