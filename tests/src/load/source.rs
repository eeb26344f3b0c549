//! What a publisher sends, and when.

use std::time::{Duration, Instant};

use str0m::format::Codec;
use str0m::media::MediaKind;

use super::packet::{self, Mark};
use super::peer::Peer;

/// A canned stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// 50 packets a second of 160 bytes.
    Audio,
    /// VP8, 30 frames a second in packets of 1,100 bytes.
    Video {
        /// Payload rate, bit/s.
        bitrate_bps: u32,
    },
}

const AUDIO_BYTES: usize = 160;
const VIDEO_BYTES: usize = 1_100;
const FRAMES_PER_SECOND: u32 = 30;

impl Media {
    pub(super) fn kind(self) -> MediaKind {
        match self {
            Self::Audio => MediaKind::Audio,
            Self::Video { .. } => MediaKind::Video,
        }
    }

    pub(super) fn codec(self) -> Codec {
        match self {
            Self::Audio => Codec::Opus,
            Self::Video { .. } => Codec::Vp8,
        }
    }

    fn interval(self) -> Duration {
        match self {
            Self::Audio => Duration::from_millis(20),
            Self::Video { .. } => Duration::from_secs(1) / FRAMES_PER_SECOND,
        }
    }

    /// Packets of one publisher in a second.
    pub(super) fn packets_per_s(self) -> f64 {
        self.packets_per_turn() as f64 / self.interval().as_secs_f64()
    }

    fn packets_per_turn(self) -> usize {
        match self {
            Self::Audio => 1,
            Self::Video { bitrate_bps } => {
                let frame_bytes = (bitrate_bps / 8 / FRAMES_PER_SECOND) as usize;
                frame_bytes.div_ceil(VIDEO_BYTES).max(1)
            }
        }
    }

    fn clock_step(self) -> u32 {
        match self {
            Self::Audio => 48_000 / 50,
            Self::Video { .. } => 90_000 / FRAMES_PER_SECOND,
        }
    }
}

/// A stream under way.
#[derive(Debug)]
pub(super) struct Source {
    media: Media,
    next_at: Instant,
    sequence: u64,
    time: u32,
    picture_id: u16,
    pub(super) keyframe_wanted: bool,
}

impl Source {
    pub(super) fn new(media: Media, now: Instant) -> Self {
        // Sequence numbers start low: their upper bits would be taken for SRTP rollovers.
        Self { media, next_at: now, sequence: 1_000, time: 12_345, picture_id: 1, keyframe_wanted: true }
    }

    pub(super) fn next_at(&self) -> Instant {
        self.next_at
    }

    /// Writes what is due and returns how many packets that was. Falls behind rather than bursts.
    pub(super) fn write(&mut self, peer: &mut Peer, now: Instant, mark: Mark) -> usize {
        if now < self.next_at {
            return 0;
        }
        self.next_at = (self.next_at + self.media.interval()).max(now);
        let count = self.media.packets_per_turn();
        let keyframe = std::mem::take(&mut self.keyframe_wanted);
        for index in 0..count {
            let payload = match self.media {
                Media::Audio => packet::opus(AUDIO_BYTES, mark),
                Media::Video { .. } => packet::vp8(VIDEO_BYTES, self.picture_id, index == 0, keyframe, mark),
            };
            let last = index + 1 == count && self.media != Media::Audio;
            peer.write(self.media.codec(), self.sequence, self.time, last, payload, now);
            self.sequence += 1;
        }
        self.time = self.time.wrapping_add(self.media.clock_step());
        self.picture_id = self.picture_id.wrapping_add(1);
        count
    }
}
