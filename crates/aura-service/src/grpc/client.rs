//! A channel to one peer: connects when first used and again after every loss, identifies us, carries the
//! request id and trace on, breaks the circuit when the peer is away, repeats what is safe to repeat.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aura_types::{Clock as _, SharedClock, SystemClock};
use http::{HeaderValue, header};
use metrics::histogram;
use tonic::body::Body;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder};

use super::connect::over_tls;
use super::observe::header_code;
use super::retry::RetryLayer;
use super::tls::Tls;
use crate::auth::service::ServiceKeys;
use crate::metrics::RPC_CLIENT_DURATION;
use crate::resilience::{BreakerConfig, BreakerLayer, RetryPolicy};
use crate::telemetry;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What generated clients are made from: `RoomControlClient::new(channel.clone())`.
pub type Channel = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, ChannelError>;

/// A call did not reach the peer, or its answer did not reach us. Generated clients turn it into a status.
///
/// A type of its own rather than a boxed error: with that the compiler cannot prove the futures of generated
/// clients `Send` (rust-lang/rust#100013).
#[derive(Debug, thiserror::Error)]
#[error("call failed")]
pub struct ChannelError(#[source] BoxError);

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// The channel cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an `http://host:port` URL.
    #[error("{url} is not a gRPC URL")]
    Url {
        /// The URL.
        url: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// Not a name a certificate can have.
    #[error("{domain} is not a host name")]
    Domain {
        /// The name.
        domain: String,
        /// Why.
        #[source]
        source: rustls::pki_types::InvalidDnsNameError,
    },
}

/// A channel being set up.
#[derive(Debug)]
pub struct Client {
    service: &'static str,
    url: String,
    keys: ServiceKeys,
    clock: SharedClock,
    timeout: Duration,
    breaker: BreakerConfig,
    retry: RetryPolicy,
    idempotent: Vec<String>,
    tls: Option<(Tls, String)>,
}

impl Client {
    /// A channel from `service` (this process) to `url`.
    #[must_use]
    pub fn new(service: &'static str, url: impl Into<String>, keys: ServiceKeys, clock: SharedClock) -> Self {
        Self {
            service,
            url: url.into(),
            keys,
            clock,
            timeout: REQUEST_LIMIT,
            breaker: BreakerConfig::default(),
            retry: RetryPolicy::default(),
            idempotent: Vec::new(),
            tls: None,
        }
    }

    /// Sets how long a call may take until its response begins (30 s).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets when the circuit opens.
    #[must_use]
    pub fn breaker(mut self, breaker: BreakerConfig) -> Self {
        self.breaker = breaker;
        self
    }

    /// Sets how often calls are repeated.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Names methods that may safely happen twice (`/package.Service/Method`): they are retried.
    #[must_use]
    pub fn idempotent(mut self, paths: &[&str]) -> Self {
        self.idempotent.extend(paths.iter().map(|path| (*path).to_owned()));
        self
    }

    /// Uses mTLS where the URL is an https one; `domain` is the DNS name in the peer's certificate.
    #[must_use]
    pub fn tls(mut self, tls: Option<Tls>, domain: &str) -> Self {
        self.tls = tls.map(|tls| (tls, domain.to_owned()));
        self
    }

    /// The channel. It connects when first used.
    ///
    /// # Errors
    /// When the URL or the domain cannot be used.
    pub fn connect_lazy(self) -> Result<Channel, ClientError> {
        let endpoint = Endpoint::from_shared(self.url.clone())
            .map_err(|source| ClientError::Url { url: self.url.clone(), source })?;
        let timeout = self.timeout;
        let configure = |endpoint: Endpoint| {
            endpoint
                .connect_timeout(CONNECT_LIMIT)
                .timeout(timeout)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(Duration::from_secs(10))
                .keep_alive_timeout(Duration::from_secs(5))
                .keep_alive_while_idle(true)
        };
        let peer = endpoint.uri().authority().map_or_else(|| self.url.clone(), ToString::to_string);
        let retry = RetryLayer { policy: self.retry, idempotent: self.idempotent.into() };
        let breaker = BreakerLayer::new(self.breaker, &peer, Arc::clone(&self.clock), is_peer_failure);
        let connection = match self.tls {
            Some((tls, domain)) if endpoint.uri().scheme_str() == Some("https") => {
                over_tls(&self.url, tls, &domain, configure)?
            }
            _ => configure(endpoint).connect_lazy(),
        };
        let inner = Identified {
            inner: connection,
            service: self.service,
            keys: self.keys,
            clock: self.clock,
            timeout: self.timeout,
        };
        let stack = ServiceBuilder::new()
            .map_err(|error| ChannelError(status_of(error)))
            .layer(retry)
            .layer(breaker)
            .service(inner);
        Ok(BoxCloneSyncService::new(stack))
    }
}

/// Answers that say the peer is in trouble; any other status is an answer like another.
fn is_peer_failure(response: &http::Response<Body>) -> bool {
    matches!(
        header_code(response.headers()),
        Some(Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted)
    )
}

/// Generated clients look for a status in the error: make an open circuit one.
fn status_of(error: BoxError) -> BoxError {
    match error.downcast::<crate::resilience::BreakerOpen>() {
        Ok(open) => Status::unavailable(open.to_string()).into(),
        Err(error) => error,
    }
}

/// Adds what every call of ours carries.
#[derive(Debug, Clone)]
struct Identified<S> {
    inner: S,
    service: &'static str,
    keys: ServiceKeys,
    clock: SharedClock,
    timeout: Duration,
}

impl<S> Service<http::Request<Body>> for Identified<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if let Err(error) = self.add_headers(request.headers_mut()) {
            return Box::pin(async move { Err(error) });
        }
        let method = request.uri().path().trim_start_matches('/').to_owned();
        let started = SystemClock.monotonic();
        let call = self.inner.call(request);
        Box::pin(async move {
            let result = call.await.map_err(Into::into);
            let code = match &result {
                Ok(response) => header_code(response.headers()).unwrap_or(Code::Ok),
                Err(_) => Code::Unavailable,
            };
            histogram!(
                RPC_CLIENT_DURATION,
                "rpc_method" => method,
                "rpc_response_status_code" => format!("{code:?}"),
            )
            .record(started.elapsed().as_secs_f64());
            result
        })
    }
}

impl<S> Identified<S> {
    fn add_headers(&self, headers: &mut http::HeaderMap) -> Result<(), BoxError> {
        let token = self.keys.sign(self.service, self.clock.now())?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))?;
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
        for (name, value) in telemetry::outgoing_headers() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        if !headers.contains_key("grpc-timeout") {
            let millis = self.timeout.as_millis().min(99_999_999);
            headers.insert("grpc-timeout", HeaderValue::from_str(&format!("{millis}m"))?);
        }
        Ok(())
    }
}
