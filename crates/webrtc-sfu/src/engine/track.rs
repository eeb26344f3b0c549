//! A published track: what its publisher announced and what the room made of it.

use aura_media::layer::Layer;
use aura_media::{Codec, MediaKind};
use aura_types::TrackSid;
use livekit_protocol as proto;

use super::audience::Audience;

/// Announced by `add_track`, media not seen yet.
#[derive(Debug, Clone)]
pub(crate) struct PendingTrack {
    pub(crate) sid: TrackSid,
    pub(crate) cid: String,
    /// Further names the same track's media may come under (`SimulcastCodec.cid`).
    pub(crate) codec_cids: Vec<String>,
    pub(crate) info: proto::TrackInfo,
}

impl PendingTrack {
    pub(crate) fn kind(&self) -> MediaKind {
        kind_of(&self.info)
    }

    pub(crate) fn answers_to(&self, cid: &str) -> bool {
        self.cid == cid || self.codec_cids.iter().any(|candidate| candidate == cid)
    }

    /// The codec its publisher asked to send media called `cid` as; `None` = it did not say.
    pub(crate) fn codec_of(&self, cid: &str) -> Option<Codec> {
        codec_asked(&self.info, cid)
    }
}

/// A track others can subscribe to.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    pub(crate) sid: TrackSid,
    pub(crate) cid: String,
    pub(crate) info: proto::TrackInfo,
    /// Qualities the publisher was last told are wanted, by layer.
    pub(crate) announced_qualities: Option<[bool; 3]>,
    /// Whether the publisher was last told to send AIC; `None` = it was told nothing and decides.
    pub(crate) announced_aic: Option<bool>,
    pub(crate) audience: Audience,
    /// Muted by somebody else, and its publisher has not answered yet.
    pub(crate) mute_ordered: bool,
}

impl Track {
    pub(crate) fn kind(&self) -> MediaKind {
        kind_of(&self.info)
    }

    /// Announced heights by layer, 0 where there is none.
    pub(crate) fn layer_heights(&self) -> [u32; 3] {
        let mut heights = [0; 3];
        for layer in &self.info.layers {
            if let Ok(quality) = usize::try_from(layer.quality)
                && let Some(height) = heights.get_mut(quality)
            {
                *height = layer.height;
            }
        }
        heights
    }

    /// The qualities its publisher should send. A single stream has none to be switched off by: its publisher may know
    /// it by any of their names, so all say whether anybody watches.
    pub(crate) fn wanted_qualities(&self) -> [bool; 3] {
        let watched = self.audience.watched();
        if self.is_one_stream() { [watched.contains(&true); 3] } else { watched }
    }

    /// Not simulcast, or with all layers in one stream.
    fn is_one_stream(&self) -> bool {
        let svc = proto::video_layer::Mode::MultipleSpatialLayersPerStream as i32;
        !self.info.simulcast || self.info.codecs.first().is_some_and(|codec| codec.video_layer_mode == svc)
    }

    pub(crate) fn codec_name(&self) -> &'static str {
        Codec::parse(&self.info.mime_type).map_or("vp8", Codec::short_name)
    }
}

/// The codec promised for media called `cid`: the entry of that name, else the first.
pub(crate) fn codec_asked(info: &proto::TrackInfo, cid: &str) -> Option<Codec> {
    let named = info.codecs.iter().find(|codec| !codec.cid.is_empty() && codec.cid == cid);
    Codec::parse(&named.or(info.codecs.first())?.mime_type)
}

/// Audio or video; data tracks are not media.
pub(crate) fn kind_of(info: &proto::TrackInfo) -> MediaKind {
    if info.r#type == proto::TrackType::Audio as i32 { MediaKind::Audio } else { MediaKind::Video }
}

/// The `VideoQuality` a layer is called by.
pub(crate) fn layer_of_quality(quality: i32) -> Option<Layer> {
    match proto::VideoQuality::try_from(quality) {
        Ok(proto::VideoQuality::Low) => Some(Layer::Low),
        Ok(proto::VideoQuality::Medium) => Some(Layer::Medium),
        Ok(proto::VideoQuality::High) => Some(Layer::High),
        Ok(proto::VideoQuality::Off) | Err(_) => None,
    }
}

/// A new track id: `TR_`, kind letter, source letter, random (livekit-protocol: identifiers).
pub(crate) fn new_track_sid(kind: MediaKind, source: i32) -> TrackSid {
    let kind = if kind == MediaKind::Audio { 'A' } else { 'V' };
    let source = match proto::TrackSource::try_from(source) {
        Ok(proto::TrackSource::Camera) => "C",
        Ok(proto::TrackSource::Microphone) => "M",
        Ok(proto::TrackSource::ScreenShare) => "S",
        Ok(proto::TrackSource::ScreenShareAudio) => "s",
        _ => "",
    };
    TrackSid::generate_with(&format!("TR_{kind}{source}"))
}

/// The sources a grant names, in any letter case. `None`: it names some, but none of ours. An empty list would allow all.
pub(crate) fn sources_from_names(names: &[String]) -> Option<Vec<i32>> {
    let source = |name: &String| proto::TrackSource::from_str_name(&name.to_ascii_uppercase());
    let sources: Vec<_> = names.iter().filter_map(source).map(|source| source as i32).collect();
    (names.is_empty() || !sources.is_empty()).then_some(sources)
}

/// The grant's name of a source (`canPublishSources`).
pub(crate) fn source_name(source: i32) -> &'static str {
    match proto::TrackSource::try_from(source) {
        Ok(proto::TrackSource::Camera) => "camera",
        Ok(proto::TrackSource::Microphone) => "microphone",
        Ok(proto::TrackSource::ScreenShare) => "screen_share",
        Ok(proto::TrackSource::ScreenShareAudio) => "screen_share_audio",
        _ => "unknown",
    }
}
