//! The shard's thread: its state, its loop, and the small things all parts of it use.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use aura_types::{ParticipantSid, SharedClock};
use livekit_protocol as proto;
use tokio::sync::mpsc;

use super::aic::Transcoding;
use super::command::{Command, EventSender, Queued};
use super::counters::Counters;
use super::demux::{Demux, Path};
use super::fanout::Tracks;
use super::host::Host;
use super::peers::Peers;
use super::socket::{BatchSocket, RECEIVE_BATCH, Wake};
use super::ticks::Duties;
use crate::engine::admin::AdminError;
use crate::engine::data::DataRefusal;
use crate::engine::refusals::Refusals;
use crate::engine::room::{Room, RoomPolicy};
use crate::engine::{DataChannel, Moment};
use crate::transport::peer::Peer;
use crate::transport::rtc_config::{self, PeerSettings};
use crate::transport::{PeerEvent, PeerId, Role};

/// Commands handled per turn, so that a burst of joins does not hold up packets.
const COMMANDS_PER_TURN: usize = 32;
/// Receive batches per turn.
const BATCHES_PER_TURN: usize = 4;

/// Which shard a STUN user name belongs to: read by the ICE-TCP acceptor, written when connections come and go.
pub(crate) type UfragDirectory = Arc<RwLock<HashMap<String, usize>>>;

/// Everything one shard owns.
pub(crate) struct Shard {
    pub(crate) id: usize,
    pub(crate) settings: PeerSettings,
    pub(crate) policy: RoomPolicy,
    pub(crate) socket: Option<BatchSocket>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) commands: mpsc::Receiver<Queued>,
    pub(crate) events: EventSender,
    pub(crate) clock: SharedClock,
    pub(crate) ufrags: UfragDirectory,
    pub(crate) peers: Peers,
    pub(crate) tracks: Tracks,
    pub(crate) demux: Demux,
    pub(crate) rooms: HashMap<Arc<str>, Host>,
    pub(crate) refusals: Refusals,
    /// Rooms the packet path left outputs in.
    pub(crate) rooms_with_output: Vec<Arc<str>>,
    /// Participants whose receiving connection has something to negotiate.
    pub(crate) negotiations: VecDeque<(Arc<str>, ParticipantSid)>,
    /// The same, to know who waits already.
    pub(crate) negotiating: HashSet<(Arc<str>, ParticipantSid)>,
    pub(crate) tcp: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>,
    pub(crate) duties: Duties,
    pub(crate) transcoding: Transcoding,
    pub(crate) counters: Counters,
    pub(crate) stopping: bool,
}

impl Shard {
    /// Runs until told to shut down.
    pub(crate) fn run(mut self) {
        while !self.stopping {
            self.turn();
        }
        tracing::info!(shard = self.id, "shard stopped");
    }

    fn turn(&mut self) {
        let now = self.clock.monotonic();
        let next = self.peers.next_deadline().map_or(self.duties.next(), |at| at.min(self.duties.next()));
        let timeout = next.saturating_duration_since(now).min(Duration::from_secs(1));
        match &self.socket {
            Some(socket) => socket.wait(timeout),
            None => self.wake.wait(timeout),
        }
        let now = self.moment();
        self.receive(now.at);
        self.settle(now);
        for _ in 0..COMMANDS_PER_TURN {
            match self.commands.try_recv() {
                Ok(queued) => self.execute(queued.command, now),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    self.stopping = true;
                    break;
                }
            }
            // Whatever the command queued is sent before the next one: a `leave` must not overtake an answer.
            self.settle(now);
        }
        self.take_transcoded(now);
        if !self.commands.is_empty() {
            self.wake.wake();
        }
        self.peers.run_timers(now.at);
        self.run_duties(now);
        self.run_negotiations(now.at);
        self.settle(now);
        self.flush(now.at);
    }

    pub(crate) fn moment(&self) -> Moment {
        let unix_ms = self.clock.now().unix_timestamp_nanos() / 1_000_000;
        Moment { at: self.clock.monotonic(), unix_ms: i64::try_from(unix_ms).unwrap_or_default() }
    }

    fn receive(&mut self, now: Instant) {
        let Some(mut socket) = self.socket.take() else { return };
        for _ in 0..BATCHES_PER_TURN {
            let count = socket.receive();
            for index in 0..count {
                if let Some((source, target, bytes)) = socket.datagram(index) {
                    self.on_datagram(now, source, target, false, bytes);
                }
                // Each packet's copies are queued before the next is read; `str0m` holds one at a time.
                self.handle_events(now);
            }
            // A short batch emptied the socket; asking again would cost a call to be told so.
            if count < RECEIVE_BATCH {
                break;
            }
        }
        self.socket = Some(socket);
    }

    /// Finds the connection of a datagram, or drops it.
    pub(crate) fn on_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        target: Option<IpAddr>,
        tcp: bool,
        bytes: &[u8],
    ) {
        let path = Path { address: source, tcp };
        let destination = self.local_candidate(source, target, tcp);
        let known = self.demux.by_path(path);
        let id = known.or_else(|| {
            let claimed = self.demux.by_stun(bytes)?;
            let datagram = crate::transport::Datagram { source, destination, tcp, bytes };
            let genuine = self.peers.get(claimed)?.peer.accepts(now, datagram);
            genuine.then(|| {
                self.demux.learn_path(path, claimed);
                claimed
            })
        });
        match id {
            Some(id) => self.peers.receive(id, now, source, destination, tcp, bytes),
            None => self.counters.datagrams_unknown += 1,
        }
    }

    /// The candidate a client at `source` must have used.
    fn local_candidate(&self, source: SocketAddr, target: Option<IpAddr>, tcp: bool) -> SocketAddr {
        let candidates = if tcp { &self.settings.tcp_candidates } else { &self.settings.udp_candidates };
        let alike = |candidate: &&SocketAddr| {
            candidate.is_ipv4() == source.is_ipv4()
                && candidate.ip().is_loopback() == source.ip().is_loopback()
        };
        let exact = |candidate: &&SocketAddr| Some(candidate.ip()) == target;
        candidates
            .iter()
            .find(exact)
            .or_else(|| candidates.iter().find(alike))
            .or_else(|| candidates.first())
            .copied()
            .unwrap_or(source)
    }

    /// Drains connections and handles what they report until nothing is left.
    fn settle(&mut self, now: Moment) {
        loop {
            self.peers.drain_dirty(now.at);
            for name in std::mem::take(&mut self.rooms_with_output) {
                self.carry_out(&name, now);
            }
            for (id, error) in std::mem::take(&mut self.peers.failed) {
                self.on_peer_failed(id, &error, now);
            }
            if self.peers.events.is_empty() {
                break;
            }
            self.handle_events(now.at);
        }
    }

    fn handle_events(&mut self, now: Instant) {
        while let Some((id, event)) = self.peers.events.pop_front() {
            match event {
                PeerEvent::Rtp(packet) => self.on_rtp(id, *packet),
                event => {
                    let now = Moment { at: now, ..self.moment() };
                    self.on_peer_event(id, event, now);
                }
            }
        }
    }

    fn on_peer_event(&mut self, id: PeerId, event: PeerEvent, now: Moment) {
        let Some(slot) = self.peers.get_mut(id) else { return };
        let (room, owner) = (Arc::clone(&slot.peer.room), slot.peer.owner.clone());
        match event {
            PeerEvent::Rtp(_) => {}
            PeerEvent::Connected => {
                metrics::histogram!("aura_sfu_connect_seconds")
                    .record(now.at.duration_since(slot.peer.created_at).as_secs_f64());
                slot.peer.disconnected_at = None;
                self.start_copies(&room, &owner, now.at);
                self.choose_layers_for(id, now.at);
                if let Some(host) = self.rooms.get_mut(&room)
                    && host.links.get(&owner).is_some_and(|link| link.primary == id)
                {
                    host.room.media_connected(&owner);
                }
            }
            PeerEvent::Disconnected => slot.peer.disconnected_at = Some(now.at),
            PeerEvent::Recovered => slot.peer.disconnected_at = None,
            PeerEvent::Closed => slot.peer.closed_at = Some(now.at),
            PeerEvent::Keyframe { mid } => self.on_keyframe_request(id, mid, now.at),
            PeerEvent::SenderReport { mid, ssrc, received_at, ntp, rtp_timestamp } => {
                let source = slot.sources.get(&ssrc).copied();
                let track = source.map(|source| source.track).or_else(|| slot.published.get(&mid).copied());
                if let (Some(source), Some(track)) = (source, track.and_then(|id| self.tracks.get_mut(id))) {
                    let report = aura_media::timeline::SenderReport { ntp, rtp_timestamp };
                    track.reports[source.layer.index()] = Some(report);
                    if let Some(link) = self.rooms.get_mut(&room).and_then(|host| host.links.get_mut(&owner))
                    {
                        link.clock.observe(received_at, ntp);
                    }
                }
            }
            PeerEvent::Data { channel, bytes } => {
                self.on_data(&room, &owner, now, |room| {
                    room.spend(&owner, channel, bytes.len(), now.at)?;
                    room.data_received(&owner, channel, &bytes)
                });
            }
            PeerEvent::RawData { bytes } => {
                self.on_data(&room, &owner, now, |room| {
                    room.spend(&owner, DataChannel::Reliable, bytes.len(), now.at)?;
                    room.raw_data_received(&owner, bytes)
                });
            }
            PeerEvent::DataTrack { packet } => self.on_data_track(&room, &owner, packet, now.at),
            PeerEvent::DownlinkLoss { mid, loss } => self.on_downlink_loss(id, mid, loss, now.at),
            PeerEvent::ChannelReady => {
                self.peers.change(id, |peer| {
                    peer.channels.flush(&mut peer.rtc, now.at);
                    Ok(())
                });
            }
        }
        self.carry_out(&room, now);
    }

    fn on_data(
        &mut self,
        room: &Arc<str>,
        from: &ParticipantSid,
        now: Moment,
        receive: impl FnOnce(&mut Room) -> Result<(), DataRefusal>,
    ) {
        let Some(host) = self.rooms.get_mut(room) else { return };
        match receive(&mut host.room) {
            Ok(()) => {}
            Err(DataRefusal::OverBudget) => self.counters.data_over_budget += 1,
            Err(refusal) => {
                tracing::debug!(room.name = %room, participant.sid = %from, ?refusal, "data packet refused");
                self.counters.data_refused += 1;
            }
        }
        self.carry_out(room, now);
    }

    fn on_peer_failed(&mut self, id: PeerId, error: &str, now: Moment) {
        let Some(slot) = self.peers.get(id) else { return };
        let (room, owner) = (Arc::clone(&slot.peer.room), slot.peer.owner.clone());
        tracing::info!(room.name = %room, participant.sid = %owner, error, "media connection ended");
        self.counters.peers_failed += 1;
        if let Some(host) = self.rooms.get_mut(&room) {
            // The transport cannot be resumed: the client must come again from the start.
            host.room.remove(&owner, proto::DisconnectReason::StateMismatch, now);
        }
        self.carry_out(&room, now);
        self.close_peer(id);
    }

    fn flush(&mut self, now: Instant) {
        for (remote, frame) in std::mem::take(&mut self.peers.batch.frames) {
            if let Some(writer) = self.tcp.get(&remote)
                && writer.try_send(frame).is_err()
            {
                self.counters.send_dropped += 1;
            }
        }
        match &mut self.socket {
            Some(socket) => {
                let sent = socket.send(&mut self.peers.batch, now);
                self.counters.packets_out += sent.datagrams;
                self.counters.send_runs += sent.runs;
                self.counters.send_dropped += sent.dropped;
                self.counters.send_deferred += sent.deferred;
            }
            None => self.peers.batch.clear(),
        }
    }

    pub(crate) fn open_peer(
        &mut self,
        role: Role,
        owner: &ParticipantSid,
        room: &Arc<str>,
        now: Instant,
    ) -> PeerId {
        let rtc = rtc_config::build(&self.settings, role, now);
        let mut peer = Peer::new(rtc, role, owner.clone(), Arc::clone(room), now);
        peer.aic_model.clone_from(&self.settings.aic_model);
        let id = self.peers.insert(peer, now);
        self.register_ufrags(id, None);
        id
    }

    pub(crate) fn close_peer(&mut self, id: PeerId) {
        let names = self.demux.forget(id);
        let mut directory = self.ufrags.write().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            directory.remove(&name);
        }
        drop(directory);
        self.peers.remove(id);
    }

    /// Makes the connection findable by its current user name, and by one it just announced for an ICE restart.
    pub(crate) fn register_ufrags(&mut self, id: PeerId, announced: Option<&str>) {
        let Some(slot) = self.peers.get_mut(id) else { return };
        let current = slot.peer.local_ufrag();
        let in_sdp =
            announced.and_then(|sdp| sdp.lines().find_map(|line| line.trim().strip_prefix("a=ice-ufrag:")));
        for ufrag in [Some(current.as_str()), in_sdp].into_iter().flatten() {
            self.demux.add_ufrag(ufrag, id);
            self.ufrags.write().unwrap_or_else(PoisonError::into_inner).insert(ufrag.to_owned(), self.id);
        }
    }

    /// The room of that name, created if need be.
    pub(crate) fn ensure_room(
        &mut self,
        name: &str,
        configuration: Option<&proto::RoomConfiguration>,
        now: Moment,
    ) -> Arc<str> {
        if let Some(host) = self.rooms.get(name) {
            return Arc::clone(&host.name);
        }
        let name: Arc<str> = name.into();
        let mut room = Room::new(name.to_string(), self.policy.clone(), now);
        if let Some(configuration) = configuration {
            let request = crate::engine::admin::AdminRequest::Configure {
                empty_timeout_s: configuration.empty_timeout,
                departure_timeout_s: configuration.departure_timeout,
                max_participants: configuration.max_participants,
                metadata: configuration.metadata.clone(),
            };
            if let Err(error) = room.administer(request, now) {
                tracing::warn!(room.name = %name, %error, "room configuration of the token ignored");
            }
        }
        self.rooms.insert(Arc::clone(&name), Host::new(Arc::clone(&name), room));
        self.carry_out(&name, now);
        name
    }

    fn execute(&mut self, command: Command, now: Moment) {
        match command {
            Command::Join { room, configuration, joiner, extras, outbound, reply } => {
                let session = self.join(&room, configuration.as_deref(), *joiner, *extras, outbound, now);
                let _ = reply.send(session);
            }
            Command::Resume { room, participant, identity, extras, outbound, reply } => {
                let _ = reply.send(self.resume(&room, &participant, &identity, *extras, outbound, now));
            }
            Command::Signal { room, session, message } => self.signal(&room, &session, *message, now),
            Command::SignalClosed { room, session } => self.signal_closed(&room, &session, now),
            Command::CreateRoom { room, request, reply } => {
                let name = self.ensure_room(&room, None, now);
                let _ = reply.send(self.administer(&name, request, now));
            }
            Command::Administer { room, request, reply } => {
                let _ = reply.send(self.administer(&room, request, now));
            }
            Command::ListRooms { reply } => {
                let _ = reply.send(self.rooms.values().map(|host| host.room.info()).collect());
            }
            Command::HasRoom { room, reply } => {
                let _ = reply.send(self.rooms.contains_key(room.as_str()));
            }
            Command::Refuse { room, identities, issued_before_s, reply } => {
                self.refuse(&room, &identities, issued_before_s, now);
                let _ = reply.send(());
            }
            Command::Admit { room, identity, reply } => {
                self.refusals.admit(&room, &identity);
                let _ = reply.send(());
            }
            Command::IsRefused { room, identity, issued_s, reply } => {
                let _ = reply.send(self.refusals.refuses(&room, &identity, issued_s));
            }
            Command::TcpOpened { remote, writer } => {
                self.tcp.insert(remote, writer);
            }
            Command::TcpFrame { remote, bytes } => {
                self.on_datagram(now.at, remote, None, true, &bytes);
                self.handle_events(now.at);
            }
            Command::TcpClosed { remote } => {
                self.tcp.remove(&remote);
            }
            Command::Shutdown => {
                for name in self.room_names() {
                    if let Some(host) = self.rooms.get_mut(&name) {
                        host.room.end(proto::DisconnectReason::ServerShutdown, now);
                    }
                    self.carry_out(&name, now);
                }
                self.stopping = true;
            }
        }
    }

    fn refuse(&mut self, room: &str, identities: &[String], issued_before_s: i64, now: Moment) {
        let live = self.rooms.get(room).map(|host| &host.room);
        // A second connection is named after its suffix; the token is its holder's.
        let holder = |identity: &String| {
            let participant = live.and_then(|room| room.by_identity(identity));
            participant.map_or_else(|| identity.clone(), |participant| participant.holder.clone())
        };
        let holders: Vec<String> = identities.iter().map(holder).collect();
        for identity in &holders {
            self.refusals.refuse(room, identity, issued_before_s, now.at);
        }
        let Some(host) = self.rooms.get_mut(room) else { return };
        let name = Arc::clone(&host.name);
        for identity in &holders {
            host.room.send_away(identity, now);
        }
        self.carry_out(&name, now);
    }

    fn administer(
        &mut self,
        room: &str,
        request: crate::engine::admin::AdminRequest,
        now: Moment,
    ) -> Result<crate::engine::admin::AdminReply, AdminError> {
        let host = self.rooms.get_mut(room).ok_or(AdminError::RoomNotFound)?;
        let name = Arc::clone(&host.name);
        let reply = host.room.administer(request, now);
        self.carry_out(&name, now);
        reply
    }
}

#[cfg(test)]
mod tests;
