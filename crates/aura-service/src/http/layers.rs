//! The layers around handlers: limits by part of the API, rate limits, and the shell around everything.

use std::sync::Arc;
use std::time::Duration;

use aura_types::{ErrorCode, Quota, RateLimiter, address_block};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use tower_http::catch_panic::CatchPanicLayer;

use super::observe;
use super::proxy::{ClientAddress, TrustedProxies};
use crate::error::ServiceError;

/// What one request may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest body.
    pub body_bytes: usize,
    /// The longest time until the response begins; the response's body may take longer.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 64 * 1024, timeout: Duration::from_secs(30) }
    }
}

/// Bounds the requests of `router`. Parts with other needs (uploads) get their own before being merged.
pub fn limits<S: Clone + Send + Sync + 'static>(router: Router<S>, limits: Limits) -> Router<S> {
    router
        .layer(middleware::from_fn_with_state(limits.timeout, time_out))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
}

async fn time_out(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ServiceError::new(ErrorCode::DeadlineExceeded, "the request took too long").into_response(),
    }
}

/// Counts the requests of `router` by the address block they come from, under `name`, and answers 429 beyond `quota`.
pub fn rate_limit<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    limiter: Arc<dyn RateLimiter>,
    quota: Quota,
    name: &'static str,
) -> Router<S> {
    router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let limiter = Arc::clone(&limiter);
        async move {
            let ClientAddress(address) = ClientAddress::of(request.extensions());
            let decision = limiter.check(&format!("{name}:{}", address_block(address)), quota).await;
            if !decision.allowed {
                return too_many(decision.retry_after).into_response();
            }
            next.run(request).await
        }
    }))
}

fn too_many(retry_after: Option<Duration>) -> ServiceError {
    ServiceError::new(ErrorCode::ResourceExhausted, "too many requests; slow down")
        .with_retry_after(retry_after.unwrap_or(Duration::from_secs(1)))
}

/// Wraps a whole service: request id and trace in and out, the client's [`ClientAddress`], one span and one measurement
/// per request, panics caught, bare 404 and 405 turned into problem documents. Apply it once, last.
pub fn shell(router: Router, service: &'static str, proxies: TrustedProxies) -> Router {
    router
        .layer(CatchPanicLayer::custom(|panic: Box<dyn std::any::Any + Send>| {
            let message = crate::lifecycle::panic_message(&*panic).to_owned();
            ServiceError::internal(format!("handler panicked: {message}")).into_response()
        }))
        .layer(middleware::from_fn(move |mut request: Request, next: Next| {
            let address = proxies.address_of(request.headers(), request.extensions());
            request.extensions_mut().insert(address);
            observe::observe(service, address, request, next)
        }))
}
