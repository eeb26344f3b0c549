//! Joins, resumes and signalling messages: between the room, which decides, and the connections, which negotiate.

use std::collections::HashMap;
use std::sync::Arc;

use aura_media::layer::Layer;
use aura_media::{Codec, MediaKind};
use aura_types::ParticipantSid;
use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use str0m::media::Mid;
use str0m::rtp::Ssrc;

use super::aic::AicTrack;
use super::command::{JoinExtras, JoinFailure, SignalSession};
use super::fanout::PublishedTrack;
use super::host::Link;
use super::signal_queue::{Outbound, SignalSender};
use super::worker::Shard;
use crate::engine::Moment;
use crate::engine::joiner::{ConnectionMode, Joiner};
use crate::engine::publish::MediaFacts;
use crate::engine::room::{Refusal, leave};
use crate::engine::track::layer_of_quality;
use crate::transport::sdp::{OfferedSection, PublishWish};
use crate::transport::{PeerId, Role, TransportError, guarded};

/// The first and last word to a client that may not come in.
fn refuse(outbound: &SignalSender, reason: proto::DisconnectReason) {
    let message = leave(reason, proto::leave_request::Action::Disconnect);
    let _ = outbound.send(Outbound::message(message));
}

impl Shard {
    /// Lets a participant in and opens its connections.
    pub(crate) fn join(
        &mut self,
        room: &str,
        configuration: Option<&proto::RoomConfiguration>,
        joiner: Joiner,
        extras: JoinExtras,
        outbound: SignalSender,
        now: Moment,
    ) -> Result<SignalSession, JoinFailure> {
        // Looked up before the upgrade too; who was sent away in between is caught here.
        if self.refusals.refuses(room, &joiner.holder, joiner.issued_s) {
            refuse(&outbound, proto::DisconnectReason::ParticipantRemoved);
            return Err(JoinFailure::Refused(Refusal::SentAway));
        }
        let name = self.ensure_room(room, configuration, now);
        let (mode, identity) = (joiner.mode, joiner.identity.clone());
        let Some(host) = self.rooms.get_mut(&name) else { return Err(JoinFailure::UnknownParticipant) };
        let subscribes = joiner.permission.can_subscribe;
        // On telephones it calls itself "Mobile Safari".
        let reuses_sections = !joiner.client.browser.to_lowercase().ends_with("safari");
        let sid = match host.room.join(joiner, now) {
            Ok(sid) => sid,
            Err(refusal) => {
                tracing::info!(room.name = %name, participant.identity = %identity, %refusal, "join refused");
                refuse(&outbound, proto::DisconnectReason::JoinFailure);
                self.carry_out(&name, now);
                return Err(JoinFailure::Refused(refusal));
            }
        };
        let (publisher, subscriber) = match mode {
            ConnectionMode::Single => {
                let only = self.open_peer(Role::Single, &sid, &name, now.at);
                (only, only)
            }
            ConnectionMode::Dual => (
                self.open_peer(Role::Publisher, &sid, &name, now.at),
                self.open_peer(Role::Subscriber, &sid, &name, now.at),
            ),
        };
        for id in [publisher, subscriber] {
            let Some(me) = self.rooms.get(&name).and_then(|host| host.room.participants.get(&sid)) else {
                break;
            };
            if let Some(slot) = self.peers.get_mut(id) {
                slot.peer.device.clone_from(&me.device);
            }
        }
        if !reuses_sections && let Some(slot) = self.peers.get_mut(subscriber) {
            slot.peer.never_reuse_sections();
        }
        let primary = if mode == ConnectionMode::Dual && !subscribes { publisher } else { subscriber };
        let link = Link {
            publisher,
            subscriber,
            primary,
            outbound: Some(outbound),
            session: 1,
            unclaimed: Vec::new(),
            clock: Default::default(),
        };
        if let Some(host) = self.rooms.get_mut(&name) {
            host.links.insert(sid.clone(), link);
        }
        self.carry_out(&name, now);
        self.take_extras(&name, &sid, extras, now);
        self.pump_negotiation(&name, &sid, now.at);
        Ok(SignalSession { participant: sid, session: 1 })
    }

    /// Gives a known participant its new signalling connection.
    pub(crate) fn resume(
        &mut self,
        room: &str,
        participant: &str,
        identity: &str,
        extras: JoinExtras,
        outbound: SignalSender,
        now: Moment,
    ) -> Result<SignalSession, JoinFailure> {
        let known = self.rooms.get_mut(room).and_then(|host| {
            let sid = host.room.by_identity(identity)?.sid.clone();
            let same = participant.is_empty() || participant == sid.as_str();
            same.then(|| (Arc::clone(&host.name), host, sid))
        });
        let Some((name, host, participant)) = known else {
            let message =
                leave(proto::DisconnectReason::StateMismatch, proto::leave_request::Action::Reconnect);
            let _ = outbound.send(Outbound::message(message));
            return Err(JoinFailure::UnknownParticipant);
        };
        let Some(link) = host.links.get_mut(&participant) else {
            return Err(JoinFailure::UnknownParticipant);
        };
        link.send(Outbound::Close);
        link.outbound = Some(outbound);
        link.session += 1;
        let session = SignalSession { participant: participant.clone(), session: link.session };
        let (publisher, subscriber) = (link.publisher, link.subscriber);
        for id in [publisher, subscriber] {
            if let Some(slot) = self.peers.get_mut(id) {
                slot.peer.resumed_at = Some(now.at);
            }
        }
        host.room.resume(&participant);
        self.carry_out(&name, now);
        if let Some(offer) = self.peers.change(subscriber, |peer| Ok(peer.make_offer(now.at, true))).flatten()
        {
            self.register_ufrags(subscriber, Some(&offer.sdp));
            if let Some(link) = self.rooms.get_mut(&name).and_then(|host| host.links.get_mut(&participant)) {
                link.signal(Response::Offer(offer));
            }
        }
        self.take_extras(&name, &participant, extras, now);
        Ok(session)
    }

    fn take_extras(&mut self, room: &Arc<str>, sid: &ParticipantSid, extras: JoinExtras, now: Moment) {
        if let Some(state) = extras.sync_state {
            self.on_request(room, sid, Request::SyncState(state), now);
        }
        for request in extras.add_tracks {
            self.on_request(room, sid, Request::AddTrack(request), now);
        }
        if let Some(offer) = extras.publisher_offer {
            self.on_request(room, sid, Request::Offer(offer), now);
        }
    }

    /// A message from a participant's signalling connection. Those of replaced connections are ignored.
    pub(crate) fn signal(&mut self, room: &str, session: &SignalSession, message: Request, now: Moment) {
        let Some(host) = self.rooms.get(room) else { return };
        let name = Arc::clone(&host.name);
        if host.links.get(&session.participant).is_some_and(|link| link.session == session.session) {
            self.on_request(&name, &session.participant, message, now);
        }
    }

    /// The signalling connection is gone.
    pub(crate) fn signal_closed(&mut self, room: &str, session: &SignalSession, now: Moment) {
        let Some(host) = self.rooms.get_mut(room) else { return };
        let name = Arc::clone(&host.name);
        let Some(link) = host.links.get_mut(&session.participant) else { return };
        if link.session == session.session {
            link.outbound = None;
            host.room.signal_lost(&session.participant, now);
            self.carry_out(&name, now);
        }
    }

    fn on_request(&mut self, room: &Arc<str>, sid: &ParticipantSid, request: Request, now: Moment) {
        let Some(host) = self.rooms.get_mut(room) else { return };
        match request {
            Request::Offer(offer) => self.on_offer(room, sid, &offer, now),
            Request::Answer(answer) => self.on_answer(room, sid, &answer, now),
            Request::AddTrack(request) => {
                host.room.add_track(sid, request);
                self.claim_unclaimed(room, sid, now);
            }
            Request::Mute(mute) => {
                host.room.mute_answered(sid, &mute.sid);
                host.room.set_muted(sid, &mute.sid, mute.muted);
            }
            Request::Subscription(update) => host.room.update_subscription(sid, &update),
            Request::TrackSetting(update) => host.room.update_track_settings(sid, &update),
            Request::Leave(_) => host.room.remove(sid, proto::DisconnectReason::ClientInitiated, now),
            Request::SubscriptionPermission(rules) => host.room.set_subscription_rules(sid, rules),
            // A belief we cannot share means starting over.
            Request::SyncState(state) if !host.room.sync(sid, &state) => {
                host.room.remove(sid, proto::DisconnectReason::StateMismatch, now);
            }
            Request::SyncState(_) => {}
            Request::UpdateMetadata(update) => host.room.update_own_metadata(sid, update),
            Request::UpdateAudioTrack(update) => host.room.update_audio_track(sid, update),
            Request::UpdateVideoTrack(update) => host.room.update_video_track(sid, &update),
            Request::Ping(_) => host.room.signal(sid, Response::Pong(now.unix_ms)),
            Request::PingReq(ping) => {
                let pong = proto::Pong { last_ping_timestamp: ping.timestamp, timestamp: now.unix_ms };
                host.room.signal(sid, Response::PongResp(pong));
            }
            Request::Simulate(scenario) => self.simulate(room, sid, &scenario, now),
            Request::PublishDataTrackRequest(request) => host.room.publish_data_track(sid, request),
            Request::UnpublishDataTrackRequest(request) => host.room.unpublish_data_track(sid, request),
            Request::UpdateDataSubscription(update) => host.room.update_data_subscription(sid, &update),
            Request::StoreDataBlobRequest(proto::StoreDataBlobRequest { request_id, .. })
            | Request::GetDataBlobRequest(proto::GetDataBlobRequest { request_id, .. }) => {
                let response = proto::RequestResponse {
                    request_id,
                    reason: proto::request_response::Reason::NotAllowed as i32,
                    message: "data blob not enabled".into(),
                    request: None,
                };
                host.room.answer_request(sid, response);
            }
            // ICE-lite: clients reach us, we never contact the addresses they name. Layer wishes of publishers are
            // obsolete since `track_setting`.
            Request::Trickle(_) | Request::UpdateLayers(_) => {}
        }
        self.carry_out(room, now);
    }

    fn on_offer(
        &mut self,
        room: &Arc<str>,
        sid: &ParticipantSid,
        offer: &proto::SessionDescription,
        now: Moment,
    ) {
        let Some(host) = self.rooms.get_mut(room) else { return };
        let Some(link) = host.links.get_mut(sid) else { return };
        let Some(me) = host.room.participants.get(sid) else { return };
        let id = link.publisher;
        let Some(slot) = self.peers.get_mut(id) else { return };
        let wishes = |section: &OfferedSection| {
            let cid = section.track_id.as_deref().unwrap_or_default();
            let is_video = section.kind == Some(MediaKind::Video);
            let asked = me.asked_video_codec(cid).filter(|_| is_video);
            let offered = |codec: Option<Codec>| codec.filter(|codec| section.codecs.contains(codec));
            let first = section.codecs.iter().copied().find(|codec| me.device.lets_publish(*codec));
            PublishWish {
                opus_parameters: me.opus_parameters(cid),
                // Without a wish the order of the offer is one. Of audio the stack's order is right: RED before Opus.
                codec: offered(asked).or(first).filter(|_| is_video),
                codec_alone: offered(asked).is_some() && !me.heeds_codec_order(),
            }
        };
        match guarded(|| slot.peer.accept_offer(offer, &wishes)) {
            Ok((answer, offered)) => {
                self.register_ufrags(id, Some(&answer.sdp));
                if let Some(link) = self.rooms.get_mut(room).and_then(|host| host.links.get_mut(sid)) {
                    link.signal(Response::Answer(answer));
                }
                self.take_media(room, sid, offered, now);
                self.start_copies(room, sid, now.at);
                self.pump_negotiation(room, sid, now.at);
            }
            Err(error) => self.refuse_description(room, sid, &error, now),
        }
        self.peers.touch(id);
    }

    fn on_answer(
        &mut self,
        room: &Arc<str>,
        sid: &ParticipantSid,
        answer: &proto::SessionDescription,
        now: Moment,
    ) {
        let Some(id) = self.rooms.get(room).and_then(|host| host.links.get(sid)).map(|link| link.subscriber)
        else {
            return;
        };
        let Some(slot) = self.peers.get_mut(id) else { return };
        match guarded(|| slot.peer.accept_answer(answer)) {
            Ok(()) => {
                self.start_copies(room, sid, now.at);
                self.pump_negotiation(room, sid, now.at);
            }
            Err(error) => self.refuse_description(room, sid, &error, now),
        }
        self.peers.touch(id);
    }

    /// A description we cannot use leaves both sides with different ideas: the client must start over.
    fn refuse_description(
        &mut self,
        room: &Arc<str>,
        sid: &ParticipantSid,
        error: &TransportError,
        now: Moment,
    ) {
        tracing::warn!(room.name = %room, participant.sid = %sid, %error, "session description refused");
        if let Some(host) = self.rooms.get_mut(room) {
            host.room.remove(sid, proto::DisconnectReason::StateMismatch, now);
        }
    }

    /// Matches the client's publishing sections with promised tracks, and notices those it stopped.
    fn take_media(
        &mut self,
        room: &Arc<str>,
        sid: &ParticipantSid,
        offered: Vec<OfferedSection>,
        now: Moment,
    ) {
        let Some(host) = self.rooms.get_mut(room) else { return };
        let Some(link) = host.links.get_mut(sid) else { return };
        let Some(slot) = self.peers.get_mut(link.publisher) else { return };
        let sending: Vec<Mid> = slot.peer.publishing_mids().collect();
        let stopped: Vec<_> = slot
            .published
            .iter()
            .filter(|(mid, _)| !sending.contains(mid))
            .filter_map(|(_, id)| self.tracks.get_mut(*id).map(|track| track.sid.clone()))
            .collect();
        link.unclaimed = offered
            .into_iter()
            .filter(|section| section.client_sends && !section.stopped && section.kind.is_some())
            .collect();
        for track in stopped {
            host.room.unpublish(sid, &track, false);
        }
        self.carry_out(room, now);
        self.claim_unclaimed(room, sid, now);
    }

    fn claim_unclaimed(&mut self, room: &Arc<str>, sid: &ParticipantSid, now: Moment) {
        let Some(link) = self.rooms.get_mut(room).and_then(|host| host.links.get_mut(sid)) else { return };
        let peer = link.publisher;
        for section in std::mem::take(&mut link.unclaimed) {
            if !self.claim(room, sid, peer, &section)
                && let Some(link) = self.rooms.get_mut(room).and_then(|host| host.links.get_mut(sid))
            {
                link.unclaimed.push(section);
            }
            self.carry_out(room, now);
        }
    }

    /// Whether the section's track is known now.
    fn claim(
        &mut self,
        room: &Arc<str>,
        sid: &ParticipantSid,
        peer: PeerId,
        section: &OfferedSection,
    ) -> bool {
        let (Some(host), Some(kind)) = (self.rooms.get_mut(room), section.kind) else { return true };
        let mid = Mid::from(section.mid.as_str());
        let cid = section.track_id.as_deref().unwrap_or_default();
        let on_section = self.peers.get(peer).and_then(|slot| slot.published.get(&mid)).copied();
        if let Some(track) = on_section.and_then(|id| self.tracks.get_mut(id)) {
            if !section.layer_ssrcs.is_empty() {
                track.layers_by_ssrc = layers_by_ssrc(section).collect();
            }
            let me = host.room.participants.get(sid);
            let same = me.and_then(|me| me.track(track.sid.as_str())).is_none_or(|known| known.cid == cid);
            if same || cid.is_empty() {
                return true;
            }
            if !me.is_some_and(|me| me.pending.iter().any(|pending| pending.answers_to(cid))) {
                return false;
            }
            let old = track.sid.clone();
            host.room.unpublish(sid, &old, false);
        }
        let aic = section.aic && self.peers.get(peer).is_some_and(|slot| slot.peer.agrees_on_aic());
        let me = host.room.participants.get(sid);
        let may = |codec: &Codec| me.is_none_or(|me| me.device.lets_publish(*codec));
        let codecs: Vec<Codec> = section.codecs.iter().copied().filter(may).collect();
        let (codecs, simulcast) = (&codecs[..], section.simulcast);
        let facts = MediaFacts { cid, kind, mid: &section.mid, codecs, aic, simulcast };
        let Some(track) = host.room.claim_media(sid, &facts) else { return false };
        if host.tracks.contains_key(&track) {
            // A second section under the same name: the first one carries the track.
            return true;
        }
        let info = host.room.participants.get(sid).and_then(|me| me.track(track.as_str())).map(|t| &t.info);
        let open = info.is_none_or(|info| !info.muted);
        let mut by_ssrc: HashMap<_, _> = layers_by_ssrc(section).collect();
        by_ssrc.extend(info.into_iter().flat_map(ssrcs_of_layers));
        let is_encrypted = info.is_some_and(|info| info.encryption != proto::encryption::Type::None as i32);
        let id = self.tracks.insert(PublishedTrack {
            sid: track.clone(),
            publisher: sid.clone(),
            room: Arc::clone(room),
            peer,
            kind,
            open,
            formats: Vec::new(),
            format: None,
            level: Default::default(),
            losses: Default::default(),
            upstream_loss: [0.0; 3],
            activity: Default::default(),
            layer_ssrc: [None; 3],
            layers_by_ssrc: by_ssrc,
            last_keyframe_request: [None; 3],
            reports: [None; 3],
            copies: Vec::new(),
            aic: aic.then(|| AicTrack::new(&self.transcoding, is_encrypted)),
        });
        host.tracks.insert(track, id);
        if let Some(slot) = self.peers.get_mut(peer) {
            slot.published.insert(mid, id);
            slot.sources.retain(|_, source| source.track != id);
        }
        true
    }

    /// Failures a client asks for, to test itself.
    fn simulate(
        &mut self,
        room: &Arc<str>,
        sid: &ParticipantSid,
        scenario: &proto::SimulateScenario,
        now: Moment,
    ) {
        use proto::leave_request::Action;
        use proto::simulate_scenario::Scenario;
        let Some(host) = self.rooms.get_mut(room) else { return };
        match &scenario.scenario {
            Some(Scenario::NodeFailure(_)) => {
                host.room.remove(sid, proto::DisconnectReason::StateMismatch, now);
            }
            Some(Scenario::LeaveRequestFullReconnect(_) | Scenario::ServerLeave(_)) => {
                host.room.signal(sid, leave(proto::DisconnectReason::ServerShutdown, Action::Reconnect));
            }
            Some(Scenario::Migration(_)) => {
                host.room.signal(sid, leave(proto::DisconnectReason::Migration, Action::Resume));
            }
            Some(Scenario::DisconnectSignalOnResume(_) | Scenario::DisconnectSignalOnResumeNoMessages(_)) => {
                if let Some(link) = host.links.get_mut(sid) {
                    link.send(Outbound::Close);
                }
            }
            _ => {}
        }
    }
}

/// Layers that are told apart by SSRC alone, as the offer groups them.
fn layers_by_ssrc(section: &OfferedSection) -> impl Iterator<Item = (Ssrc, Layer)> {
    section.layer_ssrcs.iter().zip(Layer::ALL).map(|(ssrc, layer)| (Ssrc::from(*ssrc), layer))
}

/// The same as the publisher's `add_track` says it.
fn ssrcs_of_layers(info: &proto::TrackInfo) -> impl Iterator<Item = (Ssrc, Layer)> {
    let of_codecs = info.codecs.iter().flat_map(|codec| &codec.layers);
    info.layers
        .iter()
        .chain(of_codecs)
        .filter(|layer| layer.ssrc != 0)
        .filter_map(|layer| Some((Ssrc::from(layer.ssrc), layer_of_quality(layer.quality)?)))
}
