//! The internal gRPC server: standard health and reflection; operations come with the services that need them.

use crate::app::App;
use aura_service::auth::service::ServiceKeys;
use aura_service::grpc::{PeerPolicy, Server, Tls};
use aura_service::{Health, Lifecycle};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tonic::service::Routes;

pub(crate) fn serve(
    listener: TcpListener,
    app: &App,
    keys: ServiceKeys,
    tls: Option<Tls>,
    health: &Health,
    lifecycle: &Lifecycle,
) -> anyhow::Result<SocketAddr> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let server = Server::new("dashboard", Arc::clone(&app.clock), keys)
        .policy(PeerPolicy::new())
        .tls(tls)
        .health(health);
    Ok(server.serve(listener, Routes::new(reflection), lifecycle)?)
}
