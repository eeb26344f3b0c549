//! Published tracks and their copies: the table the packet path walks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aic_codec::control::loss::Redundancy;
use aura_media::layer::Layer;
use aura_media::level::AudioLevel;
use aura_media::loss::LossCounter;
use aura_media::timeline::{PublisherClock, SenderReport};
use aura_media::{Codec, MediaKind};
use aura_types::{ParticipantSid, TrackSid};
use str0m::format::PayloadParams;
use str0m::media::{Mid, Pt};
use str0m::rtp::Ssrc;

use super::aic::AicTrack;
use crate::engine::forward::{DownTrack, LayerActivity};
use crate::transport::PeerId;

/// A format is not news again for so long: layers change theirs one after the other, packets overtake each other, and who
/// changes it all the time must not make subscribers negotiate all the time.
const FORMAT_SETTLES: Duration = Duration::from_secs(1);

/// A slot in the shard's table of published tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TrackId(pub(crate) usize);

/// A copy: the track and who gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyId {
    pub(crate) track: TrackId,
    pub(crate) subscriber: PeerId,
}

/// Where an incoming stream belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    pub(crate) track: TrackId,
    pub(crate) layer: Layer,
}

/// A payload type of the publisher's connection and what it carries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    pub(crate) pt: Pt,
    pub(crate) codec: Codec,
    pub(crate) params: PayloadParams,
    /// The payload is RFC 2198 redundancy around `codec`.
    pub(crate) red: bool,
}

/// What a subscriber's connection calls a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutFormat {
    Same(Pt),
    /// The subscriber did not negotiate RED: send the primary block alone.
    StripRed(Pt),
    /// AIC, to a subscriber with our model.
    Aic(Pt),
    Unsupported,
}

/// One subscriber's copy of a track.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) subscriber: PeerId,
    pub(crate) mid: Mid,
    pub(crate) ssrc: Ssrc,
    pub(crate) down: DownTrack,
    /// Formats met so far. One or two; a list beats a map.
    pub(crate) formats: Vec<(Pt, OutFormat)>,
    /// The subscriber decodes AIC of our model itself.
    pub(crate) takes_aic: bool,
    /// What came last was the transcoder's.
    pub(crate) transcoded: bool,
    /// How much of the past each packet of AIC repeats for this subscriber, by what it loses.
    pub(crate) redundancy: Redundancy,
    pub(crate) since: Instant,
}

/// One published track.
#[derive(Debug)]
pub(crate) struct PublishedTrack {
    pub(crate) sid: TrackSid,
    pub(crate) publisher: ParticipantSid,
    pub(crate) room: Arc<str>,
    pub(crate) peer: PeerId,
    pub(crate) kind: MediaKind,
    /// Closed while muted: the server enforces what the publisher claims.
    pub(crate) open: bool,
    pub(crate) formats: Vec<Format>,
    /// What it comes in (by the number of the codec, whether in RED or not), and since when.
    pub(crate) format: Option<(Pt, Instant)>,
    pub(crate) level: AudioLevel,
    pub(crate) losses: [LossCounter; 3],
    /// Share (0 to 1) of each layer lost on the way to us in the last window; no fault of any subscriber.
    pub(crate) upstream_loss: [f32; 3],
    pub(crate) activity: LayerActivity,
    pub(crate) layer_ssrc: [Option<Ssrc>; 3],
    /// Layers without restriction ids are known by these.
    pub(crate) layers_by_ssrc: HashMap<Ssrc, Layer>,
    pub(crate) last_keyframe_request: [Option<Instant>; 3],
    pub(crate) reports: [Option<SenderReport>; 3],
    pub(crate) copies: Vec<Copy>,
    /// For tracks that may come as AIC.
    pub(crate) aic: Option<AicTrack>,
}

/// All published tracks of a shard.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    slots: Vec<Option<PublishedTrack>>,
    free: Vec<usize>,
}

impl Tracks {
    pub(crate) fn insert(&mut self, track: PublishedTrack) -> TrackId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[index] = Some(track);
        TrackId(index)
    }

    pub(crate) fn remove(&mut self, id: TrackId) -> Option<PublishedTrack> {
        let track = self.slots.get_mut(id.0)?.take()?;
        self.free.push(id.0);
        Some(track)
    }

    pub(crate) fn get_mut(&mut self, id: TrackId) -> Option<&mut PublishedTrack> {
        self.slots.get_mut(id.0)?.as_mut()
    }

    /// The tracks that may come as AIC.
    pub(crate) fn with_aic(&self) -> Vec<TrackId> {
        let is_aic = |slot: &Option<PublishedTrack>| slot.as_ref().is_some_and(|track| track.aic.is_some());
        (0..self.slots.len()).filter(|index| is_aic(&self.slots[*index])).map(TrackId).collect()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut PublishedTrack> {
        self.slots.iter_mut().flatten()
    }
}

impl PublishedTrack {
    pub(crate) fn copy_mut(&mut self, subscriber: PeerId) -> Option<&mut Copy> {
        self.copies.iter_mut().find(|copy| copy.subscriber == subscriber)
    }

    /// Whether the track comes in another format from now on. AIC comes and goes beside what is behind it.
    pub(crate) fn notes_format(&mut self, seen: &Format, now: Instant) -> bool {
        let pt = seen.params.pt();
        let is_settled = |(_, since)| now.duration_since(since) >= FORMAT_SETTLES;
        let is_news = self.format.is_none_or(|known| known.0 != pt && is_settled(known));
        let is_news = is_news && seen.codec != Codec::Aic;
        if is_news {
            self.format = Some((pt, now));
        }
        is_news
    }

    /// Whether a stream that another took the place of may be followed again: when that one is silent. In turns with it,
    /// every packet would break the numbering.
    pub(crate) fn may_return(&self, layer: Layer, now: Instant) -> bool {
        !self.activity.live(now)[layer.index()]
    }

    /// A layer comes as another stream from now on: copies that follow it continue, they do not jump.
    pub(crate) fn replace_stream(&mut self, layer: Layer, ssrc: Ssrc) {
        if self.layer_ssrc[layer.index()].replace(ssrc).is_none() {
            return;
        }
        self.losses[layer.index()] = LossCounter::default();
        self.reports[layer.index()] = None;
        for copy in self.copies.iter_mut().filter(|copy| copy.down.follows(layer)) {
            copy.down.resync();
        }
    }

    /// Muted, or open again. Sequence numbers go on counting at a muted publisher; receivers must not see that.
    pub(crate) fn set_open(&mut self, open: bool) {
        if self.open && !open {
            self.level = AudioLevel::default();
            for copy in &mut self.copies {
                copy.down.resync();
            }
        }
        self.open = open;
    }

    /// The stream to ask for a keyframe of `layer` now; at most one request per interval (livekit-protocol §4 "PLI
    /// throttle"). Say so with [`keyframe_requested`](Self::keyframe_requested) when it was asked.
    pub(crate) fn may_request_keyframe(&self, layer: Layer, now: Instant) -> Option<Ssrc> {
        let interval = if layer == Layer::Low { 500 } else { 1_000 };
        let last = self.last_keyframe_request[layer.index()];
        if last.is_some_and(|at| now.duration_since(at) < Duration::from_millis(interval)) {
            return None;
        }
        self.layer_ssrc[layer.index()]
    }

    pub(crate) fn keyframe_requested(&mut self, layer: Layer, now: Instant) {
        self.last_keyframe_request[layer.index()] = Some(now);
    }

    /// Layers worth waiting for: those heard lately, or, of a source that sends only on change, those ever heard.
    pub(crate) fn candidate_layers(&self, now: Instant) -> [bool; 3] {
        let live = self.activity.live(now);
        if live.contains(&true) { live } else { self.layer_ssrc.map(|ssrc| ssrc.is_some()) }
    }

    /// When a packet's media was captured, on our clock; its arrival while the publisher's clock is unknown.
    pub(crate) fn capture_instant(
        &self,
        clock: &PublisherClock,
        layer: Layer,
        timestamp: u32,
        clock_rate: u32,
        arrived: Instant,
    ) -> Instant {
        self.reports[layer.index()]
            .and_then(|report| clock.instant_of(report, timestamp, clock_rate))
            .map_or(arrived, |captured| captured.min(arrived))
    }
}
