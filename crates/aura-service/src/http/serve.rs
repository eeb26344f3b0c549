//! The server loop: accept, serve HTTP/1 and HTTP/2 with upgrades, drain on the soft token, drop on the hard.
//!
//! A client has ten seconds from connecting, and from each response, to send its headers, and must read what it is sent
//! ([`Patience`]); connections are bounded in number: idle and slow ones must not exhaust the process.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use crate::lifecycle::Lifecycle;
use crate::patience::{Guarded, Patience};

const MAX_CONNECTIONS: usize = 20_000;
/// Accept fails when descriptors run out; trying at once again would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on `addr`; the error names the address.
///
/// # Errors
/// When the address cannot be had.
pub async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(addr)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))
}

/// Serves `router` on `listener` as a critical task called `name`, until the soft token stops it from
/// accepting and its connections have drained. Returns the address. Handlers may take
/// `ConnectInfo<SocketAddr>`.
///
/// # Errors
/// When the listener has no address.
pub fn serve(
    listener: TcpListener,
    router: Router,
    lifecycle: &Lifecycle,
    name: &'static str,
) -> io::Result<SocketAddr> {
    serve_with(listener, router, lifecycle, name, Patience::default())
}

/// [`serve`] with other limits.
///
/// # Errors
/// When the listener has no address.
pub fn serve_with(
    listener: TcpListener,
    router: Router,
    lifecycle: &Lifecycle,
    name: &'static str,
    patience: Patience,
) -> io::Result<SocketAddr> {
    let addr = listener.local_addr()?;
    tracing::info!(%addr, name, "listening");
    let life = lifecycle.clone();
    lifecycle.spawn_critical(name, async move {
        accept(listener, router, life, name, patience).await;
        Ok::<_, Infallible>(())
    });
    Ok(addr)
}

async fn accept(
    listener: TcpListener,
    router: Router,
    life: Lifecycle,
    name: &'static str,
    patience: Patience,
) {
    let soft = life.soft();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let slot = Arc::clone(&slots).acquire_owned();
        let accepted = async { (slot.await, listener.accept().await) };
        let Some((slot, accepted)) = soft.run_until_cancelled(accepted).await else { return };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(stream, peer, router.clone(), life.clone(), patience);
                life.spawn(name, async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, name, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    life: Lifecycle,
    patience: Patience,
) {
    let _ = stream.set_nodelay(true);
    let service = router.map_request(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience.silence);
    let ping = patience.silence / 2;
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(ping).keep_alive_timeout(ping);
    let stream = TokioIo::new(Guarded::new(stream, patience));
    let connection = builder.serve_connection_with_upgrades(stream, TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let (soft, hard) = (life.soft(), life.hard());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = hard.cancelled() => return,
        () = soft.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let Some(ended) = hard.run_until_cancelled(connection).await else { return };
            ended
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, error = %*error, "connection ended");
    }
}
