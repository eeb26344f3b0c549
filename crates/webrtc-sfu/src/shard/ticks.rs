//! What a shard does now and then: speakers, quality, layers, room timers, overdue connections, counters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aura_media::MediaKind;
use aura_types::ParticipantSid;

use super::fanout::TrackId;
use super::socket::Buffers;
use super::worker::Shard;
use crate::engine::Moment;
use crate::engine::feedback::{Heard, Uplink};
use livekit_protocol as proto;

/// `str0m` calls a connection disconnected after 15 s without a check, which is when LiveKit calls it failed
/// (livekit-protocol §4); this much more lets a check that is just late undo it.
const ICE_FAILED_AFTER: Duration = Duration::from_secs(1);

/// What a client has to bring its media back after it resumed: as long as a connection has that was heard just now,
/// however long this one was silent before. Round trips of a second must not make it start over again and again.
const RESUME_GRACE: Duration = Duration::from_secs(16);

/// A client that closes its connection says `leave` too; whichever comes first, it is the client's own leaving.
const LEAVE_MAY_FOLLOW: Duration = Duration::from_secs(2);

/// When each recurring duty is next due.
#[derive(Debug)]
pub(crate) struct Duties {
    layers: Instant,
    speakers: Instant,
    rooms: Instant,
    quality: Instant,
}

impl Duties {
    pub(crate) fn new(now: Instant) -> Self {
        Self { layers: now, speakers: now, rooms: now, quality: now }
    }

    pub(crate) fn next(&self) -> Instant {
        self.layers.min(self.speakers).min(self.rooms).min(self.quality)
    }
}

/// True when due; sets the next time.
fn due(at: &mut Instant, now: Instant, every: Duration) -> bool {
    let is_due = now >= *at;
    if is_due {
        *at = now + every;
    }
    is_due
}

impl Shard {
    pub(crate) fn run_duties(&mut self, now: Moment) {
        if now.at < self.duties.next() {
            return;
        }
        if due(&mut self.duties.layers, now.at, Duration::from_millis(250)) {
            self.review_layers(now.at);
            self.review_codecs(now);
        }
        if due(&mut self.duties.speakers, now.at, aura_media::level::WINDOW) {
            self.review_speakers(now.at);
        }
        if due(&mut self.duties.rooms, now.at, Duration::from_secs(1)) {
            self.review_connections(now);
            self.review_presence(now.at);
            self.describe_releases(now.at);
            self.refusals.forget_old(now.at);
            for name in self.room_names() {
                if let Some(host) = self.rooms.get_mut(&name) {
                    host.room.tick(now);
                }
                self.carry_out(&name, now);
            }
            self.counters.publish(self.id);
            self.publish_gauges();
        }
        if due(&mut self.duties.quality, now.at, Duration::from_secs(5)) {
            self.review_quality();
            for name in self.room_names() {
                if let Some(host) = self.rooms.get_mut(&name) {
                    host.room.review_subscribed_qualities();
                }
            }
        }
        for name in self.room_names() {
            self.carry_out(&name, now);
        }
    }

    pub(crate) fn room_names(&self) -> Vec<Arc<str>> {
        self.rooms.keys().cloned().collect()
    }

    /// Layers come and go; copies follow.
    fn review_layers(&mut self, now: Instant) {
        let ids: Vec<TrackId> = self.rooms.values().flat_map(|host| host.tracks.values().copied()).collect();
        for id in ids {
            self.choose_layers(id, now);
        }
    }

    fn review_speakers(&mut self, now: Instant) {
        let mut levels: BTreeMap<Arc<str>, BTreeMap<ParticipantSid, f32>> = BTreeMap::new();
        for track in self.tracks.iter_mut().filter(|track| track.kind == MediaKind::Audio) {
            let level = if track.open { track.level.level(now) } else { 0.0 };
            let loudest = levels
                .entry(Arc::clone(&track.room))
                .or_default()
                .entry(track.publisher.clone())
                .or_default();
            *loudest = loudest.max(level);
        }
        let silence = BTreeMap::new();
        for name in self.room_names() {
            if let Some(host) = self.rooms.get_mut(&name) {
                host.room.update_speakers(levels.get(&name).unwrap_or(&silence));
            }
        }
    }

    /// Who is not heard of any more.
    fn review_presence(&mut self, now: Instant) {
        let mut sending = BTreeSet::new();
        for track in self.tracks.iter_mut().filter(|track| track.open) {
            let heard_at = self.peers.get(track.peer).map(|slot| slot.peer.heard_at);
            if heard_at.is_some_and(|at| track.activity.live(at).contains(&true)) {
                sending.insert(track.publisher.clone());
            }
        }
        for host in self.rooms.values_mut() {
            let peers = &self.peers;
            let heard = host.links.iter().filter_map(|(sid, link)| {
                let both = [link.publisher, link.subscriber].into_iter().filter_map(|id| peers.get(id));
                let at = both.filter(|slot| slot.peer.connected).map(|slot| slot.peer.heard_at).max()?;
                Some((sid.clone(), Heard { at, sending: sending.contains(sid) }))
            });
            host.room.update_presence(&heard.collect(), now);
        }
    }

    fn review_quality(&mut self) {
        let mut uplinks: BTreeMap<Arc<str>, BTreeMap<ParticipantSid, Uplink>> = BTreeMap::new();
        for track in self.tracks.iter_mut() {
            let windows = track.losses.each_mut().map(aura_media::loss::LossCounter::close_window);
            track.upstream_loss = windows.map(|window| window.loss_percent() / 100.0);
            let worst = windows.iter().map(|window| window.loss_percent()).fold(0.0, f32::max);
            let entry = uplinks
                .entry(Arc::clone(&track.room))
                .or_default()
                .entry(track.publisher.clone())
                .or_insert(Uplink { loss_percent: 0.0 });
            entry.loss_percent = entry.loss_percent.max(worst);
        }
        for name in self.room_names() {
            let none = BTreeMap::new();
            if let Some(host) = self.rooms.get_mut(&name) {
                host.room.update_quality(uplinks.get(&name).unwrap_or(&none));
            }
        }
    }

    /// Connections without consent, and offers nobody answered.
    fn review_connections(&mut self, now: Moment) {
        for id in self.peers.ids() {
            let Some(slot) = self.peers.get_mut(id) else { continue };
            self.counters.data_dropped += std::mem::take(&mut slot.peer.channels.dropped);
            self.counters.data_track_dropped += std::mem::take(&mut slot.peer.channels.tracks.dropped);
            let older = |at: Instant, than: Duration| now.at.duration_since(at) > than;
            // One that never was up may be a slow client's first checks: it has as long as a resumed one.
            let patience = if slot.peer.connected { ICE_FAILED_AFTER } else { RESUME_GRACE };
            let lost = slot.peer.disconnected_at.is_some_and(|at| older(at, patience))
                && slot.peer.resumed_at.is_none_or(|at| older(at, RESUME_GRACE));
            let overdue = slot.peer.answer_overdue(now.at);
            let closed = slot.peer.closed_at.is_some_and(|at| now.at.duration_since(at) > LEAVE_MAY_FOLLOW);
            if !(lost || overdue || closed) {
                continue;
            }
            let (room, owner) = (Arc::clone(&slot.peer.room), slot.peer.owner.clone());
            let Some(host) = self.rooms.get_mut(&room) else { continue };
            // Without signalling no answer can come; the resume window decides.
            let reachable = host.links.get(&owner).is_some_and(|link| link.outbound.is_some());
            if closed {
                host.room.remove(&owner, proto::DisconnectReason::ClientInitiated, now);
            } else if overdue && reachable {
                host.room.remove(&owner, proto::DisconnectReason::StateMismatch, now);
            } else if lost {
                host.room.media_failed(&owner, now);
            }
            self.carry_out(&room, now);
        }
    }

    /// Sections of tracks that are over are described as free.
    fn describe_releases(&mut self, now: Instant) {
        for id in self.peers.ids() {
            if let Some(slot) = self.peers.get_mut(id)
                && slot.peer.releases_due(now)
            {
                let (room, owner) = (Arc::clone(&slot.peer.room), slot.peer.owner.clone());
                self.negotiate_soon(&room, &owner);
            }
        }
    }

    fn publish_gauges(&self) {
        let shard = self.id.to_string();
        let participants: usize = self.rooms.values().map(|host| host.links.len()).sum();
        let tracks: usize = self.rooms.values().map(|host| host.tracks.len()).sum();
        for (name, value) in [
            ("aura_sfu_rooms", self.rooms.len()),
            ("aura_sfu_participants", participants),
            ("aura_sfu_tracks", tracks),
            ("aura_sfu_connections", self.peers.len()),
        ] {
            metrics::gauge!(name, "shard" => shard.clone()).set(value as f64);
        }
        if let Some(Buffers { send, receive }) = self.socket.as_ref().map(|socket| socket.granted) {
            for (direction, bytes) in [("send", send), ("receive", receive)] {
                let labels = [("shard", shard.clone()), ("direction", direction.to_owned())];
                metrics::gauge!("aura_sfu_socket_buffer_bytes", &labels).set(bytes as f64);
            }
        }
    }
}
