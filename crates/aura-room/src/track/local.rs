//! A track we publish.
//!
//! The packetiser belongs to the track, not to the connection, so sequence numbers and timestamps go on across a full
//! reconnect. While nothing is connected, frames are dropped and time moves on.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use aic_codec::payload::sdp::Limits;
use aic_codec::stream::Earlier;
use aura_media::{Codec, MediaKind, red};
use aura_types::{Clock, SystemClock};
use bytes::Bytes;
use livekit_protocol::TrackSource;
use rtc::rtp::codec::g7xx::G711Payloader;
use rtc::rtp::codec::h264::H264Payloader;
use rtc::rtp::codec::opus::OpusPayloader;
use rtc::rtp::codec::vp8::Vp8Payloader;
use rtc::rtp::packetizer::{Packetizer, Payloader, new_packetizer};
use rtc::rtp::sequence::new_random_sequencer;
use rtc::rtp_transceiver::rtp_sender::RTCRtpCodec;
use tokio::sync::Notify;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use crate::error::{Result, RoomError};

/// Largest RTP packet, so that no path in use fragments it.
const MTU_BYTES: usize = 1_200;

/// Payload type of Opus in our own list of codecs.
pub(crate) const OPUS: u8 = 111;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Handed to the connection.
    Sent,
    /// Dropped: the track is muted, not published, or the connection is down.
    Dropped,
}

/// How a track is announced to others.
#[derive(Debug, Clone, Default)]
pub struct PublishOptions {
    /// Name shown to others.
    pub name: String,
    /// Camera, microphone or screen; the kind's usual source when unknown.
    pub source: TrackSource,
    /// Width of the video, pixels.
    pub width: u32,
    /// Height of the video, pixels.
    pub height: u32,
    /// Bitrate of the video, bit/s; 0 when unknown.
    pub bitrate_bps: u32,
    /// Audio without discontinuous transmission, for music.
    pub disable_dtx: bool,
    /// Two audio channels.
    pub stereo: bool,
    /// Tracks with the same stream name are played in sync.
    pub stream: String,
}

/// A published track's way out.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) rtp: LinkTrack,
    pub(crate) payload_type: u8,
    pub(crate) audio_level_id: Option<u8>,
    /// Payload type of RFC 2198's redundancy around Opus.
    pub(crate) red: Option<u8>,
    pub(crate) aic: AicTerms,
}

/// What the other side's description says about AIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AicTerms {
    /// It does not know the codec, or we do not.
    Absent,
    /// It runs another model.
    OtherModel,
    Agreed {
        payload_type: u8,
        meta_id: Option<u8>,
        limits: Limits,
    },
}

/// Whether a track may send AIC now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AicPermission {
    Granted(Limits),
    /// The server does not know AIC, or asked for Opus for its listeners' sake.
    Unavailable,
    OtherModel,
}

/// What one packet carries.
#[derive(Debug)]
pub(crate) struct Coded {
    pub(crate) payload: Bytes,
    /// Time without media before it, in units of the track's clock.
    pub(crate) pause: u32,
    /// Duration, in the same units.
    pub(crate) samples: u32,
    /// RFC 6464.
    pub(crate) level: Option<u8>,
    /// AIC in place of the track's own codec.
    pub(crate) aic: bool,
    /// Value of the `aic-meta` header extension.
    pub(crate) meta: Option<Bytes>,
    /// The packet before, to be sent again beside this one, where the other side takes redundancy.
    pub(crate) copy: Option<Earlier>,
    /// Start of a talk spurt, for who knows better than the time since the last packet.
    pub(crate) marker: bool,
}

/// The media stack's track, without its internals in `Debug`.
#[derive(Clone)]
pub(crate) struct LinkTrack(pub(crate) Arc<TrackLocalStaticRTP>);

impl std::fmt::Debug for LinkTrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkTrack")
    }
}

/// A track to publish: write encoded frames, whether it is published yet or not.
///
/// Cheap to clone; clones are the same track.
#[derive(Debug, Clone)]
pub struct LocalTrack {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: String,
    codec: Codec,
    ssrc: u32,
    packetizer: tokio::sync::Mutex<Box<dyn Packetizer>>,
    link: RwLock<Option<Link>>,
    sid: Mutex<Option<String>>,
    muted: AtomicBool,
    /// What the server last said about AIC.
    aic_wanted: AtomicBool,
    /// Loss the server last reported, in 256ths.
    loss: AtomicU8,
    /// The next audio packet starts a talk spurt.
    spurt: AtomicBool,
    keyframe: Notify,
}

impl LocalTrack {
    /// A track of this codec.
    ///
    /// # Errors
    ///
    /// Codecs other than Opus, PCMU, PCMA, VP8 and H.264 cannot be packetised.
    pub fn new(codec: Codec) -> Result<Self> {
        let payloader: Box<dyn Payloader> = match codec {
            Codec::Opus => Box::new(OpusPayloader),
            Codec::Pcmu | Codec::Pcma => Box::<G711Payloader>::default(),
            Codec::Vp8 => {
                let mut payloader = Vp8Payloader::default();
                payloader.enable_picture_id = true;
                Box::new(payloader)
            }
            Codec::H264 => Box::<H264Payloader>::default(),
            other => return Err(RoomError::UnsupportedCodec(other.mime())),
        };
        let ssrc = rand::random::<u32>().max(1);
        let packetizer = new_packetizer(
            SystemClock.monotonic(),
            MTU_BYTES,
            0, // set per packet, once negotiated
            ssrc,
            payloader,
            Box::new(new_random_sequencer()),
            codec.clock_rate(),
        );
        let inner = Inner {
            id: uuid::Uuid::new_v4().to_string(),
            codec,
            ssrc,
            packetizer: tokio::sync::Mutex::new(Box::new(packetizer)),
            link: RwLock::new(None),
            sid: Mutex::new(None),
            muted: AtomicBool::new(false),
            aic_wanted: AtomicBool::new(true),
            loss: AtomicU8::new(0),
            spurt: AtomicBool::new(true),
            keyframe: Notify::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// An Opus track.
    #[must_use]
    pub fn opus() -> Self {
        Self::new(Codec::Opus).expect("Opus can be packetised")
    }

    /// A VP8 track.
    #[must_use]
    pub fn vp8() -> Self {
        Self::new(Codec::Vp8).expect("VP8 can be packetised")
    }

    /// An H.264 track; frames are access units with start codes.
    #[must_use]
    pub fn h264() -> Self {
        Self::new(Codec::H264).expect("H.264 can be packetised")
    }

    /// Our own id of the track, stable across reconnects.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The server's id, while published. A full reconnect changes it.
    #[must_use]
    pub fn sid(&self) -> Option<String> {
        self.inner.sid.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The codec.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.inner.codec
    }

    /// Whether frames are dropped for being muted.
    #[must_use]
    pub fn is_muted(&self) -> bool {
        self.inner.muted.load(Ordering::Relaxed)
    }

    /// Writes one encoded frame that lasts `duration`.
    ///
    /// The caller paces: frames leave as they are written. Waits only while the connection's queue is full.
    ///
    /// # Errors
    ///
    /// A frame that is not of the track's codec.
    pub async fn write(&self, frame: Bytes, duration: Duration) -> Result<Written> {
        self.write_packets(frame, duration, None).await
    }

    /// Writes one audio frame with its loudness, so that the room can tell who is speaking.
    ///
    /// `level` is 0 (loudest) to 127 (silence) in −dBov (RFC 6464).
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub async fn write_audio(
        &self,
        frame: Bytes,
        duration: Duration,
        level: u8,
        voice: bool,
    ) -> Result<Written> {
        let level = (level & 0x7f) | if voice { 0x80 } else { 0 };
        self.write_packets(frame, duration, Some(level)).await
    }

    /// Writes one payload of `aic/48000` in place of the track's own codec: numbering and time go on, so the two may take
    /// turns from packet to packet. `level` and `voice` as in [`Self::write_audio`].
    ///
    /// Dropped while [`Self::takes_aic`] is false.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub async fn write_aic(
        &self,
        payload: Bytes,
        duration: Duration,
        level: u8,
        voice: bool,
    ) -> Result<Written> {
        let samples = (duration.as_secs_f64() * f64::from(Codec::Aic.clock_rate())).round() as u32;
        let level = Some((level & 0x7f) | if voice { 0x80 } else { 0 });
        let coded =
            Coded { payload, pause: 0, samples, level, aic: true, meta: None, copy: None, marker: false };
        self.write_coded(coded).await
    }

    /// Whether AIC may be written now: the server has our model, and wants it. If not, write Opus.
    #[must_use]
    pub fn takes_aic(&self) -> bool {
        matches!(self.aic_permission(), Some(AicPermission::Granted(_)))
    }

    /// Waits until a viewer needs a keyframe.
    pub async fn keyframe_wanted(&self) {
        self.inner.keyframe.notified().await;
    }

    async fn write_packets(&self, frame: Bytes, duration: Duration, level: Option<u8>) -> Result<Written> {
        let samples = duration.as_secs_f64() * f64::from(self.inner.codec.clock_rate());
        let samples = samples.round() as u32;
        let coded = Coded {
            payload: frame,
            pause: 0,
            samples,
            level,
            aic: false,
            meta: None,
            copy: None,
            marker: false,
        };
        self.write_coded(coded).await
    }

    /// Writes one frame of the track's codec, or of AIC in its place: sequence numbers and timestamps go on.
    pub(crate) async fn write_coded(&self, coded: Coded) -> Result<Written> {
        let Coded { payload: frame, pause, samples, level, aic, meta, copy, marker } = coded;
        let mut packetizer = self.inner.packetizer.lock().await;
        packetizer.skip_samples(pause);
        let link = self.inner.link.read().unwrap_or_else(PoisonError::into_inner).clone();
        let wanted = self.inner.aic_wanted.load(Ordering::Relaxed);
        let link = link.filter(|_| !self.is_muted()).and_then(|link| match (aic, link.aic) {
            (false, _) => Some((link.payload_type, None, link)),
            (true, AicTerms::Agreed { payload_type, meta_id, .. }) if wanted => {
                Some((payload_type, meta_id, link))
            }
            (true, _) => None,
        });
        let Some((payload_type, meta_id, link)) = link else {
            packetizer.skip_samples(samples);
            self.inner.spurt.store(true, Ordering::Relaxed);
            return Ok(Written::Dropped);
        };
        let redundant = copy.zip(link.red).and_then(|(copy, red_type)| {
            let copy = red::Copy { payload_type, ticks_back: copy.ticks_back, data: &copy.payload };
            Some((red_type, Bytes::from(red::with_copy(copy, payload_type, &frame)?)))
        });
        let (payload_type, frame) = redundant.unwrap_or((payload_type, frame));
        let packets = packetizer.packetize(SystemClock.monotonic(), &frame, samples)?;
        let is_audio = self.inner.codec.kind() == MediaKind::Audio;
        for mut packet in packets {
            packet.header.payload_type = payload_type;
            if is_audio {
                packet.header.marker = self.inner.spurt.swap(false, Ordering::Relaxed) || marker;
                if let (Some(id), Some(level)) = (link.audio_level_id, level) {
                    packet.header.set_extension(id, Bytes::copy_from_slice(&[level]))?;
                }
                if let (Some(id), Some(meta)) = (meta_id, &meta) {
                    packet.header.set_extension(id, meta.clone())?;
                }
            }
            if link.rtp.0.write_rtp(packet).await.is_err() {
                return Ok(Written::Dropped);
            }
        }
        Ok(Written::Sent)
    }

    /// Whether earlier Opus packets may be repeated beside later ones (RFC 2198).
    #[cfg(feature = "aic")]
    pub(crate) fn takes_copies(&self) -> bool {
        let link = self.inner.link.read().unwrap_or_else(PoisonError::into_inner);
        link.as_ref().is_some_and(|link| link.red.is_some())
    }

    /// Share of our packets, 0 to 1, that the server last reported lost.
    #[must_use]
    pub fn reported_loss(&self) -> f32 {
        f32::from(self.inner.loss.load(Ordering::Relaxed)) / 256.0
    }

    pub(crate) fn note_loss(&self, fraction: u8) {
        self.inner.loss.store(fraction, Ordering::Relaxed);
    }

    /// Whether AIC may be sent now; `None` while not published.
    pub(crate) fn aic_permission(&self) -> Option<AicPermission> {
        let link = self.inner.link.read().unwrap_or_else(PoisonError::into_inner);
        Some(match link.as_ref()?.aic {
            AicTerms::Agreed { limits, .. } if self.inner.aic_wanted.load(Ordering::Relaxed) => {
                AicPermission::Granted(limits)
            }
            AicTerms::Agreed { .. } | AicTerms::Absent => AicPermission::Unavailable,
            AicTerms::OtherModel => AicPermission::OtherModel,
        })
    }

    /// The server wants, or no longer wants, AIC.
    pub(crate) fn set_aic_wanted(&self, wanted: bool) {
        self.inner.aic_wanted.store(wanted, Ordering::Relaxed);
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.inner.ssrc
    }

    pub(crate) fn set_link(&self, link: Option<Link>) {
        *self.inner.link.write().unwrap_or_else(PoisonError::into_inner) = link;
    }

    pub(crate) fn set_sid(&self, sid: Option<String>) {
        *self.inner.sid.lock().unwrap_or_else(PoisonError::into_inner) = sid;
    }

    pub(crate) fn set_muted(&self, muted: bool) {
        self.inner.muted.store(muted, Ordering::Relaxed);
    }

    pub(crate) fn want_keyframe(&self) {
        self.inner.keyframe.notify_one();
    }
}

/// RFC 2198 around Opus, as the media stack describes codecs.
pub(crate) fn redundancy() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: "audio/red".to_owned(),
        sdp_fmtp_line: format!("{OPUS}/{OPUS}"),
        ..rtc_codec(Codec::Opus)
    }
}

/// The codec as the media stack describes it, whose own table supplies feedback.
pub(crate) fn rtc_codec(codec: Codec) -> RTCRtpCodec {
    // Constrained baseline, which every receiver has; the stack would offer plain baseline first.
    let h264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    RTCRtpCodec {
        mime_type: codec.mime().to_owned(),
        clock_rate: codec.clock_rate(),
        channels: if codec == Codec::Opus { 2 } else { 0 },
        sdp_fmtp_line: if codec == Codec::H264 { h264.to_owned() } else { String::new() },
        ..RTCRtpCodec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unpublished_track_drops_frames() {
        let track = LocalTrack::opus();
        let written = track.write(Bytes::from_static(&[1]), Duration::from_millis(20)).await;
        assert_eq!(written.expect("valid frame"), Written::Dropped);
        assert_eq!(track.sid(), None);
    }

    #[test]
    fn codecs_without_packetiser_are_refused() {
        assert!(matches!(LocalTrack::new(Codec::Av1), Err(RoomError::UnsupportedCodec("video/AV1"))));
    }
}
