//! The task that owns a room: it hears the server, the peer connections and the callers, and acts.
//!
//! Decisions are `engine`'s. The session waits for nobody: what may block (dialling, data, handlers) runs in tasks of
//! its own and reports back. It ends by closing everything and emitting `Disconnected`, exactly once.

mod command;
mod data;
mod data_tracks;
mod dial;
mod dispatch;
mod publish;
mod restore;
mod subscribe;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Instant;

use livekit_protocol as proto;
use livekit_protocol::signal_request::Message as Request;
use tokio::sync::{mpsc, oneshot};
use webrtc::data_channel::DataChannel;

pub(crate) use command::{Command, DataIn, RpcHandler, RpcHandlers};
pub(crate) use data_tracks::DataTrackCommand;
pub(crate) use dial::start;

use crate::engine::keepalive::{Beat, Keepalive};
use crate::engine::negotiation::OfferQueue;
use crate::engine::outbox::Inbox;
use crate::engine::roster::Roster;
use crate::engine::rpc::{CallTable, RpcError};
use crate::engine::stream::Assembler;
use crate::error::{Result, RoomError};
use crate::event::{EventSink, RoomEvent};
use crate::options::{RoomOptions, SignalMode};
use crate::participant::DisconnectReason;
use crate::signal::Signal;
use crate::task::Tasks;
use crate::transport::{DataSender, Peer, PeerConfig, TaggedPeerEvent, Target, WriterControl};

/// Requests kept while signalling is down.
const HELD_REQUESTS: usize = 256;

/// Everybody in the room, as callers and the session share it. Held for moments, never across a wait.
pub(crate) type SharedRoster = Arc<RwLock<Roster>>;

/// Where the session stands.
enum Phase {
    /// Joined; media is not up yet, and the caller of `connect` waits.
    Connecting { ready: oneshot::Sender<Result<()>>, by: Instant },
    /// All is well.
    Active,
    /// Broken, and on the way back.
    Restoring(restore::Restoring),
}

pub(crate) struct Session {
    options: RoomOptions,
    address: String,
    token: String,
    tasks: Tasks,
    events: EventSink,
    roster: SharedRoster,
    phase: Phase,

    signal: Option<Signal>,
    keepalive: Keepalive,
    held: VecDeque<Request>,
    next_request_id: u32,
    replies: HashMap<u32, (oneshot::Sender<Result<()>>, Instant)>,

    peer_config: PeerConfig,
    generation: u64,
    publisher: Option<Peer>,
    subscriber: Option<Peer>,
    peer_events: mpsc::Sender<TaggedPeerEvent>,
    peer_inbox: mpsc::Receiver<TaggedPeerEvent>,
    offers: OfferQueue,
    subscriber_primary: bool,

    publishing: publish::Publishing,
    subscribed: subscribe::Subscribed,
    data_tracks: data_tracks::DataTracks,

    data: DataSender,
    writer: mpsc::Sender<WriterControl>,
    channels: HashMap<String, Arc<dyn DataChannel>>,
    data_in: mpsc::Sender<DataIn>,
    data_inbox: mpsc::Receiver<DataIn>,
    inbox: Inbox,
    streams: Assembler,
    calls: CallTable<oneshot::Sender<Result<String, RpcError>>>,
    handlers: RpcHandlers,

    commands: mpsc::Receiver<Command>,
    /// For helper tasks; weak, so that the room ends when its last handle is dropped.
    weak_commands: mpsc::WeakSender<Command>,
}

/// Something to react to.
enum Wake {
    Signal(Option<Box<proto::signal_response::Message>>),
    Dialled(Result<(Signal, crate::signal::First)>),
    Peer(TaggedPeerEvent),
    Data(DataIn),
    Command(Option<Command>),
    Time,
    Cancelled,
}

impl Session {
    pub(crate) async fn run(mut self, join: proto::JoinResponse) {
        let reason = match self.joined(join).await {
            Ok(()) => self.serve().await,
            Err(error) => {
                if let Phase::Connecting { ready, .. } = std::mem::replace(&mut self.phase, Phase::Active) {
                    let _ = ready.send(Err(error));
                }
                DisconnectReason::JoinFailure
            }
        };
        self.shut_down(reason).await;
    }

    /// Until the room is over, and why it is.
    async fn serve(&mut self) -> DisconnectReason {
        if let Err(reason) = self.tick().await {
            return reason;
        }
        loop {
            let wake = self.next_wake().await;
            let step = match wake {
                Wake::Signal(Some(message)) => self.on_signal(*message).await,
                Wake::Signal(None) => self.on_signal_lost(),
                Wake::Dialled(outcome) => self.on_dialled(outcome).await,
                Wake::Peer(event) => self.on_peer_event(event).await,
                Wake::Data(input) => self.on_data(input),
                Wake::Command(Some(command)) => self.on_command(command).await,
                Wake::Command(None) | Wake::Cancelled => Err(DisconnectReason::ClientInitiated),
                Wake::Time => Ok(()),
            };
            if let Err(reason) = step {
                return reason;
            }
            if let Err(reason) = self.tick().await {
                return reason;
            }
        }
    }

    async fn next_wake(&mut self) -> Wake {
        let deadline = self.next_deadline();
        let cancelled = self.tasks.cancelled.clone();
        let sleep = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let signal = async {
            match &mut self.signal {
                Some(signal) => signal.next().await.map(Box::new),
                None => std::future::pending().await,
            }
        };
        let dialled = async {
            match &mut self.phase {
                Phase::Restoring(restoring) => restoring.dialled().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancelled.cancelled() => Wake::Cancelled,
            message = signal => Wake::Signal(message),
            outcome = dialled => Wake::Dialled(outcome),
            Some(event) = self.peer_inbox.recv() => Wake::Peer(event),
            command = self.commands.recv() => Wake::Command(command),
            Some(input) = self.data_inbox.recv() => Wake::Data(input),
            () = sleep => Wake::Time,
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let keepalive = self.signal.as_ref().map(|_| self.keepalive.deadline());
        let phase = match &self.phase {
            Phase::Connecting { by, .. } => Some(*by),
            Phase::Active => None,
            Phase::Restoring(restoring) => restoring.deadline(),
        };
        let replies = self.replies.values().map(|(_, by)| *by).min();
        [
            keepalive,
            phase,
            replies,
            self.offers.deadline(),
            self.calls.deadline(),
            self.publishing.deadline(),
            self.data_tracks.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Everything that is due, after whatever happened.
    async fn tick(&mut self) -> Result<(), DisconnectReason> {
        let now = self.now();
        if self.signal.is_none() {
            self.on_missing_signal()?;
        } else {
            match self.keepalive.poll(now) {
                Beat::Wait(_) => {}
                Beat::Ping => self.ping(),
                Beat::Lost => {
                    tracing::info!("signalling is silent, taken for lost");
                    self.on_signal_lost()?;
                }
            }
        }
        for (reply, error) in self.calls.expire(now) {
            let _ = reply.send(Err(error));
        }
        self.expire_requests(now);
        if self.offers.deadline().is_some_and(|deadline| now >= deadline) {
            tracing::warn!("offer unanswered");
            self.offers.request_restart();
            self.on_transport_failed(Target::Publisher)?;
        }
        self.send_offer().await?;
        self.check_phase(now).await
    }

    fn expire_requests(&mut self, now: Instant) {
        let late: Vec<_> = self.replies.iter().filter(|(_, (_, by))| now >= *by).map(|(id, _)| *id).collect();
        for id in late {
            if let Some((reply, _)) = self.replies.remove(&id) {
                let limit = command::REQUEST_TIMEOUT;
                let _ = reply.send(Err(RoomError::Timeout { what: "answer to a request", limit }));
            }
        }
        self.publishing.expire(now);
        self.expire_data_tracks(now);
    }

    /// Sends a message, or keeps it until signalling is back.
    ///
    /// While a resume is under way only what repairs the session may pass.
    fn send(&mut self, request: Request) {
        let repairs = matches!(
            request,
            Request::SyncState(_)
                | Request::Trickle(_)
                | Request::Offer(_)
                | Request::Answer(_)
                | Request::Simulate(_)
                | Request::Leave(_)
        );
        let restoring = matches!(self.phase, Phase::Restoring(_));
        match &self.signal {
            Some(signal) if repairs || !restoring => {
                if !signal.send(request) {
                    tracing::warn!("signalling cannot keep up, dropped");
                    self.signal = None;
                }
            }
            // Descriptions and candidates of a broken session are worthless in the next.
            None if repairs => {}
            _ if self.held.len() < HELD_REQUESTS => self.held.push_back(request),
            _ => tracing::warn!("too many requests while reconnecting, dropped"),
        }
    }

    fn ping(&mut self) {
        let timestamp = self.options.clock.unix_ms();
        let Some(signal) = &self.signal else { return };
        signal.send(Request::Ping(timestamp));
        signal.send(Request::PingReq(proto::Ping { timestamp, rtt: 0 }));
    }

    fn now(&self) -> Instant {
        self.options.clock.monotonic()
    }

    fn roster(&self) -> RwLockWriteGuard<'_, Roster> {
        self.roster.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_dual(&self) -> bool {
        self.options.mode == SignalMode::Dual
    }

    fn peer(&mut self, target: Target) -> Option<&mut Peer> {
        match target {
            Target::Publisher => self.publisher.as_mut(),
            Target::Subscriber => self.subscriber.as_mut(),
        }
    }

    /// Whether the connections that matter are up.
    fn media_is_up(&self) -> bool {
        let up = |peer: &Option<Peer>| peer.as_ref().is_some_and(Peer::is_connected);
        let subscriber = !self.is_dual() || !self.subscriber_primary || up(&self.subscriber);
        let publisher = !self.offers.has_negotiated() || up(&self.publisher);
        subscriber && publisher
    }

    async fn shut_down(mut self, reason: DisconnectReason) {
        tracing::info!(?reason, "room over");
        if reason == DisconnectReason::ClientInitiated && self.signal.is_some() {
            let leave = proto::LeaveRequest {
                reason: DisconnectReason::ClientInitiated.into(),
                ..Default::default()
            };
            self.send(Request::Leave(leave));
        }
        self.signal = None;
        if let Phase::Connecting { ready, .. } = std::mem::replace(&mut self.phase, Phase::Active) {
            let _ = ready.send(Err(RoomError::Left(reason)));
        }
        self.end_remote_tracks();
        self.publishing.close();
        self.data_tracks.close();
        for peer in [self.publisher.take(), self.subscriber.take()].into_iter().flatten() {
            peer.close().await;
        }
        self.tasks.cancelled.cancel();
        self.events.finish(reason);
    }

    fn emit(&mut self, event: RoomEvent) {
        self.events.emit(event);
    }
}
