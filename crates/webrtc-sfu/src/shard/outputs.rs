//! Carrying out what a room decided: messages, sections, copies, closings, events.

use std::sync::Arc;
use std::time::Instant;

use aic_codec::control::loss::Redundancy;
use aic_codec::payload::MAX_DEPTH;
use aura_media::MediaKind;
use aura_types::{ParticipantSid, TrackSid};
use livekit_protocol as proto;
use proto::signal_response::Message;

use super::command::TokenFacts;
use super::fanout::{Copy, CopyId, TrackId};
use super::signal_queue::{Outbound, encode};
use super::worker::Shard;
use crate::engine::forward::DownTrack;
use crate::engine::{DataChannel, Moment, Output, RoomEvent};
use crate::transport::{Assignment, PeerId};

/// Descriptions written per turn.
const NEGOTIATIONS_PER_TURN: usize = 8;

impl Shard {
    /// Carries out everything a room has queued. Carrying out may queue more; all of it is done on return.
    pub(crate) fn carry_out(&mut self, room: &Arc<str>, now: Moment) {
        loop {
            let Some(host) = self.rooms.get_mut(room) else { return };
            let Some(output) = host.room.poll_output() else { break };
            match output {
                Output::Signal { to, message } => {
                    let bytes = encode(*message);
                    for sid in &to {
                        if let Some(link) = host.links.get_mut(sid) {
                            link.send(Outbound::Message(bytes.clone()));
                        }
                    }
                }
                Output::TokenChanged { of } => self.send_token(room, &of),
                Output::Subscribe { subscriber, publisher, track } => {
                    self.start_subscription(room, &subscriber, &publisher, &track);
                }
                Output::Unsubscribe { subscriber, track } => {
                    self.stop_subscription(room, &subscriber, &track, now.at);
                }
                Output::Prefer { subscriber, track, layer } => {
                    let id = host.tracks.get(&track).copied();
                    let peer = host.links.get(&subscriber).map(|link| link.subscriber);
                    if let (Some(id), Some(peer)) = (id, peer) {
                        if let Some(copy) = self.tracks.get_mut(id).and_then(|track| track.copy_mut(peer)) {
                            copy.down.prefer(layer);
                        }
                        self.choose_layer(id, peer, now.at);
                    }
                }
                Output::Gate { track, open } => {
                    if let Some(id) = host.tracks.get(&track).copied() {
                        if let Some(found) = self.tracks.get_mut(id) {
                            found.set_open(open);
                        }
                        self.choose_layers(id, now.at);
                    }
                }
                Output::TrackGone { track } => self.drop_track(room, &track),
                Output::Data { to, channel, payload } => self.send_data(room, &to, channel, payload),
                Output::DataTrack { packet, copies } => self.send_data_track(room, packet, &copies, now.at),
                Output::CloseSignal { participant } => {
                    if let Some(link) = host.links.get_mut(&participant) {
                        link.send(Outbound::Close);
                        link.outbound = None;
                    }
                }
                Output::Close { participant } => self.close_participant(room, &participant),
                Output::Event(event) => self.tell_others(event),
            }
        }
        if self.rooms.get(room).is_some_and(|host| host.room.is_ended()) {
            self.rooms.remove(room);
        }
    }

    fn send_token(&mut self, room: &Arc<str>, of: &ParticipantSid) {
        let Some(host) = self.rooms.get_mut(room) else { return };
        let (Some(participant), Some(link)) = (host.room.participants.get(of), host.links.get_mut(of)) else {
            return;
        };
        link.send(Outbound::Token(Box::new(TokenFacts {
            name: participant.name.clone(),
            metadata: participant.metadata.clone(),
            attributes: participant.attributes.clone().into_iter().collect(),
            permission: participant.permission.clone(),
            own_limit: host.room.own_limit(),
        })));
    }

    fn start_subscription(
        &mut self,
        room: &Arc<str>,
        subscriber: &ParticipantSid,
        publisher: &ParticipantSid,
        track: &TrackSid,
    ) {
        let Some(host) = self.rooms.get(room) else { return };
        let Some(peer) = host.links.get(subscriber).map(|link| link.subscriber) else { return };
        let kind =
            host.room.participants.get(publisher).and_then(|p| p.track(track.as_str())).map(|t| t.kind());
        let (Some(kind), Some(slot)) = (kind, self.peers.get_mut(peer)) else { return };
        let stream_id = format!("{publisher}|{track}");
        slot.peer.attach(Assignment { track: track.clone(), kind, stream_id });
        self.negotiate_soon(room, subscriber);
    }

    fn stop_subscription(
        &mut self,
        room: &Arc<str>,
        subscriber: &ParticipantSid,
        track: &TrackSid,
        now: Instant,
    ) {
        let Some(host) = self.rooms.get(room) else { return };
        let is_over = !host.room.publishers.contains_key(track);
        let Some(peer) = host.links.get(subscriber).map(|link| link.subscriber) else { return };
        if let Some(id) = host.tracks.get(track).copied() {
            self.remove_copy(id, peer);
        }
        let Some(slot) = self.peers.get_mut(peer) else { return };
        if is_over {
            slot.peer.detach_ended(track, now);
        } else {
            slot.peer.detach(track);
            self.negotiate_soon(room, subscriber);
        }
    }

    /// Negotiates at the end of the turn: many changes, one description.
    pub(super) fn negotiate_soon(&mut self, room: &Arc<str>, participant: &ParticipantSid) {
        let waiting = (Arc::clone(room), participant.clone());
        if self.negotiating.insert(waiting.clone()) {
            self.negotiations.push_back(waiting);
        }
    }

    /// Runs waiting negotiations, a few per turn: each writes a whole description, and packets wait meanwhile.
    pub(crate) fn run_negotiations(&mut self, now: Instant) {
        for _ in 0..NEGOTIATIONS_PER_TURN {
            let Some(waiting) = self.negotiations.pop_front() else { return };
            self.negotiating.remove(&waiting);
            let (room, participant) = waiting;
            self.pump_negotiation(&room, &participant, now);
        }
        if !self.negotiations.is_empty() {
            self.wake.wake();
        }
    }

    /// Sends whatever the receiving connection needs next: an offer of ours, or a request for the client's.
    pub(crate) fn pump_negotiation(&mut self, room: &Arc<str>, participant: &ParticipantSid, now: Instant) {
        let Some(link) = self.rooms.get_mut(room).and_then(|host| host.links.get_mut(participant)) else {
            return;
        };
        let id = link.subscriber;
        let next = self.peers.change(id, |peer| Ok((peer.requirement(), peer.make_offer(now, false))));
        let (requirement, offer) = next.unwrap_or_default();
        if let Some(requirement) = requirement {
            link.signal(Message::MediaSectionsRequirement(requirement));
        }
        if let Some(offer) = offer {
            link.signal(Message::Offer(offer));
        }
    }

    /// Starts copies for every track that has a negotiated section.
    pub(crate) fn start_copies(&mut self, room: &Arc<str>, participant: &ParticipantSid, now: Instant) {
        let Some(host) = self.rooms.get(room) else { return };
        let Some(me) = host.room.participants.get(participant) else { return };
        let Some(peer) = host.links.get(participant).map(|link| link.subscriber) else { return };
        let wanted: Vec<_> = me
            .subscribed
            .keys()
            .filter_map(|track| Some((*host.tracks.get(track)?, track.clone())))
            .map(|(id, track)| (id, host.room.preferred_layer(participant, &track), track))
            .collect();
        for (id, preferred, sid) in wanted {
            let (Some(track), Some(slot)) = (self.tracks.get_mut(id), self.peers.get_mut(peer)) else {
                continue;
            };
            let Some(mid) = slot.peer.live_section(&sid) else { continue };
            if let Some(copy) = track.copy_mut(peer) {
                if copy.mid == mid && slot.peer.outgoing_stream(mid) == Some(copy.ssrc) {
                    continue;
                }
                self.remove_copy(id, peer);
            }
            let (Some(track), Some(slot)) = (self.tracks.get_mut(id), self.peers.get_mut(peer)) else {
                continue;
            };
            let Some(ssrc) = slot.peer.outgoing_stream(mid) else { continue };
            let is_video = track.kind == MediaKind::Video;
            // Below 2^15, so that the receiver's rollover counter starts at zero even with reordering.
            let mut down = DownTrack::new(is_video, rand::random::<u16>() / 2);
            down.prefer(preferred);
            down.limit(slot.downlink.cap());
            slot.copies.insert(mid, CopyId { track: id, subscriber: peer });
            let takes_aic = slot.peer.takes_aic(mid);
            let formats = Vec::new();
            track.copies.push(Copy {
                subscriber: peer,
                mid,
                ssrc,
                down,
                formats,
                takes_aic,
                transcoded: false,
                redundancy: Redundancy::new(MAX_DEPTH),
                since: now,
            });
            self.choose_layer(id, peer, now);
            self.review_codec(id, now);
        }
    }

    /// Ends a copy.
    pub(crate) fn remove_copy(&mut self, id: TrackId, subscriber: PeerId) {
        let Some(track) = self.tracks.get_mut(id) else { return };
        let Some(at) = track.copies.iter().position(|copy| copy.subscriber == subscriber) else { return };
        let copy = track.copies.swap_remove(at);
        if let Some(slot) = self.peers.get_mut(subscriber) {
            slot.copies.remove(&copy.mid);
        }
        // Whether anybody still needs the transcoder is seen at the next review: a subscriber that moves to another
        // section must not close and open it.
    }

    fn drop_track(&mut self, room: &Arc<str>, sid: &TrackSid) {
        let Some(id) = self.rooms.get_mut(room).and_then(|host| host.tracks.remove(sid)) else { return };
        let subscribers: Vec<_> = self
            .tracks
            .get_mut(id)
            .map(|track| track.copies.iter().map(|c| c.subscriber).collect())
            .unwrap_or_default();
        for subscriber in subscribers {
            self.remove_copy(id, subscriber);
        }
        if let Some(track) = self.tracks.remove(id)
            && let Some(slot) = self.peers.get_mut(track.peer)
        {
            slot.published.retain(|_, owner| *owner != id);
            slot.sources.retain(|_, source| source.track != id);
        }
    }

    fn send_data(&mut self, room: &Arc<str>, to: &ParticipantSid, channel: DataChannel, payload: Arc<[u8]>) {
        let Some(id) = self.rooms.get(room).and_then(|host| host.links.get(to)).map(|link| link.subscriber)
        else {
            return;
        };
        self.peers.change(id, |peer| {
            peer.send_data(channel, payload);
            Ok(())
        });
    }

    fn close_participant(&mut self, room: &Arc<str>, participant: &ParticipantSid) {
        let Some(mut link) = self.rooms.get_mut(room).and_then(|host| host.links.remove(participant)) else {
            return;
        };
        link.send(Outbound::Close);
        for peer in [link.publisher, link.subscriber] {
            self.close_peer(peer);
        }
    }

    fn tell_others(&mut self, event: RoomEvent) {
        // Redis is a hint: a full queue loses events, consumers reconcile by asking (architecture "Data").
        if self.events.try_send(event).is_err() {
            self.counters.events_dropped += 1;
        }
    }
}
