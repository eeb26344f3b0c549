//! The process shell from outside: real sockets, real certificates, a real collector.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

mod config;
mod grpc;
mod health;
mod http;
mod patience;
mod process;
mod telemetry;
mod tls;

use std::time::Duration;

use aura_service::Lifecycle;

const SECRET: &str = "4f1d9c7be2a35f60f1d9c7be2a35f604";

fn lifecycle() -> Lifecycle {
    Lifecycle::new(Duration::from_secs(2))
}

async fn listener() -> tokio::net::TcpListener {
    aura_service::http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

/// Shuts down and insists that nothing had to be dropped.
async fn stop(lifecycle: &Lifecycle) {
    lifecycle.shutdown("test");
    assert_eq!(lifecycle.wait().await, 0);
}
