//! `webrtc-sfu`: rooms and forwarding, speaking LiveKit's protocol.
//!
//! `engine` decides (pure), `transport` is one WebRTC connection (sans-IO), `shard` is the packet path (threads),
//! `control` places rooms and tells other services, `api` parses requests and maps replies.
#![allow(deprecated, reason = "LiveKit's deprecated fields are what deployed clients still read and write")]

mod api;
mod config;
mod control;
mod engine;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod shard;
#[cfg(any(fuzzing, test))]
mod testing;
mod transport;

use aura_service::{Health, Lifecycle, http};
use aura_types::SystemClock;

pub use config::Config;

/// The embedded `config.default.toml`.
pub const DEFAULT_CONFIG: &str = include_str!("../config.default.toml");

/// Starts the SFU on `lifecycle`; returns when it is up.
///
/// # Errors
/// When an address cannot be had or the configuration does not fit this machine.
pub async fn run(config: Config, lifecycle: Lifecycle) -> anyhow::Result<()> {
    let clock = SystemClock::shared();
    let node = control::node::Node::start(&config, &lifecycle, clock.clone()).await?;

    let health = Health::new("webrtc-sfu", env!("CARGO_PKG_VERSION"), lifecycle.clone(), clock.clone());
    let shards = node.clone();
    health.add("shards", move || {
        let shards = shards.clone();
        async move { shards.is_responsive().await }
    });

    let public = http::bind(config.http_addr).await?;
    http::serve(
        public,
        api::router(&node, &config, &health, clock.clone(), lifecycle.clone()),
        &lifecycle,
        "http",
    )?;
    let admin = http::bind(config.admin_addr).await?;
    http::serve(admin, health.router(), &lifecycle, "admin")?;
    api::grpc::serve(&config, &node, &health, clock, &lifecycle).await?;
    Ok(())
}
