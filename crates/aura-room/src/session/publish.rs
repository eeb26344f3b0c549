//! Publishing: announce, negotiate, connect the track to the wire; and the way back.
//!
//! A track is announced first and offered when the server has given it an id. The caller hears of success when the
//! answer is applied, so that the next frame written is sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aic_codec::payload::meta;
use aic_codec::payload::sdp::Fmtp;
use aura_media::{Codec, MediaKind};
use livekit_protocol as proto;
use livekit_protocol::signal_request::Message as Request;
use tokio::sync::oneshot;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::rtp_transceiver::RtpSender;

use super::{Command, Session};
use crate::engine::sdp;
use crate::error::{Result, RoomError};
use crate::event::RoomEvent;
use crate::participant::DisconnectReason;
use crate::track::{AicTerms, Link, LinkTrack, LocalTrack, PublishOptions};
use crate::transport::Target;

/// How long announcing and negotiating a track may take.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(15);

/// Our tracks, by our own ids.
#[derive(Default)]
pub(super) struct Publishing {
    tracks: HashMap<String, Published>,
}

struct Published {
    track: LocalTrack,
    options: PublishOptions,
    /// The caller of `publish`, until it is told.
    reply: Option<oneshot::Sender<Result<()>>>,
    by: Instant,
    info: Option<proto::TrackInfo>,
    wire: Option<Wire>,
}

struct Wire {
    rtp: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
    linked: bool,
}

impl Publishing {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.tracks.values().filter(|published| published.reply.is_some()).map(|published| published.by).min()
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let late: Vec<_> = self
            .tracks
            .iter()
            .filter(|(_, published)| published.reply.is_some() && now >= published.by)
            .map(|(id, _)| id.clone())
            .collect();
        for id in late {
            self.refuse(&id, RoomError::Timeout { what: "publishing", limit: PUBLISH_TIMEOUT });
        }
    }

    /// The track will not be published.
    pub(super) fn refuse(&mut self, id: &str, error: RoomError) {
        let Some(published) = self.tracks.remove(id) else { return };
        published.track.set_sid(None);
        published.track.set_link(None);
        match published.reply {
            Some(reply) => {
                let _ = reply.send(Err(error));
            }
            None if matches!(error, RoomError::Closed) => {}
            None => tracing::warn!(%error, track.id = id, "a track could not be published again"),
        }
    }

    pub(super) fn close(&mut self) {
        for id in self.tracks.keys().cloned().collect::<Vec<_>>() {
            self.refuse(&id, RoomError::Closed);
        }
    }

    /// For `sync_state`.
    pub(super) fn responses(&self) -> Vec<proto::TrackPublishedResponse> {
        let response = |(cid, published): (&String, &Published)| {
            Some(proto::TrackPublishedResponse { cid: cid.clone(), track: Some(published.info.clone()?) })
        };
        self.tracks.iter().filter_map(response).collect()
    }

    fn by_sid(&self, sid: &str) -> Option<&Published> {
        self.tracks.values().find(|published| published.info.as_ref().is_some_and(|info| info.sid == sid))
    }
}

impl Session {
    pub(super) fn publish(
        &mut self,
        track: LocalTrack,
        options: PublishOptions,
        reply: oneshot::Sender<Result<()>>,
    ) {
        if self.publishing.tracks.contains_key(track.id()) {
            let _ = reply.send(Err(RoomError::AlreadyPublished));
            return;
        }
        let request = add_track(&track, &options);
        let published = Published {
            by: self.later(PUBLISH_TIMEOUT),
            options,
            reply: Some(reply),
            info: None,
            wire: None,
            track: track.clone(),
        };
        self.publishing.tracks.insert(track.id().to_owned(), published);
        self.send(Request::AddTrack(request));
    }

    /// A full reconnect: everything is announced again, under new ids.
    pub(super) fn republish(&mut self) {
        let mut requests = Vec::new();
        for published in self.publishing.tracks.values_mut() {
            published.info = None;
            published.wire = None;
            published.track.set_sid(None);
            published.track.set_link(None);
            published.track.set_aic_wanted(true);
            requests.push(add_track(&published.track, &published.options));
        }
        for request in requests {
            // These belong to the new session; they must not wait for its media.
            if let Some(signal) = &self.signal {
                signal.send(Request::AddTrack(request));
            }
        }
    }

    pub(super) async fn on_track_published(&mut self, response: proto::TrackPublishedResponse) {
        let proto::TrackPublishedResponse { cid, track: Some(info) } = response else { return };
        let is_dual = self.is_dual();
        let Some(published) = self.publishing.tracks.get_mut(&cid) else { return };
        let Some(publisher) = self.publisher.as_mut() else { return };
        if published.wire.is_some() {
            published.info = Some(info);
            return;
        }
        let stream = if published.options.stream.is_empty() {
            info.sid.clone()
        } else {
            published.options.stream.clone()
        };
        let (commands, track) = (self.weak_commands.clone(), published.track.clone());
        let on_keyframe = move || {
            track.want_keyframe();
            if let Some(commands) = commands.upgrade() {
                // A full queue means that many keyframes are asked for already.
                let _ = commands.try_send(Command::Keyframe { track: track.clone() });
            }
        };
        let added = publisher.add_track(&published.track, stream, is_dual, &self.tasks, on_keyframe).await;
        match added {
            Ok((rtp, sender)) => {
                published.track.set_sid(Some(info.sid.clone()));
                published.info = Some(info);
                published.wire = Some(Wire { rtp, sender, linked: false });
                self.offers.request();
            }
            Err(error) => self.publishing.refuse(&cid, error.into()),
        }
    }

    /// Makes and sends the next offer, if one is due.
    pub(super) async fn send_offer(&mut self) -> Result<(), DisconnectReason> {
        if self.signal.is_none() || self.publisher.is_none() {
            return Ok(());
        }
        let Some(plan) = self.offers.start(self.now()) else { return Ok(()) };
        let Some(publisher) = self.publisher.as_mut() else { return Ok(()) };
        match publisher.offer(plan.ice_restart).await {
            Ok(sdp) => {
                let offer = proto::SessionDescription {
                    r#type: "offer".to_owned(),
                    sdp,
                    id: plan.id,
                    ..Default::default()
                };
                self.send(Request::Offer(offer));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "could not make an offer");
                self.on_transport_failed(Target::Publisher)
            }
        }
    }

    pub(super) async fn on_answer(
        &mut self,
        answer: proto::SessionDescription,
    ) -> Result<(), DisconnectReason> {
        if !self.offers.answered(answer.id) {
            tracing::debug!(id = answer.id, "answer to no offer of ours");
            return Ok(());
        }
        let Some(publisher) = self.publisher.as_mut() else { return Ok(()) };
        if let Err(error) = publisher.accept_answer(answer.sdp.clone()).await {
            tracing::warn!(%error, "answer not accepted");
            return self.on_transport_failed(Target::Publisher);
        }
        self.link_tracks(&answer.sdp);
        if !self.is_dual() {
            let ours = self.publisher.as_ref().and_then(|publisher| publisher.local.clone());
            self.on_receiving(&answer.sdp, ours.as_deref(), Some(&answer.mid_to_track_id));
        }
        Ok(())
    }

    /// Connects tracks to the wire with what the answer agreed to.
    fn link_tracks(&mut self, answer: &str) {
        let Some(offer) = self.publisher.as_ref().and_then(|publisher| publisher.local.clone()) else {
            return;
        };
        let mut refused = Vec::new();
        for (id, published) in &mut self.publishing.tracks {
            let Some(wire) = published.wire.as_mut().filter(|wire| !wire.linked) else { continue };
            let Some(mid) = sdp::mid_of_track(&offer, id) else { continue };
            let codec = published.track.codec();
            let Some(payload_type) = sdp::payload_type(answer, &mid, codec.short_name()) else {
                refused.push((id.clone(), codec));
                continue;
            };
            wire.linked = true;
            published.track.set_link(Some(Link {
                rtp: LinkTrack(Arc::clone(&wire.rtp)),
                payload_type,
                audio_level_id: sdp::extension_id(answer, &mid, sdp::AUDIO_LEVEL_URI),
                red: sdp::payload_type(answer, &mid, "red").filter(|_| codec == Codec::Opus),
                aic: aic_terms(answer, &mid, self.options.aic_model.as_deref()),
            }));
            if let Some(reply) = published.reply.take() {
                let _ = reply.send(Ok(()));
            }
        }
        for (id, codec) in refused {
            self.publishing.refuse(&id, RoomError::UnsupportedCodec(codec.mime()));
        }
    }

    pub(super) async fn unpublish(&mut self, track: &LocalTrack) -> Result<()> {
        let Some(published) = self.publishing.tracks.remove(track.id()) else {
            return Err(RoomError::UnknownTrack(track.id().to_owned()));
        };
        track.set_link(None);
        track.set_sid(None);
        if let Some(reply) = published.reply {
            let _ = reply.send(Err(RoomError::Closed));
        }
        if let (Some(wire), Some(publisher)) = (published.wire, self.publisher.as_mut()) {
            publisher.remove_track(&wire.sender, track.codec().kind()).await?;
            self.offers.request();
        }
        Ok(())
    }

    pub(super) fn mute(&mut self, track: &LocalTrack, muted: bool) -> Result<()> {
        let Some(sid) = track.sid().filter(|_| self.publishing.tracks.contains_key(track.id())) else {
            return Err(RoomError::UnknownTrack(track.id().to_owned()));
        };
        track.set_muted(muted);
        self.send(Request::Mute(proto::MuteTrackRequest { sid, muted }));
        Ok(())
    }

    /// A moderator muted one of our tracks; the server wants to hear that it is done.
    pub(super) fn on_remote_mute(&mut self, request: proto::MuteTrackRequest) {
        let Some(published) = self.publishing.by_sid(&request.sid) else { return };
        if published.track.is_muted() == request.muted {
            return;
        }
        published.track.set_muted(request.muted);
        let (track_sid, muted) = (request.sid.clone(), request.muted);
        self.send(Request::Mute(request));
        self.emit(RoomEvent::LocalTrackMuted { track_sid, muted });
    }

    /// The server took a track away.
    pub(super) async fn on_local_unpublished(&mut self, track_sid: String) {
        let Some(published) = self.publishing.by_sid(&track_sid) else { return };
        let track = published.track.clone();
        if let Err(error) = self.unpublish(&track).await {
            tracing::debug!(%error, "track was not there");
        }
        self.emit(RoomEvent::LocalTrackUnpublished { track_sid });
    }

    /// The server says which codecs its subscribers take now.
    pub(super) fn on_subscribed_codecs(
        &self,
        track_sid: &str,
        mut codecs: impl Iterator<Item = (String, bool)>,
    ) {
        let Some(published) = self.publishing.by_sid(track_sid) else { return };
        if let Some((_, wanted)) = codecs.find(|(name, _)| Codec::parse(name) == Some(Codec::Aic)) {
            tracing::debug!(track.sid = track_sid, wanted, "the server chose about AIC");
            published.track.set_aic_wanted(wanted);
        }
    }

    pub(super) fn on_keyframe_wanted(&mut self, track: &LocalTrack) {
        if let Some(track_sid) = track.sid() {
            self.emit(RoomEvent::KeyframeWanted { track_sid });
        }
    }
}

/// What an answer says about AIC on one section, for us with `model`.
fn aic_terms(answer: &str, mid: &str, model: Option<&str>) -> AicTerms {
    let payload_type = sdp::payload_type(answer, mid, Codec::Aic.short_name());
    let (Some(model), Some(payload_type)) = (model, payload_type) else { return AicTerms::Absent };
    let theirs = sdp::format_parameters(answer, mid, payload_type).and_then(|text| Fmtp::parse(text).ok());
    let agreed = theirs.and_then(|theirs| Fmtp::of(model).agree(&theirs).ok());
    match agreed.and_then(|agreed| agreed.limits()) {
        Some(limits) => {
            AicTerms::Agreed { payload_type, meta_id: sdp::extension_id(answer, mid, meta::URI), limits }
        }
        None => AicTerms::OtherModel,
    }
}

fn add_track(track: &LocalTrack, options: &PublishOptions) -> proto::AddTrackRequest {
    let codec = track.codec();
    let is_video = codec.kind() == MediaKind::Video;
    let source = match options.source {
        proto::TrackSource::Unknown if is_video => proto::TrackSource::Camera,
        proto::TrackSource::Unknown => proto::TrackSource::Microphone,
        given => given,
    };
    let layer = proto::VideoLayer {
        quality: proto::VideoQuality::High.into(),
        width: options.width,
        height: options.height,
        bitrate: options.bitrate_bps,
        ssrc: track.ssrc(),
        ..Default::default()
    };
    let layers = if is_video { vec![layer] } else { Vec::new() };
    let mut audio_features = Vec::new();
    if options.disable_dtx {
        audio_features.push(proto::AudioTrackFeature::TfNoDtx.into());
    }
    if options.stereo {
        audio_features.push(proto::AudioTrackFeature::TfStereo.into());
    }
    #[expect(deprecated, reason = "servers before protocol 16 read these instead of audio_features")]
    proto::AddTrackRequest {
        cid: track.id().to_owned(),
        name: options.name.clone(),
        r#type: if is_video { proto::TrackType::Video } else { proto::TrackType::Audio }.into(),
        width: options.width,
        height: options.height,
        muted: track.is_muted(),
        disable_dtx: options.disable_dtx,
        stereo: options.stereo,
        // To LiveKit's server, which would take the whole track for RED; ours looks at the payload type of each packet.
        disable_red: true,
        source: source.into(),
        simulcast_codecs: vec![proto::SimulcastCodec {
            codec: codec.short_name().to_owned(),
            cid: track.id().to_owned(),
            layers: layers.clone(),
            ..Default::default()
        }],
        layers,
        stream: options.stream.clone(),
        audio_features,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use aic_codec::Rate;
    use aic_codec::payload::sdp::Limits;

    use super::*;

    #[test]
    fn aic_needs_the_same_model_on_the_same_section() {
        let answer = "v=0\r\nm=audio 9 X 109 111\r\na=mid:0\r\na=rtpmap:109 aic/48000\r\n\
            a=fmtp:109 ver=1;rates=6000;model=a-1;red=2;maxptime=40\r\na=extmap:7 urn:auralink:rtp-hdrext:aic-meta\r\n\
            m=audio 9 X 111\r\na=mid:1\r\na=rtpmap:111 opus/48000/2\r\n";
        let limits = Limits { rates: (Rate::High, Rate::High), redundancy: 2, max_ptime_ms: 40 };
        let agreed = AicTerms::Agreed { payload_type: 109, meta_id: Some(7), limits };
        assert_eq!(aic_terms(answer, "0", Some("a-1")), agreed);
        assert_eq!(aic_terms(answer, "0", Some("a-2")), AicTerms::OtherModel);
        assert_eq!(aic_terms(answer, "0", None), AicTerms::Absent);
        assert_eq!(aic_terms(answer, "1", Some("a-1")), AicTerms::Absent);
        let silent = answer.replace("a=fmtp:109", "a=fmtp:110");
        assert_eq!(aic_terms(&silent, "0", Some("a-1")), AicTerms::OtherModel, "no model named");
        for nonsense in ["", "m=audio\r\na=mid:0\r\na=rtpmap:aic/48000", "a=mid:0\r\na=rtpmap:300 aic/48000"]
        {
            assert_eq!(aic_terms(nonsense, "0", Some("a-1")), AicTerms::Absent, "{nonsense}");
        }
    }
}
