//! The server layer that lets in only known peers, and only to what they may call.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::peer::Identify;
use super::policy::PeerPolicy;

const OPEN: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

#[derive(Debug, Clone)]
pub(super) struct GuardLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    identify: Identify,
    policy: PeerPolicy,
}

impl GuardLayer {
    pub(super) fn new(identify: Identify, policy: PeerPolicy) -> Self {
        Self { shared: Arc::new(Shared { identify, policy }) }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, shared: Arc::clone(&self.shared) }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Guard<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, B> Service<http::Request<B>> for Guard<S>
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

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        if let Err(status) = self.shared.admit(&mut request) {
            return Box::pin(async move { Ok(status.into_http()) });
        }
        Box::pin(self.inner.call(request))
    }
}

impl Shared {
    fn admit<B>(&self, request: &mut http::Request<B>) -> Result<(), Status> {
        let path = request.uri().path();
        if OPEN.iter().any(|open| path.starts_with(open)) {
            return Ok(());
        }
        let Some(peer) = self.identify.identify(request) else {
            tracing::warn!(rpc.method = path, "caller without credentials refused");
            return Err(Status::unauthenticated("service credentials required"));
        };
        if !self.policy.permits(&peer.service, path) {
            tracing::warn!(rpc.method = path, peer.service = peer.service, "caller refused by policy");
            return Err(Status::permission_denied("this service may not call this method"));
        }
        request.extensions_mut().insert(peer);
        Ok(())
    }
}
