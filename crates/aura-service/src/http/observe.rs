//! One span, one measurement and one log line per request.
//!
//! Only the route's template is logged, never the path or query: they carry tokens (invitations, shares,
//! `access_token`). Where a request came from is logged only if it was refused. Ids of rooms and users are never
//! metric labels.

use aura_types::{Clock as _, ErrorCode, SystemClock};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode, header};
use http_body::Body as _;
use metrics::{gauge, histogram};
use tracing::Instrument as _;
use tracing::field::{Empty, display};

use super::proxy::ClientAddress;
use crate::error::ServiceError;
use crate::metrics::{HTTP_ACTIVE, HTTP_DURATION};
use crate::request_scope::{REQUEST_ID, RequestScope};
use crate::telemetry;

pub(super) async fn observe(
    service: &'static str,
    ClientAddress(address): ClientAddress,
    request: Request,
    next: Next,
) -> Response {
    let scope = RequestScope::from_headers(request.headers());
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!(
        parent: None,
        "http",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        request_id = scope.request_id(),
        trace_id = Empty,
        user.id = Empty,
        service,
    );
    telemetry::adopt(&span, scope.traceparent());
    if let Some(id) = telemetry::trace_id(&span) {
        span.record("trace_id", id);
    }

    let active = ActiveRequest::begin();
    let started = SystemClock.monotonic();
    let id = scope.header_value();
    let mut response =
        scope.run(async { name_bare_refusal(next.run(request).await) }).instrument(span.clone()).await;
    let seconds = started.elapsed().as_secs_f64();
    drop(active);

    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    histogram!(
        HTTP_DURATION,
        "http_request_method" => method,
        "http_route" => route.clone(),
        "http_response_status_code" => status.to_string(),
    )
    .record(seconds);
    let refused_to = response.status().is_client_error().then(|| display(address));
    let probe = matches!(route.as_str(), "/health" | "/ready" | "/metrics");
    span.in_scope(|| {
        if probe {
            tracing::debug!(duration_ms = seconds * 1e3, "request");
        } else {
            tracing::info!(
                http.response.status_code = status,
                duration_ms = seconds * 1e3,
                client.address = refused_to,
                "request"
            );
        }
    });
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Methods are the caller's text: anything odd becomes one label.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

/// The router's own 404 and 405 have no body; give them the one every other error has.
fn name_bare_refusal(response: Response) -> Response {
    let status = response.status();
    let bare = matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
        && !response.headers().contains_key(header::CONTENT_TYPE)
        && response.body().size_hint().exact() == Some(0);
    if !bare {
        return response;
    }
    let (parts, _) = response.into_parts();
    let detail = if status == StatusCode::NOT_FOUND {
        "there is nothing at this address"
    } else {
        "this address does not take this method"
    };
    let code = if status == StatusCode::NOT_FOUND { ErrorCode::NotFound } else { ErrorCode::InvalidArgument };
    let error = ServiceError::new(code, detail);
    let mut problem = error.problem();
    problem.status = status.as_u16();
    let mut named = (
        status,
        [(header::CONTENT_TYPE, "application/problem+json")],
        serde_json::to_vec(&problem).expect("strings and numbers always serialize"),
    )
        .into_response();
    // `Allow`, CORS and whatever else the router or an inner layer had set.
    for (name, value) in &parts.headers {
        if name != header::CONTENT_LENGTH {
            named.headers_mut().append(name, value.clone());
        }
    }
    named
}

/// Counts down even when the client goes away and the future is dropped.
struct ActiveRequest;

impl ActiveRequest {
    fn begin() -> Self {
        gauge!(HTTP_ACTIVE).increment(1.0);
        Self
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        gauge!(HTTP_ACTIVE).decrement(1.0);
    }
}
