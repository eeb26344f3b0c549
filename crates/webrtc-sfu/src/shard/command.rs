//! What the rest of the process asks of a shard, and what a shard tells it.

use std::net::SocketAddr;
use std::sync::Arc;

use aura_types::ParticipantSid;
use livekit_protocol as proto;
use tokio::sync::{mpsc, oneshot};

use super::socket::Wake;
use crate::engine::RoomEvent;
use crate::engine::admin::{AdminError, AdminReply, AdminRequest};
use crate::engine::participant::Joiner;
use crate::engine::room::Refusal;

/// A message to a participant's signalling connection.
#[derive(Debug)]
pub(crate) enum Outbound {
    Message(Box<proto::signal_response::Message>),
    /// The next refreshed token must say this.
    Token(Box<TokenFacts>),
    /// Nothing more will come: close.
    Close,
}

/// What a participant's refreshed token carries.
#[derive(Debug, Clone)]
pub(crate) struct TokenFacts {
    pub(crate) name: String,
    pub(crate) metadata: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) permission: proto::ParticipantPermission,
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

/// A request to a shard.
pub(crate) enum Command {
    Join {
        room: String,
        /// Room settings the token brings (`roomConfig`), applied when the join creates the room.
        configuration: Option<Box<proto::RoomConfiguration>>,
        joiner: Box<Joiner>,
        extras: Box<JoinExtras>,
        outbound: mpsc::Sender<Outbound>,
        reply: oneshot::Sender<Result<SignalSession, JoinFailure>>,
    },
    Resume {
        room: String,
        /// As the client says; empty: whoever has the identity.
        participant: String,
        identity: String,
        extras: Box<JoinExtras>,
        outbound: mpsc::Sender<Outbound>,
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
    commands: mpsc::Sender<Command>,
    wake: Arc<Wake>,
}

/// The shard's thread is gone.
#[derive(Debug, thiserror::Error)]
#[error("media shard has stopped")]
pub(crate) struct ShardStopped;

impl ShardHandle {
    pub(crate) fn new(commands: mpsc::Sender<Command>, wake: Arc<Wake>) -> Self {
        Self { commands, wake }
    }

    /// Waits while the shard is busy; fails only when it has stopped.
    pub(crate) async fn send(&self, command: Command) -> Result<(), ShardStopped> {
        self.commands.send(command).await.map_err(|_| ShardStopped)?;
        self.wake.wake();
        Ok(())
    }

    /// Sends a request and waits for its reply.
    pub(crate) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, ShardStopped> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply)).await?;
        answer.await.map_err(|_| ShardStopped)
    }
}

/// Room events on their way to the bus.
pub(crate) type EventSender = mpsc::Sender<RoomEvent>;
