//! This node: its shards, its sockets, and which shard a room lives on.
//!
//! A room's shard follows from its name alone, so that every part of the process agrees without asking (ADR 3).

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::Context as _;
use aura_service::Lifecycle;
use aura_types::{NodeId, SharedClock};
use livekit_protocol as proto;
use str0m::crypto::dtls::DtlsCert;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{events, transcoder};
use crate::config::{Config, RtcSection};
use crate::engine::admin::{AdminError, AdminReply, AdminRequest};
use crate::shard::aic::{OpenStream, TranscodedSender, Transcoding};
use crate::shard::command::{Command, EventSender, ShardHandle, ShardStopped};
use crate::shard::socket::{BatchSocket, Buffers, Wake};
use crate::shard::tcp;
use crate::shard::ticks::Duties;
use crate::shard::worker::{Shard, UfragDirectory};
use crate::transport::rtc_config::PeerSettings;

/// Commands a shard may have waiting.
const COMMAND_QUEUE: usize = 4_096;
/// Transcoded packets a shard may have waiting.
const TRANSCODED_QUEUE: usize = 4_096;

/// Handle to this node's shards. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    shards: Arc<[ShardHandle]>,
}

impl Node {
    /// Opens the media sockets and starts the shards.
    pub(crate) async fn start(
        config: &Config,
        lifecycle: &Lifecycle,
        clock: SharedClock,
    ) -> anyhow::Result<Self> {
        let events = events::start(config, lifecycle, clock.clone())?;
        let streams = transcoder::start(config, lifecycle, clock.clone())?;
        let ufrags = UfragDirectory::default();
        let addresses = candidate_ips(&config.rtc)?;
        let listener = match config.rtc.tcp_enabled {
            true => {
                let address = SocketAddr::new(config.rtc.bind_ip, config.rtc.tcp_port);
                Some(TcpListener::bind(address).await.with_context(|| format!("ICE-TCP on {address}"))?)
            }
            false => None,
        };
        let tcp_port =
            listener.as_ref().map(|listener| listener.local_addr()).transpose()?.map(|addr| addr.port());
        let tcp_candidates: Vec<_> = tcp_port.map(|port| at_port(&addresses, port)).unwrap_or_default();
        let certificate = certificate()?;
        let node_id = NodeId::generate().to_string();
        let mut shards = Vec::new();
        for id in 0..config.shard_count() {
            let start = ShardStart {
                id,
                addresses: &addresses,
                tcp_candidates: tcp_candidates.clone(),
                certificate: certificate.clone(),
                events: events.clone(),
                streams: streams.clone(),
                ufrags: Arc::clone(&ufrags),
            };
            shards.push(start.spawn(config, &node_id, clock.clone())?);
        }
        if let Some(listener) = listener {
            let (shards, life) = (shards.clone(), lifecycle.clone());
            lifecycle.spawn_critical("ice-tcp-accept", async move {
                tcp::accept(listener, shards, ufrags, life, tcp::Limits::default()).await;
                Ok::<_, Infallible>(())
            });
        }
        let node = Self { shards: shards.into() };
        let (stopping, life) = (node.clone(), lifecycle.clone());
        lifecycle.spawn_critical("shard-shutdown", async move {
            stopping.stop_with(life).await;
            Ok::<_, Infallible>(())
        });
        tracing::info!(node.id = %node_id, shards = node.shards.len(), ?addresses, "node started");
        Ok(node)
    }

    /// The shard a room lives on.
    pub(crate) fn shard_of(&self, room: &str) -> &ShardHandle {
        let mut hasher = DefaultHasher::new();
        room.hash(&mut hasher);
        let index = hasher.finish() % self.shards.len() as u64;
        &self.shards[usize::try_from(index).unwrap_or_default()]
    }

    /// Live rooms of all shards.
    pub(crate) async fn rooms(&self) -> Result<Vec<proto::Room>, ShardStopped> {
        let mut rooms = Vec::new();
        for shard in self.shards.iter() {
            rooms.extend(shard.ask(|reply| Command::ListRooms { reply }).await?);
        }
        Ok(rooms)
    }

    /// One operation on one room.
    pub(crate) async fn administer(
        &self,
        room: String,
        request: AdminRequest,
    ) -> Result<Result<AdminReply, AdminError>, ShardStopped> {
        let shard = self.shard_of(&room);
        shard.ask(|reply| Command::Administer { room, request, reply }).await
    }

    /// Creates the room if need be, then applies the request.
    pub(crate) async fn create(
        &self,
        room: String,
        request: AdminRequest,
    ) -> Result<Result<AdminReply, AdminError>, ShardStopped> {
        let shard = self.shard_of(&room);
        shard.ask(|reply| Command::CreateRoom { room, request, reply }).await
    }

    /// Sends these away from the room and refuses their tokens issued before a moment (Unix seconds).
    pub(crate) async fn refuse(
        &self,
        room: String,
        identities: Vec<String>,
        issued_before_s: i64,
    ) -> Result<(), ShardStopped> {
        let shard = self.shard_of(&room);
        shard.ask(|reply| Command::Refuse { room, identities, issued_before_s, reply }).await
    }

    /// Takes a refusal back.
    pub(crate) async fn admit(&self, room: String, identity: String) -> Result<(), ShardStopped> {
        let shard = self.shard_of(&room);
        shard.ask(|reply| Command::Admit { room, identity, reply }).await
    }

    /// Whether a token of this identity, issued then, is refused.
    pub(crate) async fn is_refused(
        &self,
        room: String,
        identity: String,
        issued_s: i64,
    ) -> Result<bool, ShardStopped> {
        let shard = self.shard_of(&room);
        shard.ask(|reply| Command::IsRefused { room, identity, issued_s, reply }).await
    }

    /// Whether every shard answers.
    pub(crate) async fn is_responsive(&self) -> bool {
        for shard in self.shards.iter() {
            if shard.ask(|reply| Command::HasRoom { room: String::new(), reply }).await.is_err() {
                return false;
            }
        }
        true
    }

    async fn stop_with(self, lifecycle: Lifecycle) {
        lifecycle.soft().cancelled().await;
        for shard in self.shards.iter() {
            let _ = shard.send(Command::Shutdown).await;
        }
    }
}

struct ShardStart<'a> {
    id: usize,
    addresses: &'a [IpAddr],
    tcp_candidates: Vec<SocketAddr>,
    certificate: DtlsCert,
    events: EventSender,
    streams: Option<mpsc::Sender<OpenStream>>,
    ufrags: UfragDirectory,
}

impl ShardStart<'_> {
    fn spawn(self, config: &Config, node_id: &str, clock: SharedClock) -> anyhow::Result<ShardHandle> {
        let wake = Arc::new(Wake::new()?);
        let (socket, udp_candidates) = match config.rtc.udp_enabled {
            true => {
                let offset = u16::try_from(self.id)?;
                let port = if config.rtc.udp_port == 0 { 0 } else { config.rtc.udp_port + offset };
                let address = SocketAddr::new(config.rtc.bind_ip, port);
                let socket = BatchSocket::bind(address, Arc::clone(&wake))
                    .with_context(|| format!("media socket on UDP {address}"))?;
                let port = socket.local_addr()?.port();
                // All shards fare alike: said once.
                if self.id == 0 && !socket.granted.are_full() {
                    let wanted = aura_types::MEDIA_SOCKET_BUFFER_BYTES;
                    let Buffers { send, receive } = socket.granted;
                    tracing::warn!(
                        wanted,
                        send,
                        receive,
                        "small socket buffers lose bursts: raise net.core.wmem_max and rmem_max, see `auralink doctor`"
                    );
                }
                (Some(socket), at_port(self.addresses, port))
            }
            false => (None, Vec::new()),
        };
        let (sender, commands) = mpsc::channel(COMMAND_QUEUE);
        let (transcoded, inbox) = mpsc::channel(TRANSCODED_QUEUE);
        let now = clock.monotonic();
        let shard = Shard {
            id: self.id,
            settings: PeerSettings {
                certificate: self.certificate,
                udp_candidates,
                tcp_candidates: self.tcp_candidates,
                aic_model: config.aic.enabled.then(|| config.aic.model.as_str().into()),
            },
            policy: config.room_policy(node_id.to_owned()),
            socket,
            wake: Arc::clone(&wake),
            commands,
            events: self.events,
            clock,
            ufrags: self.ufrags,
            peers: Default::default(),
            tracks: Default::default(),
            demux: Default::default(),
            rooms: Default::default(),
            refusals: Default::default(),
            rooms_with_output: Vec::new(),
            negotiations: Default::default(),
            negotiating: Default::default(),
            tcp: Default::default(),
            duties: Duties::new(now),
            transcoding: Transcoding {
                streams: self.streams,
                answers: TranscodedSender { queue: transcoded, wake: Arc::clone(&wake) },
                inbox,
                generation: 0,
            },
            counters: Default::default(),
            stopping: false,
        };
        std::thread::Builder::new().name(format!("shard-{}", self.id)).spawn(move || {
            // A shard that panics outside a connection leaves its rooms dead in a process that looks alive.
            if catch_unwind(AssertUnwindSafe(|| shard.run())).is_err() {
                std::process::abort();
            }
        })?;
        Ok(ShardHandle::new(sender, wake))
    }
}

fn certificate() -> anyhow::Result<DtlsCert> {
    str0m::crypto::from_feature_flags()
        .dtls_provider
        .generate_certificate()
        .context("the crypto provider generated no DTLS certificate")
}

/// Addresses to announce to clients.
fn candidate_ips(rtc: &RtcSection) -> anyhow::Result<Vec<IpAddr>> {
    let mut addresses = rtc.node_ips.clone();
    if addresses.is_empty() && !rtc.bind_ip.is_unspecified() {
        addresses.push(rtc.bind_ip);
    }
    if addresses.is_empty()
        && let Some(address) = default_route_ip()
    {
        addresses.push(address);
    }
    let loopback = IpAddr::from([127, 0, 0, 1]);
    if rtc.enable_loopback_candidate && !addresses.contains(&loopback) {
        addresses.push(loopback);
    }
    anyhow::ensure!(!addresses.is_empty(), "no address to announce: set rtc.node_ips");
    Ok(addresses)
}

/// The source address the kernel would use towards the internet. Connecting a UDP socket sends nothing; the address is
/// from a documentation range (RFC 5737).
fn default_route_ip() -> Option<IpAddr> {
    let socket = UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((std::net::Ipv4Addr::new(203, 0, 113, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback())
}

fn at_port(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect()
}
