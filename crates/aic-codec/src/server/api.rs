//! gRPC: parse, call, map.

pub(crate) mod codec;
pub(crate) mod console;

use aura_proto::aic::v1::aic_codec_server::AicCodecServer;
use aura_proto::aic::v1::aic_console_server::AicConsoleServer;
use aura_service::auth::service::ServiceKeys;
use aura_service::grpc::{Peer, PeerPolicy, Server, Tls};
use aura_service::{Health, ServiceError};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tonic::Request;
use tonic::service::Routes;

use super::service::Service;

/// A unary call's largest message: 30 s of PCM at 48 kHz and what is around it.
const MAX_MESSAGE: usize = 4 << 20;

/// Who may convert audio.
const CODEC_CALLERS: [&str; 5] = ["webrtc-sfu", "dashboard", "ai-core", "mesh-router", "ingress-egress"];
/// Who may speak for users.
const CONSOLE_CALLERS: [&str; 2] = ["dashboard", "ai-core"];

/// Serves gRPC, with health and reflection.
pub(crate) fn serve(
    service: &Service,
    listener: TcpListener,
    keys: ServiceKeys,
    tls: Option<Tls>,
    health: &Health,
) -> anyhow::Result<SocketAddr> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(aura_proto::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let codec =
        AicCodecServer::new(codec::Codec::new(service.clone())).max_decoding_message_size(MAX_MESSAGE);
    let console =
        AicConsoleServer::new(console::Console::new(service.clone())).max_decoding_message_size(64 << 10);
    let routes = Routes::new(codec).add_service(console).add_service(reflection);
    let mut policy = PeerPolicy::new();
    for caller in CODEC_CALLERS {
        policy = policy.allow(caller, "auralink.aic.v1.AicCodec");
    }
    for caller in CONSOLE_CALLERS {
        policy = policy.allow(caller, "auralink.aic.v1.AicConsole");
    }
    Ok(Server::new("aic-codec", Arc::clone(&service.clock), keys)
        .policy(policy)
        .tls(tls)
        .health(health)
        .serve(listener, routes, &service.lifecycle)?)
}

/// The calling service: the guard let nobody else in.
fn caller<T>(request: &Request<T>) -> Result<String, ServiceError> {
    let peer = request.extensions().get::<Peer>();
    peer.map(|peer| peer.service.clone())
        .ok_or_else(|| ServiceError::unauthenticated("service credentials required"))
}
