//! Peers that say nothing, say it slowly, or do not read: each is hung up on, on every kind of port.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aura_service::auth::service::ServiceKeys;
use aura_service::grpc::{PeerPolicy, Server};
use aura_service::http::serve_with;
use aura_service::{Lifecycle, Patience};
use aura_types::SystemClock;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::{SECRET, lifecycle, listener, stop};

const SHORT: Patience =
    Patience { silence: Duration::from_millis(300), stalled_write: Duration::from_millis(500) };
/// Nothing awaited here takes this long.
const IN_TIME: Duration = Duration::from_secs(20);
const CHUNK: usize = 64 * 1024;

/// Waits for the server to hang up; returns what it said before.
async fn closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let end = tokio::time::timeout(IN_TIME, stream.read_to_end(&mut said)).await;
    // A reset ends it just as well.
    let _ = end.expect("the server hangs up in time");
    said
}

async fn http(router: Router) -> (Lifecycle, SocketAddr) {
    let life = lifecycle();
    let addr = serve_with(listener().await, router, &life, "http", SHORT).unwrap();
    (life, addr)
}

/// Prefixes of what a client may say first.
const BEGINNINGS: [&str; 6] = [
    "",
    "P",
    "PRI * HTTP/2.0\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET / HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ",
];

#[tokio::test]
async fn an_http_connection_without_a_request_ends() {
    let (life, addr) = http(Router::new().route("/", get(|| async { "hello" }))).await;
    for beginning in BEGINNINGS {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let said = closed(&mut stream).await;
        assert!(!said.starts_with(b"HTTP/1.1 200"), "{beginning:?}");
    }
    let mut kept = TcpStream::connect(addr).await.unwrap();
    kept.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let said = closed(&mut kept).await;
    assert!(said.ends_with(b"hello"), "answered, and ended when no second request came");
    stop(&life).await;
}

#[tokio::test]
async fn a_grpc_connection_without_a_request_ends() {
    let life = lifecycle();
    let keys = ServiceKeys::new(&SECRET.into()).unwrap();
    let server = Server::new("sample", SystemClock::shared(), keys).policy(PeerPolicy::new()).patience(SHORT);
    let addr = server.serve(listener().await, tonic::service::Routes::default(), &life).unwrap();
    for beginning in BEGINNINGS {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        closed(&mut stream).await;
    }
    stop(&life).await;
}

/// Sends chunks without end; counts them, and says when the connection let go of it.
fn endless(sent: Arc<AtomicU64>, ended: mpsc::UnboundedSender<()>) -> Router {
    struct Ended(mpsc::UnboundedSender<()>);
    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let body = move || {
        let state = (Arc::clone(&sent), Ended(ended.clone()));
        let chunks = stream::unfold(state, |(sent, ended)| async move {
            sent.fetch_add(1, Ordering::Relaxed);
            Some((Ok::<_, Infallible>(Bytes::from(vec![0; CHUNK])), (sent, ended)))
        });
        Body::from_stream(chunks)
    };
    Router::new().route("/", get(move || async move { body() }))
}

#[tokio::test]
async fn a_download_nobody_reads_ends_and_a_slow_one_does_not() {
    let (sent, (ended, mut told)) = (Arc::new(AtomicU64::new(0)), mpsc::unbounded_channel());
    let (life, addr) = http(endless(Arc::clone(&sent), ended)).await;
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    let mut deaf = TcpStream::connect(addr).await.unwrap();
    deaf.write_all(request).await.unwrap();
    tokio::time::timeout(IN_TIME, told.recv()).await.expect("hung up on in time").unwrap();
    assert!(sent.load(Ordering::Relaxed) > 0, "it was being sent");

    let mut slow = TcpStream::connect(addr).await.unwrap();
    slow.write_all(request).await.unwrap();
    let mut buffer = vec![0; 4 * 1024 * 1024];
    // Six times the limit, with the socket full most of the time.
    for _ in 0..30 {
        tokio::time::sleep(SHORT.stalled_write / 5).await;
        slow.read_exact(&mut buffer).await.expect("whoever reads is served");
    }
    drop(slow);
    tokio::time::timeout(IN_TIME, told.recv()).await.expect("noticed in time").unwrap();
    stop(&life).await;
}
