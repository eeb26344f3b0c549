//! Starting a session: the first dial, then a task that owns it.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, RwLock};

use livekit_protocol as proto;
use tokio::sync::{mpsc, oneshot};
use url::Host;

use super::{Command, Phase, RpcHandlers, Session, SharedRoster, publish, subscribe};
use crate::engine::keepalive::Keepalive;
use crate::engine::negotiation::OfferQueue;
use crate::engine::outbox::Inbox;
use crate::engine::rpc::CallTable;
use crate::engine::stream::Assembler;
use crate::error::{Result, RoomError};
use crate::event::{EventSink, EventStream};
use crate::options::RoomOptions;
use crate::signal::{Dial, First, dial};
use crate::task::Tasks;
use crate::transport::{DataSender, DataWriter, PeerConfig};

/// Events of peer connections that wait for the session: candidates mostly.
const PEER_EVENTS: usize = 1_024;
/// Wishes that wait for the session.
const COMMANDS: usize = 256;
/// Data packets that wait for the session; the channels' flow control holds back the rest.
const DATA: usize = 256;

/// The callers' ends of a session.
pub(crate) struct Started {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) data: DataSender,
    pub(crate) handlers: RpcHandlers,
    pub(crate) roster: SharedRoster,
    pub(crate) events: EventStream,
    pub(crate) tasks: Tasks,
}

/// Joins and returns once media is up.
pub(crate) async fn start(address: &str, token: &str, options: RoomOptions) -> Result<Started> {
    let tasks = Tasks::default();
    let target = Dial::new(address, token, &options, None)?;
    let loopback = is_loopback(&target);
    let (signal, first) = dial(target, options.signal_timeout, tasks.clone()).await?;
    let join = match first {
        First::Join(join) => *join,
        First::Leave(leave) => return Err(RoomError::Left(leave.reason())),
        First::Reconnect(_) => return Err(RoomError::Signal("a resume nobody asked for".to_owned())),
    };

    let (events, stream) = EventSink::new(options.event_capacity);
    let (writer_task, data, writer) = DataWriter::new();
    tasks.spawn("data writer", writer_task.run());
    let (command_sender, commands) = mpsc::channel(COMMANDS);
    let (peer_events, peer_inbox) = mpsc::channel(PEER_EVENTS);
    let (data_in, data_inbox) = mpsc::channel(DATA);
    let roster: SharedRoster = Arc::new(RwLock::default());
    let handlers: RpcHandlers = Arc::new(Mutex::default());
    let (ready, is_ready) = oneshot::channel();
    let now = options.clock.monotonic();
    let by = now + options.media_timeout;
    let peer_config = PeerConfig {
        ice_servers: Vec::new(),
        ice_transport: options.ice_transport,
        bind: options.bind.clone(),
        aic_model: options.aic_model.clone(),
        simulated_loss: options.simulated_loss,
        loopback,
    };
    let session = Session {
        address: address.to_owned(),
        token: token.to_owned(),
        tasks: tasks.clone(),
        events,
        roster: Arc::clone(&roster),
        phase: Phase::Connecting { ready, by },
        signal: Some(signal),
        keepalive: Keepalive::new(join.ping_interval, join.ping_timeout, now),
        held: VecDeque::new(),
        next_request_id: 0,
        replies: HashMap::new(),
        peer_config,
        generation: 0,
        publisher: None,
        subscriber: None,
        peer_events,
        peer_inbox,
        offers: OfferQueue::default(),
        subscriber_primary: false,
        publishing: publish::Publishing::default(),
        subscribed: subscribe::Subscribed::default(),
        data_tracks: Default::default(),
        data: data.clone(),
        writer,
        channels: HashMap::new(),
        data_in,
        data_inbox,
        inbox: Inbox::default(),
        streams: Assembler::new(options.max_stream_bytes),
        calls: CallTable::default(),
        handlers: Arc::clone(&handlers),
        commands,
        weak_commands: command_sender.downgrade(),
        options,
    };
    tasks.spawn_uncancelled("room session", session.run(join));
    is_ready.await.map_err(|_| RoomError::Closed)??;
    Ok(Started { commands: command_sender, data, handlers, roster, events: stream, tasks })
}

impl Session {
    /// A join, the first or a later one: new connections, new roster.
    pub(super) async fn joined(&mut self, join: proto::JoinResponse) -> Result<()> {
        let (Some(room), Some(local)) = (join.room, join.participant) else {
            return Err(RoomError::Signal("the join response lacks room or participant".to_owned()));
        };
        let events = self.roster().joined(room, local, join.other_participants);
        if matches!(self.phase, Phase::Restoring(_)) {
            // The first join's participants are state, not events.
            self.report(events);
        }
        self.keepalive = Keepalive::new(join.ping_interval, join.ping_timeout, self.now());
        self.subscriber_primary = join.subscriber_primary;
        self.peer_config.ice_servers = join.ice_servers;
        self.open_peers().await?;
        if join.fast_publish || !join.subscriber_primary {
            self.offers.request();
        }
        Ok(())
    }
}

fn is_loopback(dial: &Dial) -> bool {
    match dial.url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    }
}
