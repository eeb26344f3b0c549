//! Receiving: which tracks are on their way to us, and where their packets go.
//!
//! A track counts as subscribed when a description says that it is sent to us, media or not; packets find it by the
//! track id of that description. Tracks whose publisher is not known yet wait for the news.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aic_codec::payload::sdp::Fmtp;
use aura_media::{Codec, MediaKind};
use livekit_protocol as proto;
use livekit_protocol::signal_request::Message as Request;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::Session;
use crate::engine::sdp;
use crate::error::Result;
use crate::event::RoomEvent;
use crate::frame::RtpPacket;
use crate::participant::DisconnectReason;
use crate::track::{Formats, RemoteTrack, TrackSettings};
use crate::transport::{Target, codec_of};

/// Where a media stream's packets go; empty while nobody is subscribed.
type Slot = Arc<Mutex<Option<RemoteTrack>>>;

#[derive(Default)]
pub(super) struct Subscribed {
    tracks: HashMap<String, RemoteTrack>,
    /// By the track id of the description.
    slots: HashMap<String, Slot>,
    /// Sent to us by publishers we have not heard of yet.
    unknown: Vec<Receiving>,
    /// Where the caller deviates from the default.
    wishes: HashMap<String, bool>,
    settings: HashMap<String, TrackSettings>,
}

#[derive(Debug, Clone)]
struct Receiving {
    track_sid: String,
    track_id: String,
    kind: MediaKind,
    formats: Formats,
}

impl Subscribed {
    fn slot(&mut self, track_id: &str) -> &Slot {
        self.slots.entry(track_id.to_owned()).or_default()
    }

    /// For `sync_state`: the tracks that deviate from `auto_subscribe`.
    pub(super) fn deviations(&self, auto_subscribe: bool) -> proto::UpdateSubscription {
        let deviating = self.wishes.iter().filter(|(_, wish)| **wish != auto_subscribe);
        proto::UpdateSubscription {
            track_sids: deviating.map(|(sid, _)| sid.clone()).collect(),
            subscribe: !auto_subscribe,
            ..Default::default()
        }
    }

    /// For `sync_state`: the tracks that send nothing for now.
    pub(super) fn disabled(&self) -> Vec<String> {
        self.settings.iter().filter(|(_, settings)| settings.disabled).map(|(sid, _)| sid.clone()).collect()
    }
}

impl Session {
    pub(super) fn subscribe(&mut self, track_sids: Vec<String>, subscribe: bool) {
        for sid in &track_sids {
            self.subscribed.wishes.insert(sid.clone(), subscribe);
        }
        let update = proto::UpdateSubscription { track_sids, subscribe, ..Default::default() };
        self.send(Request::Subscription(update));
    }

    pub(super) fn track_settings(&mut self, track_sid: String, settings: TrackSettings) {
        self.send(Request::TrackSetting(setting(&track_sid, &settings)));
        self.subscribed.settings.insert(track_sid, settings);
    }

    /// A new session knows nothing of what we wished for.
    pub(super) fn repeat_wishes(&mut self) {
        let deviations = self.subscribed.deviations(self.options.auto_subscribe);
        if !deviations.track_sids.is_empty() {
            self.send(Request::Subscription(deviations));
        }
        let settings: Vec<_> =
            self.subscribed.settings.iter().map(|(sid, settings)| setting(sid, settings)).collect();
        for setting in settings {
            self.send(Request::TrackSetting(setting));
        }
    }

    /// The server offers what we shall receive.
    pub(super) async fn on_offer(
        &mut self,
        offer: proto::SessionDescription,
    ) -> Result<(), DisconnectReason> {
        let Some(subscriber) = self.subscriber.as_mut() else { return Ok(()) };
        let answer = match subscriber.answer(offer.sdp.clone()).await {
            Ok(sdp) => match &self.options.aic_model {
                Some(model) => {
                    let ours = Fmtp::of(model).to_string();
                    sdp::with_format_parameters(&sdp, Codec::Aic.short_name(), &ours)
                }
                None => sdp,
            },
            Err(error) => {
                tracing::warn!(%error, "offer not accepted");
                return self.on_transport_failed(Target::Subscriber);
            }
        };
        self.send(Request::Answer(proto::SessionDescription {
            r#type: "answer".to_owned(),
            sdp: answer.clone(),
            id: offer.id,
            ..Default::default()
        }));
        self.on_receiving(&offer.sdp, Some(&answer), None);
        self.subscriber_offered();
        Ok(())
    }

    /// The other side's description, which says what it sends us; `ours` has the numbers it uses for that.
    pub(super) fn on_receiving(
        &mut self,
        sdp: &str,
        ours: Option<&str>,
        mids: Option<&HashMap<String, String>>,
    ) {
        let receiving: Vec<_> = sdp::sending_sections(sdp)
            .into_iter()
            .filter(|section| section.participant_sid().is_some())
            .map(|section| Receiving {
                track_sid: mids
                    .and_then(|mids| mids.get(&section.mid).cloned())
                    .unwrap_or_else(|| section.track_sid().to_owned()),
                formats: ours.map_or_else(Formats::default, |ours| Formats::read(ours, &section.mid)),
                track_id: section.track_id,
                kind: section.kind,
            })
            .collect();
        let ended: Vec<_> = self
            .subscribed
            .tracks
            .keys()
            .filter(|sid| receiving.iter().all(|track| track.track_sid != **sid))
            .cloned()
            .collect();
        for sid in ended {
            self.end_remote_track(&sid);
        }
        self.subscribed.unknown = receiving;
        self.adopt_known_tracks();
    }

    /// Tracks whose publishers are known become subscribed.
    pub(super) fn adopt_known_tracks(&mut self) {
        for receiving in std::mem::take(&mut self.subscribed.unknown) {
            if let Some(track) = self.subscribed.tracks.get(&receiving.track_sid) {
                track.set_formats(receiving.formats);
                continue;
            }
            let found = self
                .roster()
                .publication(&receiving.track_sid)
                .map(|(publication, participant)| (publication.clone(), participant.clone()));
            let Some((publication, participant)) = found else {
                self.subscribed.unknown.push(receiving);
                continue;
            };
            let sid = receiving.track_sid;
            let identity = participant.identity.clone();
            let track = RemoteTrack::new(sid.clone(), identity, receiving.kind, publication.codec);
            track.set_formats(receiving.formats);
            let slot = self.subscribed.slot(&receiving.track_id);
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(track.clone());
            self.subscribed.tracks.insert(sid, track.clone());
            self.emit(RoomEvent::TrackSubscribed { track, publication, participant });
        }
    }

    pub(super) fn end_remote_track(&mut self, sid: &str) {
        let Some(track) = self.subscribed.tracks.remove(sid) else { return };
        track.end();
        for slot in self.subscribed.slots.values() {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            if slot.as_ref().is_some_and(|current| current.sid() == sid) {
                *slot = None;
            }
        }
        self.emit(RoomEvent::TrackUnsubscribed {
            track_sid: sid.to_owned(),
            identity: track.identity().to_owned(),
        });
    }

    /// The connection that carried them is gone.
    pub(super) fn end_remote_tracks(&mut self) {
        for sid in self.subscribed.tracks.keys().cloned().collect::<Vec<_>>() {
            self.end_remote_track(&sid);
        }
        self.subscribed.slots.clear();
        self.subscribed.unknown.clear();
    }

    pub(super) fn end_tracks_of(&mut self, identity: &str) {
        let theirs = self.subscribed.tracks.values().filter(|track| track.identity() == identity);
        for sid in theirs.map(|track| track.sid().to_owned()).collect::<Vec<_>>() {
            self.end_remote_track(&sid);
        }
    }

    /// Media of a stream arrives for the first time.
    pub(super) async fn on_media(&mut self, media: Arc<dyn TrackRemote>) {
        let slot = Arc::clone(self.subscribed.slot(&media.track_id().await));
        self.tasks.spawn("track packets", pump(slot, media));
    }
}

/// Moves packets from a media stream to whoever is subscribed. Outlives a subscription, because the stream does.
async fn pump(slot: Slot, media: Arc<dyn TrackRemote>) {
    let mut attached: Option<(RemoteTrack, u32)> = None;
    while let Some(event) = media.poll().await {
        let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
        let current = slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(track) = current else { continue };
        let ssrc = packet.header.ssrc;
        let is_attached = attached.as_ref().is_some_and(|(old, of)| *of == ssrc && old.is_same(&track));
        if !is_attached {
            track.attach(Arc::clone(&media), ssrc, codec_of(&media, ssrc).await);
            attached = Some((track.clone(), ssrc));
        }
        if let Some(meta) = track.meta_id().and_then(|id| packet.header.get_extension(id)) {
            track.set_meta(&meta);
        }
        track.push(RtpPacket {
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            payload_type: packet.header.payload_type,
            ssrc,
            payload: packet.payload,
        });
    }
}

fn setting(track_sid: &str, settings: &TrackSettings) -> proto::UpdateTrackSettings {
    let (width, height) = settings.dimensions.unwrap_or_default();
    proto::UpdateTrackSettings {
        track_sids: vec![track_sid.to_owned()],
        disabled: settings.disabled,
        quality: settings.quality.unwrap_or(proto::VideoQuality::High).into(),
        width,
        height,
        fps: settings.fps.unwrap_or_default(),
        priority: settings.priority.unwrap_or_default(),
    }
}
