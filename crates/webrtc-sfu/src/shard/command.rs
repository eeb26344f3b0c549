//! What the rest of the process asks of a shard, and what a shard tells it.

use std::net::SocketAddr;
use std::sync::Arc;

use aura_types::ParticipantSid;
use livekit_protocol as proto;
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::signal_queue::SignalSender;
use super::socket::Wake;
use crate::engine::RoomEvent;
use crate::engine::admin::{AdminError, AdminReply, AdminRequest};
use crate::engine::joiner::Joiner;
use crate::engine::room::Refusal;

/// What a participant's refreshed token carries.
#[derive(Debug, Clone)]
pub(crate) struct TokenFacts {
    pub(crate) name: String,
    pub(crate) metadata: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) permission: proto::ParticipantPermission,
    /// The room's limit, where it is not the node's.
    pub(crate) own_limit: Option<u32>,
}

impl TokenFacts {
    pub(crate) fn bytes(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.name.len() + self.metadata.len() + attributes
    }
}

/// A participant's open signalling connection, as the shard knows it.
#[derive(Debug, Clone)]
pub(crate) struct SignalSession {
    pub(crate) participant: ParticipantSid,
    /// Grows with every (re)connection, so that a late goodbye of an old one is recognised.
    pub(crate) session: u64,
}

/// Why a join or resume failed; the refusal itself was sent as the first message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum JoinFailure {
    Refused(Refusal),
    UnknownParticipant,
}

/// First things a new participant sends along with its join.
#[derive(Debug, Default)]
pub(crate) struct JoinExtras {
    pub(crate) add_tracks: Vec<proto::AddTrackRequest>,
    pub(crate) publisher_offer: Option<proto::SessionDescription>,
    pub(crate) sync_state: Option<proto::SyncState>,
}

impl JoinExtras {
    pub(crate) fn bytes(&self) -> usize {
        let tracks: usize = self.add_tracks.iter().map(proto::AddTrackRequest::encoded_len).sum();
        let offer = self.publisher_offer.as_ref().map_or(0, proto::SessionDescription::encoded_len);
        tracks + offer + self.sync_state.as_ref().map_or(0, proto::SyncState::encoded_len)
    }
}

/// A request to a shard.
pub(crate) enum Command {
    Join {
        room: String,
        /// Room settings the token brings (`roomConfig`), applied when the join creates the room.
        configuration: Option<Box<proto::RoomConfiguration>>,
        joiner: Box<Joiner>,
        extras: Box<JoinExtras>,
        outbound: SignalSender,
        reply: oneshot::Sender<Result<SignalSession, JoinFailure>>,
    },
    Resume {
        room: String,
        /// As the client says; empty: whoever has the identity.
        participant: String,
        identity: String,
        extras: Box<JoinExtras>,
        outbound: SignalSender,
        reply: oneshot::Sender<Result<SignalSession, JoinFailure>>,
    },
    Signal {
        room: String,
        session: SignalSession,
        message: Box<proto::signal_request::Message>,
    },
    SignalClosed {
        room: String,
        session: SignalSession,
    },
    /// Creates the room if it is not there, and applies the request to it.
    CreateRoom {
        room: String,
        request: AdminRequest,
        reply: oneshot::Sender<Result<AdminReply, AdminError>>,
    },
    Administer {
        room: String,
        request: AdminRequest,
        reply: oneshot::Sender<Result<AdminReply, AdminError>>,
    },
    ListRooms {
        reply: oneshot::Sender<Vec<proto::Room>>,
    },
    /// Whether the room exists (for nodes that do not create rooms on join).
    HasRoom {
        room: String,
        reply: oneshot::Sender<bool>,
    },
    /// Sends these away, if they are there, and refuses their tokens issued before a moment (Unix seconds).
    Refuse {
        room: String,
        identities: Vec<String>,
        issued_before_s: i64,
        reply: oneshot::Sender<()>,
    },
    /// Takes a refusal back.
    Admit {
        room: String,
        identity: String,
        reply: oneshot::Sender<()>,
    },
    IsRefused {
        room: String,
        identity: String,
        issued_s: i64,
        reply: oneshot::Sender<bool>,
    },
    /// The first frame of an ICE-TCP connection whose user name belongs to this shard.
    TcpOpened {
        remote: SocketAddr,
        writer: mpsc::Sender<Vec<u8>>,
    },
    TcpFrame {
        remote: SocketAddr,
        bytes: Vec<u8>,
    },
    TcpClosed {
        remote: SocketAddr,
    },
    /// Send everyone away (they come back elsewhere) and stop.
    Shutdown,
}

/// Sends commands to one shard's thread.
#[derive(Debug, Clone)]
pub(crate) struct ShardHandle {
    commands: mpsc::Sender<Queued>,
    /// Room for bytes of clients' messages.
    bytes: Arc<Semaphore>,
    wake: Arc<Wake>,
}

/// A command on its way, with the room it takes until it is carried out.
pub(crate) struct Queued {
    pub(crate) command: Command,
    _room: Option<OwnedSemaphorePermit>,
}

/// Bytes of clients' messages that may wait for a shard; who brings more waits outside.
const QUEUED_BYTES: usize = 64 * 1024 * 1024;

/// The shard's thread is gone.
#[derive(Debug, thiserror::Error)]
#[error("media shard has stopped")]
pub(crate) struct ShardStopped;

impl ShardHandle {
    pub(crate) fn new(commands: mpsc::Sender<Queued>, wake: Arc<Wake>) -> Self {
        Self { commands, bytes: Arc::new(Semaphore::new(QUEUED_BYTES)), wake }
    }

    /// Waits while the shard is busy; fails only when it has stopped.
    pub(crate) async fn send(&self, command: Command) -> Result<(), ShardStopped> {
        self.send_sized(command, 0).await
    }

    /// The same for a command that carries a client's message of this size.
    pub(crate) async fn send_sized(&self, command: Command, bytes: usize) -> Result<(), ShardStopped> {
        let room = match u32::try_from(bytes.min(QUEUED_BYTES)).unwrap_or(u32::MAX) {
            0 => None,
            bytes => {
                let room = Arc::clone(&self.bytes).acquire_many_owned(bytes).await;
                Some(room.map_err(|_| ShardStopped)?)
            }
        };
        self.commands.send(Queued { command, _room: room }).await.map_err(|_| ShardStopped)?;
        self.wake.wake();
        Ok(())
    }

    /// Sends a request and waits for its reply.
    pub(crate) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, ShardStopped> {
        self.ask_sized(0, request).await
    }

    /// The same for a request that carries a client's message of this size.
    pub(crate) async fn ask_sized<T>(
        &self,
        bytes: usize,
        request: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, ShardStopped> {
        let (reply, answer) = oneshot::channel();
        self.send_sized(request(reply), bytes).await?;
        answer.await.map_err(|_| ShardStopped)
    }
}

/// Room events on their way to the bus.
pub(crate) type EventSender = mpsc::Sender<RoomEvent>;
