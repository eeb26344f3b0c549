//! Retries unary calls of methods that are safe to repeat, when the peer is away. The request is kept in
//! memory for that, so only small ones qualify; a response that has begun is never retried.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::{BodyExt as _, Full, Limited};
use tonic::Code;
use tonic::body::Body;
use tower::{Layer, Service, ServiceExt as _};

use super::observe::header_code;
use crate::resilience::{BreakerOpen, RetryPolicy, retry};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const MAX_KEPT_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone)]
pub(super) struct RetryLayer {
    pub(super) policy: RetryPolicy,
    /// Paths that may be repeated.
    pub(super) idempotent: Arc<[String]>,
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry { inner, layer: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Retry<S> {
    inner: S,
    layer: RetryLayer,
}

/// How a try ended when it did not succeed: a response that says "unavailable", or no response.
enum Failure {
    Response(http::Response<Body>),
    Error(BoxError),
}

impl<S> Service<http::Request<Body>> for Retry<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = BoxError>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if !self.layer.idempotent.iter().any(|path| path == request.uri().path()) {
            return Box::pin(self.inner.call(request));
        }
        let (inner, policy) = (self.inner.clone(), self.layer.policy);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = Limited::new(body, MAX_KEPT_BYTES).collect().await?.to_bytes();
            let result = retry(&policy, is_retryable, || {
                let mut request = http::Request::new(Body::new(Full::new(body.clone())));
                *request.method_mut() = parts.method.clone();
                *request.uri_mut() = parts.uri.clone();
                *request.version_mut() = parts.version;
                *request.headers_mut() = parts.headers.clone();
                *request.extensions_mut() = parts.extensions.clone();
                let call = inner.clone().oneshot(request);
                async move {
                    match call.await {
                        Ok(response) if header_code(response.headers()) == Some(Code::Unavailable) => {
                            Err(Failure::Response(response))
                        }
                        Ok(response) => Ok(response),
                        Err(error) => Err(Failure::Error(error)),
                    }
                }
            });
            match result.await {
                Ok(response) | Err(Failure::Response(response)) => Ok(response),
                Err(Failure::Error(error)) => Err(error),
            }
        })
    }
}

fn is_retryable(failure: &Failure) -> bool {
    match failure {
        Failure::Response(_) => true,
        // An open circuit will not close within a retry's pause.
        Failure::Error(error) => !error.is::<BreakerOpen>(),
    }
}
