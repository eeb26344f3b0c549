//! The gRPC edge: a server that knows who calls, and a channel that survives its peer.
//!
//! A caller is identified by its mTLS certificate (SPIFFE URI) or by a service token; one [`PeerPolicy`] then says
//! which service may call what. Health and reflection are open to all.

mod client;
mod connect;
mod guard;
mod handshakes;
mod observe;
mod peer;
mod policy;
mod retry;
mod server;
mod tls;

pub use client::{Channel, ChannelError, Client, ClientError};
pub use peer::{Peer, PeerSource};
pub use policy::PeerPolicy;
pub use server::Server;
pub use tls::{Tls, TlsConfig, TlsError};
