//! Publishing: announcing tracks, matching them with their media, muting, unpublishing.

use aura_media::{Codec, MediaKind};
use aura_types::{ParticipantSid, TrackSid};
use livekit_protocol as proto;
use proto::signal_response::Message;

use super::audience::Audience;
use super::device::DeviceRules;
use super::room::Room;
use super::track::{PendingTrack, Track, kind_of, new_track_sid, source_name};
use super::{Output, limit};

/// Media of a participant for which the SDP (or RTP) gives these facts.
#[derive(Debug, Clone)]
pub(crate) struct MediaFacts<'a> {
    /// The track id in the offer's `a=msid`.
    pub(crate) cid: &'a str,
    pub(crate) kind: MediaKind,
    pub(crate) mid: &'a str,
    /// What the section offers to send, in the client's order.
    pub(crate) codecs: &'a [Codec],
    /// AIC of our model may come on it, with the first of `codecs` behind.
    pub(crate) aic: bool,
    pub(crate) simulcast: bool,
}

impl Room {
    /// `add_track`: promises a track. Answered by `track_published`, or by `request_response` saying why not.
    pub(crate) fn add_track(&mut self, sid: &ParticipantSid, request: proto::AddTrackRequest) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let refusal = if !may_publish(&participant.permission, request.source) {
            Some(proto::request_response::Reason::NotAllowed)
        } else if participant.pending.len() >= limit::PENDING_TRACKS
            || participant.tracks.len() >= limit::TRACKS
        {
            Some(proto::request_response::Reason::LimitExceeded)
        } else if request.name.len() > limit::NAME_BYTES || request.cid.len() > limit::NAME_BYTES {
            Some(proto::request_response::Reason::InvalidRequest)
        } else if is_oversized(&request) {
            Some(proto::request_response::Reason::LimitExceeded)
        } else if request.r#type == proto::TrackType::Data as i32 || !request.sid.is_empty() {
            // Data tracks; and a `sid` would add a backup codec to a track, which we do not do.
            Some(proto::request_response::Reason::UnsupportedType)
        } else {
            None
        };
        if let Some(reason) = refusal {
            let response = proto::RequestResponse {
                reason: reason as i32,
                message: "track cannot be published".into(),
                request: Some(proto::request_response::Request::AddTrack(request)),
                ..Default::default()
            };
            self.answer_request(sid, response);
            return;
        }
        let cid = request.cid.clone();
        // A client that repeats itself gets the answer it already had. The same name on a published track is a new
        // promise: the client unpublished it and the offer that says so is on its way.
        let known =
            participant.pending.iter().find(|pending| pending.cid == cid).map(|pending| pending.info.clone());
        let info = known.unwrap_or_else(|| {
            let pending = promise(request, &participant.device);
            let info = pending.info.clone();
            participant.pending.push(pending);
            info
        });
        self.signal(sid, Message::TrackPublished(proto::TrackPublishedResponse { cid, track: Some(info) }));
    }

    /// Finds the track that `media` belongs to and announces it to everyone. `None`: not promised yet, ask again
    /// after the next `add_track`.
    pub(crate) fn claim_media(&mut self, sid: &ParticipantSid, media: &MediaFacts<'_>) -> Option<TrackSid> {
        let participant = self.participants.get_mut(sid)?;
        if let Some(known) = participant.tracks.iter().find(|track| track.cid == media.cid) {
            return Some(known.sid.clone());
        }
        let is_taken_back = participant.taken_back.iter().any(|cid| cid == media.cid);
        let same_kind = |pending: &&PendingTrack| !is_taken_back && pending.kind() == media.kind;
        let cid = participant
            .pending
            .iter()
            .find(|pending| pending.answers_to(media.cid))
            .or_else(|| participant.pending.iter().find(same_kind))?
            .cid
            .clone();
        let position = participant.pending.iter().position(|pending| pending.cid == cid)?;
        let pending = participant.pending.remove(position);
        participant.taken_back.retain(|cid| cid != media.cid);
        let codec = pending.codec_of(media.cid).filter(|codec| media.codecs.contains(codec));
        let PendingTrack { sid: track_sid, mut info, .. } = pending;
        info.mid = media.mid.into();
        info.simulcast |= media.simulcast;
        if let Some(codec) = codec.or(media.codecs.first().copied()) {
            info.mime_type = codec.mime().into();
        }
        name_first_codec(&mut info);
        if let Some(first) = info.codecs.first_mut() {
            first.mid = media.mid.into();
        }
        if media.aic {
            // `mime_type` stays what everybody can play; who can play AIC finds it in the list.
            let behind = proto::SimulcastCodecInfo {
                mime_type: info.mime_type.clone(),
                mid: media.mid.into(),
                cid: media.cid.into(),
                ..Default::default()
            };
            let aic = proto::SimulcastCodecInfo { mime_type: Codec::Aic.mime().into(), ..behind.clone() };
            info.codecs = vec![aic, behind];
        }
        // The media's own name wins: the same transceiver may come back under it after a renegotiation.
        let open = !info.muted;
        participant.tracks.push(Track {
            sid: track_sid.clone(),
            cid: media.cid.to_owned(),
            info,
            announced_qualities: None,
            announced_aic: None,
            audience: Audience::default(),
            mute_ordered: false,
        });
        self.publishers.insert(track_sid.clone(), sid.clone());
        self.unreviewed.insert(track_sid.clone());
        self.outputs.push_back(Output::Gate { track: track_sid.clone(), open });
        self.bump(sid);
        self.broadcast_update(sid, true);
        self.offer_to_everyone(sid, &track_sid);
        Some(track_sid)
    }

    /// The track comes in another format than before, and maybe in another codec than its publisher promised.
    pub(crate) fn format_seen(&mut self, sid: &ParticipantSid, track: &TrackSid, codec: Codec) {
        self.correct_codec(sid, track, codec);
        self.ask_again_who_could_not_decode(sid, track);
    }

    fn correct_codec(&mut self, sid: &ParticipantSid, track: &TrackSid, codec: Codec) {
        let Some(found) = self.participants.get_mut(sid).and_then(|p| p.track_mut(track.as_str())) else {
            return;
        };
        // AIC comes and goes on a track; what it is published as stays.
        if codec == Codec::Aic || found.info.mime_type == codec.mime() {
            return;
        }
        found.info.mime_type = codec.mime().into();
        name_first_codec(&mut found.info);
        self.bump(sid);
        self.broadcast_update(sid, true);
    }

    /// `mute`: the publisher says, or an administrator orders, that the track is (un)muted.
    pub(crate) fn set_muted(&mut self, sid: &ParticipantSid, track: &str, muted: bool) -> bool {
        let Some(participant) = self.participants.get_mut(sid) else { return false };
        if let Some(pending) = participant.pending.iter_mut().find(|pending| pending.info.sid == track) {
            pending.info.muted = muted;
            return true;
        }
        let Some(found) = participant.track_mut(track) else { return false };
        if found.info.muted == muted {
            return true;
        }
        found.info.muted = muted;
        let track = found.sid.clone();
        self.outputs.push_back(Output::Gate { track, open: !muted });
        self.bump(sid);
        self.broadcast_update(sid, true);
        true
    }

    /// The track is no longer published (its section closed, or permission was revoked).
    pub(crate) fn unpublish(&mut self, sid: &ParticipantSid, track: &TrackSid, tell_publisher: bool) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let Some(at) = participant.tracks.iter().position(|candidate| candidate.sid == *track) else {
            return;
        };
        let gone = participant.tracks.remove(at);
        if tell_publisher {
            if participant.taken_back.len() >= limit::TRACKS {
                participant.taken_back.pop_front();
            }
            // Media without a name cannot be told from what comes next.
            participant.taken_back.extend((!gone.cid.is_empty()).then(|| gone.cid.clone()));
            let unpublished = proto::TrackUnpublishedResponse { track_sid: track.to_string() };
            self.signal(sid, Message::TrackUnpublished(unpublished));
        }
        self.forget_track(gone);
        self.bump(sid);
        self.broadcast_update(sid, true);
    }

    /// Drops a track from every subscriber and from the forwarding tables.
    pub(crate) fn forget_track(&mut self, gone: Track) {
        let track = gone.sid;
        self.publishers.remove(&track);
        self.unreviewed.remove(&track);
        for sid in &gone.audience.opinions {
            if let Some(participant) = self.participants.get_mut(sid) {
                participant.settings.remove(&track);
                participant.told_forbidden.remove(&track);
                participant.undecodable.remove(&track);
                participant.choices.remove(&track);
            }
        }
        for subscriber in gone.audience.subscribers() {
            if let Some(participant) = self.participants.get_mut(subscriber) {
                participant.subscribed.remove(&track);
                let (subscriber, track) = (subscriber.clone(), track.clone());
                self.outputs.push_back(Output::Unsubscribe { subscriber, track });
            }
        }
        self.outputs.push_back(Output::TrackGone { track });
    }

    /// `update_audio_track`.
    pub(crate) fn update_audio_track(&mut self, sid: &ParticipantSid, update: proto::UpdateLocalAudioTrack) {
        if update.features.len() > 16 {
            return;
        }
        self.change_track(sid, &update.track_sid, |info| {
            info.stereo = update.features.contains(&(proto::AudioTrackFeature::TfStereo as i32));
            info.disable_dtx = update.features.contains(&(proto::AudioTrackFeature::TfNoDtx as i32));
            info.audio_features = update.features;
        });
    }

    /// `update_video_track`.
    pub(crate) fn update_video_track(&mut self, sid: &ParticipantSid, update: &proto::UpdateLocalVideoTrack) {
        self.change_track(sid, &update.track_sid, |info| {
            info.width = update.width;
            info.height = update.height;
        });
    }

    fn change_track(
        &mut self,
        sid: &ParticipantSid,
        track: &str,
        change: impl FnOnce(&mut proto::TrackInfo),
    ) {
        let Some(found) = self.participants.get_mut(sid).and_then(|p| p.track_mut(track)) else { return };
        change(&mut found.info);
        self.bump(sid);
        self.broadcast_update(sid, true);
    }
}

/// More layers, codecs or features than any client has; they are stored and sent to everyone.
fn is_oversized(request: &proto::AddTrackRequest) -> bool {
    const LAYERS: usize = 8;
    const CODECS: usize = 4;
    const FEATURES: usize = 16;
    request.layers.len() > LAYERS
        || request.simulcast_codecs.len() > CODECS
        || request.audio_features.len() > FEATURES
        || request.packet_trailer_features.len() > FEATURES
        || request.stream.len() > limit::NAME_BYTES
        || request.simulcast_codecs.iter().any(|codec| {
            codec.layers.len() > LAYERS || codec.codec.len() > 64 || codec.cid.len() > limit::NAME_BYTES
        })
}

/// What the track is sent as comes first in its list of codecs, after AIC, and once.
fn name_first_codec(info: &mut proto::TrackInfo) {
    let is_aic = |codec: &proto::SimulcastCodecInfo| codec.mime_type == Codec::Aic.mime();
    let Some(at) = info.codecs.iter().position(|codec| !is_aic(codec)) else { return };
    let first = &mut info.codecs[at];
    if first.mime_type != info.mime_type {
        first.mime_type.clone_from(&info.mime_type);
        let unsaid = proto::video_layer::Mode::Unused as i32;
        first.video_layer_mode =
            Codec::parse(&info.mime_type).map_or(unsaid, |codec| layer_mode(codec, unsaid));
    }
    let mut index = 0;
    info.codecs.retain(|codec| {
        index += 1;
        index - 1 <= at || codec.mime_type != info.mime_type
    });
}

/// Whether one stream carries all layers (VP9 and AV1, where the client does not say otherwise).
fn layer_mode(codec: Codec, asked: i32) -> i32 {
    use proto::video_layer::Mode;
    if asked != Mode::Unused as i32 || codec.kind() == MediaKind::Audio {
        return asked;
    }
    match codec {
        Codec::Vp9 | Codec::Av1 => Mode::MultipleSpatialLayersPerStream as i32,
        _ => Mode::OneSpatialLayerPerStream as i32,
    }
}

/// Whether the grants let a participant publish from `source`.
pub(crate) fn may_publish(permission: &proto::ParticipantPermission, source: i32) -> bool {
    permission.can_publish
        && (permission.can_publish_sources.is_empty() || permission.can_publish_sources.contains(&source))
}

/// Builds the promised track's info from the request (livekit-protocol §2 "Publishing").
fn promise(request: proto::AddTrackRequest, device: &DeviceRules) -> PendingTrack {
    use proto::AudioTrackFeature::{TfNoDtx, TfStereo};
    let mut audio_features = request.audio_features;
    for (flag, feature) in [(request.stereo, TfStereo as i32), (request.disable_dtx, TfNoDtx as i32)] {
        if flag && !audio_features.contains(&feature) {
            audio_features.push(feature);
        }
    }
    let mut info = proto::TrackInfo {
        r#type: request.r#type,
        name: request.name,
        muted: request.muted,
        width: request.width,
        height: request.height,
        simulcast: request.layers.len() > 1,
        disable_dtx: audio_features.contains(&(TfNoDtx as i32)),
        source: request.source,
        layers: request.layers,
        stereo: audio_features.contains(&(TfStereo as i32)),
        disable_red: request.disable_red,
        encryption: request.encryption,
        stream: request.stream,
        backup_codec_policy: request.backup_codec_policy,
        audio_features,
        packet_trailer_features: request.packet_trailer_features,
        ..Default::default()
    };
    let kind = kind_of(&info);
    let sid = new_track_sid(kind, request.source);
    info.sid = sid.to_string();
    let fallback = if kind == MediaKind::Audio { Codec::Opus } else { Codec::Vp8 };
    info.codecs = request
        .simulcast_codecs
        .iter()
        .map(|asked| {
            let named = Codec::parse(&asked.codec);
            let codec =
                named.filter(|codec| codec.kind() == kind && device.lets_publish(*codec)).unwrap_or(fallback);
            proto::SimulcastCodecInfo {
                mime_type: codec.mime().into(),
                cid: asked.cid.clone(),
                layers: if asked.layers.is_empty() { info.layers.clone() } else { asked.layers.clone() },
                video_layer_mode: layer_mode(codec, asked.video_layer_mode),
                ..Default::default()
            }
        })
        .collect();
    info.mime_type = info.codecs.first().map_or(fallback.mime(), |codec| &codec.mime_type).into();
    if info.layers.is_empty()
        && let Some(codec) = info.codecs.first()
    {
        info.layers = codec.layers.clone();
    }
    if info.stream.is_empty() {
        info.stream = match source_name(request.source) {
            "screen_share" | "screen_share_audio" => "screen".into(),
            _ => "camera".into(),
        };
    }
    let codec_cids = request.simulcast_codecs.into_iter().map(|codec| codec.cid).collect();
    PendingTrack { sid, cid: request.cid, codec_cids, info }
}
