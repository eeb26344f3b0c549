//! The SFU's channel with an error type of its own: the compiler cannot prove futures `Send` that carry a boxed
//! one through the generated client (rust-lang/rust#100013).

use aura_service::grpc::Channel;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::Service;

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct ChannelError(Box<dyn std::error::Error + Send + Sync>);

#[derive(Clone)]
pub(super) struct SfuChannel(pub(super) Channel);

impl Service<http::Request<Body>> for SfuChannel {
    type Response = http::Response<Body>;
    type Error = ChannelError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ChannelError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ChannelError>> {
        self.0.poll_ready(cx).map_err(ChannelError)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move { answer.await.map_err(ChannelError) })
    }
}
