//! What the server and the peer connections say, and who deals with it.

use livekit_protocol as proto;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Response;
use webrtc::peer_connection::RTCPeerConnectionState;

use aura_media::MediaKind;

use super::{Phase, Session};
use crate::error::Result;
use crate::event::RoomEvent;
use crate::options::SignalMode;
use crate::participant::DisconnectReason;
use crate::transport::{Peer, PeerEvent, TaggedPeerEvent, Target};

/// Receiving sections offered up front in single mode, of each kind.
const SPARE_SECTIONS: u32 = 3;

impl Session {
    pub(super) async fn on_signal(&mut self, message: Response) -> Result<(), DisconnectReason> {
        let now = self.now();
        self.keepalive.heard(now);
        match message {
            Response::Answer(answer) => return self.on_answer(answer).await,
            Response::Offer(offer) => return self.on_offer(offer).await,
            Response::Leave(leave) => return self.on_leave(&leave),
            Response::Trickle(trickle) => self.on_trickle(trickle).await,
            Response::Update(update) => {
                let events = self.roster().update(update.participants);
                self.report(events);
            }
            Response::TrackPublished(published) => self.on_track_published(published).await,
            Response::TrackUnpublished(unpublished) => self.on_local_unpublished(unpublished.track_sid).await,
            Response::Mute(mute) => self.on_remote_mute(mute),
            Response::SpeakersChanged(changed) => {
                let event = self.roster().speakers(changed.speakers);
                self.emit(event);
            }
            Response::RoomUpdate(update) => {
                let event = update.room.and_then(|room| self.roster().room(room));
                self.report(event);
            }
            Response::ConnectionQuality(quality) => {
                for update in quality.updates {
                    let event = self.roster().quality(&update.participant_sid, update.quality());
                    self.report(event);
                }
            }
            Response::StreamStateUpdate(states) => {
                for state in states.stream_states {
                    let paused = state.state() == proto::StreamState::Paused;
                    self.emit(RoomEvent::StreamStateChanged { track_sid: state.track_sid, paused });
                }
            }
            Response::SubscriptionPermissionUpdate(update) => {
                self.emit(RoomEvent::SubscriptionPermissionChanged {
                    track_sid: update.track_sid,
                    allowed: update.allowed,
                });
            }
            Response::SubscriptionResponse(response) => {
                self.emit(RoomEvent::TrackSubscriptionFailed {
                    error: response.err().as_str_name(),
                    track_sid: response.track_sid,
                });
            }
            Response::TrackSubscribed(subscribed) => {
                self.emit(RoomEvent::LocalTrackSubscribed { track_sid: subscribed.track_sid });
            }
            Response::SubscribedQualityUpdate(update) => {
                // Qualities of a video we do not simulcast say nothing; codecs do.
                let codecs = update.subscribed_codecs.into_iter();
                let enabled = |codec: &proto::SubscribedCodec| codec.qualities.iter().any(|q| q.enabled);
                self.on_subscribed_codecs(
                    &update.track_sid,
                    codecs.map(|codec| (codec.codec.clone(), enabled(&codec))),
                );
            }
            Response::SubscribedAudioCodecUpdate(update) => {
                let codecs = update.subscribed_audio_codecs.into_iter();
                self.on_subscribed_codecs(
                    &update.track_sid,
                    codecs.map(|codec| (codec.codec, codec.enabled)),
                );
            }
            Response::PublishDataTrackResponse(response) => self.on_data_track_published(response),
            Response::UnpublishDataTrackResponse(response) => self.on_data_track_unpublished(response),
            Response::DataTrackSubscriberHandles(handles) => self.on_data_track_handles(handles),
            Response::RefreshToken(token) => self.token = token,
            Response::RequestResponse(response) => self.on_request_response(response),
            Response::MediaSectionsRequirement(needed) => self.on_sections_needed(&needed).await,
            // Keepalive answers have done their work by arriving; the rest concerns features we do not offer:
            // several qualities per track, blobs, moving between rooms.
            _ => {}
        }
        Ok(())
    }

    /// Participant events, with what else follows from them.
    pub(super) fn report(&mut self, events: impl IntoIterator<Item = RoomEvent>) {
        for event in events {
            match &event {
                RoomEvent::ParticipantDisconnected { participant, .. } => {
                    let identity = participant.identity.clone();
                    self.end_tracks_of(&identity);
                    self.end_data_tracks_of(&identity);
                    self.streams.disconnected(&identity);
                    for (reply, error) in self.calls.disconnected(&identity) {
                        let _ = reply.send(Err(error));
                    }
                }
                RoomEvent::TrackUnpublished { publication, .. } => {
                    let sid = publication.sid.clone();
                    self.end_remote_track(&sid);
                }
                RoomEvent::DataTrackUnpublished { publication, .. } => {
                    let sid = publication.sid.clone();
                    self.end_data_track(&sid);
                }
                _ => {}
            }
            self.emit(event);
        }
        self.adopt_known_tracks();
    }

    async fn on_trickle(&mut self, trickle: proto::TrickleRequest) {
        let target = match trickle.target() {
            proto::SignalTarget::Subscriber if self.is_dual() => Target::Subscriber,
            _ => Target::Publisher,
        };
        if let Some(peer) = self.peer(target) {
            peer.add_candidate(&trickle.candidate_init).await;
        }
    }

    /// Single mode: the server has more to send than there are sections.
    async fn on_sections_needed(&mut self, needed: &proto::MediaSectionsRequirement) {
        if let Some(publisher) = &self.publisher {
            let added = [(MediaKind::Audio, needed.num_audios), (MediaKind::Video, needed.num_videos)];
            for (kind, count) in added {
                if let Err(error) = publisher.add_receivers(kind, count.min(64)).await {
                    tracing::warn!(%error, "could not add receiving sections");
                }
            }
        }
        self.offers.request();
    }

    pub(super) async fn on_peer_event(
        &mut self,
        (generation, target, event): TaggedPeerEvent,
    ) -> Result<(), DisconnectReason> {
        if generation != self.generation {
            return Ok(());
        }
        match event {
            PeerEvent::State(state) => {
                tracing::debug!(?target, %state, "peer connection");
                if let Some(peer) = self.peer(target) {
                    peer.state = state;
                }
                if state == RTCPeerConnectionState::Failed {
                    return self.on_transport_failed(target);
                }
            }
            PeerEvent::Candidate(candidate_init) => {
                let target = proto::SignalTarget::from(target).into();
                self.send(Request::Trickle(proto::TrickleRequest { candidate_init, target, r#final: false }));
            }
            PeerEvent::Track(media) => self.on_media(media).await,
            PeerEvent::Channel(channel) => self.read_channel(channel, None),
        }
        Ok(())
    }

    /// New connections for a new session; the old ones close in the background.
    pub(super) async fn open_peers(&mut self) -> Result<()> {
        for peer in [self.publisher.take(), self.subscriber.take()].into_iter().flatten() {
            self.tasks.spawn("close peer connection", async move { peer.close().await });
        }
        self.generation += 1;
        self.offers = crate::engine::negotiation::OfferQueue::default();
        self.channels.clear();
        self.data_tracks.disconnected();
        let generation = self.generation;
        let publisher =
            Peer::new(Target::Publisher, generation, &self.peer_config, self.peer_events.clone()).await?;
        // Owned at once: whatever fails from here on, the session closes what it owns.
        let publisher = self.publisher.insert(publisher);
        let channels = publisher.create_channels().await?;
        if self.options.mode == SignalMode::Single {
            publisher.add_receivers(MediaKind::Audio, SPARE_SECTIONS).await?;
            publisher.add_receivers(MediaKind::Video, SPARE_SECTIONS).await?;
        } else {
            let subscriber =
                Peer::new(Target::Subscriber, generation, &self.peer_config, self.peer_events.clone())
                    .await?;
            self.subscriber = Some(subscriber);
        }
        for (label, channel) in channels {
            self.read_channel(channel, Some(label));
        }
        Ok(())
    }

    pub(super) fn on_leave(&mut self, leave: &proto::LeaveRequest) -> Result<(), DisconnectReason> {
        use crate::engine::reconnect::Plan;
        use proto::leave_request::Action;
        let reason = leave.reason();
        tracing::info!(?reason, action = ?leave.action(), "the server asks us to leave");
        match (&self.phase, leave.action()) {
            (Phase::Connecting { .. }, _) | (_, Action::Disconnect) => Err(reason),
            (_, Action::Resume) => self.break_off(Plan::Resume),
            (_, Action::Reconnect) => self.break_off(Plan::Full),
        }
    }
}
