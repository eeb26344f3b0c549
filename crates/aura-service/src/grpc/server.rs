//! Serves gRPC: standard health, peer policy, optional mTLS, draining with the lifecycle.
//!
//! A connection ends after an hour, in good order, and with the certificate its peer has shown, at once: whoever is no longer
//! vouched for is out by then, however long the connection stood.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use aura_types::{Clock, SharedClock};
use futures_util::StreamExt as _;
use futures_util::future::Either;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

use super::guard::GuardLayer;
use super::handshakes::handshakes;
use super::observe::ObserveLayer;
use super::peer::{Identify, not_after};
use super::policy::PeerPolicy;
use super::tls::Tls;
use crate::auth::service::ServiceKeys;
use crate::health::Health;
use crate::lifecycle::Lifecycle;
use crate::patience::{Guarded, Patience};

const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// How long one connection is used. Its peer then makes another, and shows the certificate it has by then; what it is in the
/// middle of goes on.
const CONNECTION_AGE: Duration = Duration::from_secs(60 * 60);
const HEALTH_INTERVAL: Duration = Duration::from_secs(2);

/// A gRPC server being set up.
#[derive(Debug)]
pub struct Server {
    service: &'static str,
    identify: Identify,
    policy: PeerPolicy,
    tls: Option<Tls>,
    health: Option<Health>,
    patience: Patience,
}

impl Server {
    /// A server of `service` that nobody may call yet, see [`Self::policy`].
    #[must_use]
    pub fn new(service: &'static str, clock: SharedClock, keys: ServiceKeys) -> Self {
        Self {
            service,
            identify: Identify { keys, clock },
            policy: PeerPolicy::new(),
            tls: None,
            health: None,
            patience: Patience::default(),
        }
    }

    /// Says who may call what.
    #[must_use]
    pub fn policy(mut self, policy: PeerPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Demands client certificates of one authority.
    #[must_use]
    pub fn tls(mut self, tls: Option<Tls>) -> Self {
        self.tls = tls;
        self
    }

    /// How long peers may say nothing, or not read.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Mirrors readiness in the standard health service.
    #[must_use]
    pub fn health(mut self, health: &Health) -> Self {
        self.health = Some(health.clone());
        self
    }

    /// Serves `routes` on `listener` as a critical task. Returns the address.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn serve(
        self,
        listener: TcpListener,
        routes: Routes,
        lifecycle: &Lifecycle,
    ) -> io::Result<SocketAddr> {
        let addr = listener.local_addr()?;
        let server = tonic::transport::Server::builder()
            .timeout(REQUEST_LIMIT)
            .http2_keepalive_interval(Some(self.patience.silence / 2))
            // Longer than over HTTP: these peers are our own, and a loaded machine answers late.
            .http2_keepalive_timeout(Some(self.patience.silence))
            .max_connection_age(CONNECTION_AGE)
            .max_concurrent_streams(Some(1_000));
        let (reporter, health_service) = tonic_health::server::health_reporter();
        if let Some(health) = self.health {
            let soft = lifecycle.soft();
            lifecycle.spawn_restarting("grpc-health", move || {
                let (soft, health, reporter) = (soft.clone(), health.clone(), reporter.clone());
                async move {
                    let mut tick = tokio::time::interval(HEALTH_INTERVAL);
                    while soft.run_until_cancelled(tick.tick()).await.is_some() {
                        let status = if health.readiness().await.is_ready() {
                            ServingStatus::Serving
                        } else {
                            ServingStatus::NotServing
                        };
                        reporter.set_service_status("", status).await;
                    }
                    reporter.set_service_status("", ServingStatus::NotServing).await;
                }
            });
        }
        let clock = SharedClock::clone(&self.identify.clock);
        let router = server
            .layer(ObserveLayer { service: self.service })
            .layer(GuardLayer::new(self.identify, self.policy))
            .add_routes(routes.add_service(health_service));
        let patience = self.patience;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let (soft, hard) = (lifecycle.soft(), lifecycle.hard());
        tracing::info!(%addr, name = "grpc", tls = self.tls.is_some(), "listening");
        let until = soft.cancelled_owned();
        let serving = match self.tls {
            Some(tls) => {
                let greeted = handshakes(incoming, tls).filter_map(move |stream| {
                    let valid_for = certificate_valid_for(&stream, &*clock);
                    let guarded = valid_for.map(|time| Guarded::new(stream, patience).ending_after(time));
                    std::future::ready(guarded.map(Ok::<_, io::Error>))
                });
                Either::Left(router.serve_with_incoming_shutdown(greeted, until))
            }
            None => {
                let watched =
                    incoming.map(move |accepted| accepted.map(|stream| Guarded::new(stream, patience)));
                Either::Right(router.serve_with_incoming_shutdown(watched, until))
            }
        };
        lifecycle
            .spawn_critical("grpc", async move { hard.run_until_cancelled(serving).await.unwrap_or(Ok(())) });
        Ok(addr)
    }
}

/// How long the certificate that a peer has shown is still good; none if it is not. A connection does not outlive it, and a
/// resumed session, at which nobody looks at the certificate again, does not revive it.
fn certificate_valid_for(stream: &TlsStream<TcpStream>, clock: &dyn Clock) -> Option<Duration> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    Duration::try_from(not_after(certificate)? - clock.now()).ok().filter(|time| !time.is_zero())
}
