//! A track we receive.
//!
//! Packets wait in a bounded queue that drops its oldest: a reader that stalls resumes near the present. Frames are put
//! together in the reader's task.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aic_codec::payload::meta::{self, Meta};
use aura_media::{Codec, MediaKind, red};
use aura_types::{Clock, SystemClock};
pub use livekit_protocol::VideoQuality;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use tokio::sync::Notify;
use webrtc::media_stream::track_remote::TrackRemote;

use crate::engine::sdp;
use crate::frame::{Assembler, Frame, Output, RtpPacket};

/// Packets that wait for a reader.
const QUEUE_PACKETS: usize = 1_024;
/// Keyframes asked for on our own account are this far apart.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);

/// What we want of a subscribed track.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackSettings {
    /// Send nothing for now, without unsubscribing.
    pub disabled: bool,
    /// Quality wanted; ignored when dimensions are given.
    pub quality: Option<VideoQuality>,
    /// Size at which the video is shown, pixels.
    pub dimensions: Option<(u32, u32)>,
    /// Frames per second wanted.
    pub fps: Option<u32>,
    /// 1 is the most important; unset leaves it to the server.
    pub priority: Option<u32>,
}

/// A subscribed track. Cheap to clone; clones share one queue, so each packet reaches one of them.
#[derive(Debug, Clone)]
pub struct RemoteTrack {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sid: String,
    identity: String,
    kind: MediaKind,
    queue: Mutex<Queue>,
    ready: Notify,
    frames: tokio::sync::Mutex<Option<Assembler>>,
}

#[derive(Debug, Default)]
struct Queue {
    packets: VecDeque<RtpPacket>,
    dropped: u64,
    /// Sequence number of the newest packet.
    newest: Option<u16>,
    recovered: u64,
    ended: bool,
    codec: Option<Codec>,
    formats: Formats,
    /// Last value of the `aic-meta` header extension.
    meta: Option<Meta>,
    feedback: Option<Feedback>,
    keyframe_asked_at: Option<Instant>,
}

#[derive(Clone)]
struct Feedback {
    track: Arc<dyn TrackRemote>,
    ssrc: u32,
}

impl std::fmt::Debug for Feedback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feedback").field("ssrc", &self.ssrc).finish_non_exhaustive()
    }
}

/// What the numbers in a track's packets mean, by our description of its section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Formats {
    payload_types: Vec<(u8, Codec)>,
    /// Redundancy after RFC 2198.
    red: Option<u8>,
    meta_id: Option<u8>,
}

impl Formats {
    pub(crate) fn read(sdp: &str, mid: &str) -> Self {
        let known = |(payload_type, name): (u8, &str)| Some((payload_type, Codec::parse(name)?));
        Self {
            payload_types: sdp::payload_types(sdp, mid).into_iter().filter_map(known).collect(),
            red: sdp::payload_type(sdp, mid, "red"),
            meta_id: sdp::extension_id(sdp, mid, meta::URI),
        }
    }
}

impl RemoteTrack {
    pub(crate) fn new(sid: String, identity: String, kind: MediaKind, codec: Option<Codec>) -> Self {
        let inner = Inner {
            sid,
            identity,
            kind,
            queue: Mutex::new(Queue { codec, ..Queue::default() }),
            ready: Notify::new(),
            frames: tokio::sync::Mutex::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The track's id.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.inner.sid
    }

    /// Its publisher's identity.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.inner.identity
    }

    /// Audio or video.
    #[must_use]
    pub fn kind(&self) -> MediaKind {
        self.inner.kind
    }

    /// The codec, known at the latest when media arrives.
    #[must_use]
    pub fn codec(&self) -> Option<Codec> {
        self.lock().codec
    }

    /// The codec of one packet: a publisher of AIC may change to Opus and back from packet to packet.
    #[must_use]
    pub fn codec_of(&self, packet: &RtpPacket) -> Option<Codec> {
        let queue = self.lock();
        let named = queue.formats.payload_types.iter().find(|(number, _)| *number == packet.payload_type);
        named.map(|(_, codec)| *codec).or(queue.codec)
    }

    /// How the publisher of AIC says that it codes, as of its last packet that said so.
    #[must_use]
    pub fn aic_meta(&self) -> Option<Meta> {
        self.lock().meta
    }

    /// Packets dropped because nobody read them in time.
    #[must_use]
    pub fn dropped_packets(&self) -> u64 {
        self.lock().dropped
    }

    /// Packets that were lost and taken from the copy in the one after them (RFC 2198).
    #[must_use]
    pub fn recovered_packets(&self) -> u64 {
        self.lock().recovered
    }

    /// The next RTP packet as it arrived, retransmissions resolved; `None` once the track ended.
    ///
    /// Cancel safe.
    pub async fn next_packet(&self) -> Option<RtpPacket> {
        loop {
            let ready = self.inner.ready.notified();
            {
                let mut queue = self.lock();
                if let Some(packet) = queue.packets.pop_front() {
                    return Some(packet);
                }
                if queue.ended {
                    return None;
                }
            }
            ready.await;
        }
    }

    /// The next frame in order; `None` once the track ended, or when frames of its codec cannot be put together
    /// (then there is [`Self::next_packet`]).
    ///
    /// After a loss the next frame is marked, and the publisher of video is asked for a keyframe. Cancel safe.
    pub async fn next_frame(&self) -> Option<Frame> {
        let mut frames = self.inner.frames.lock().await;
        loop {
            let deadline = if let Some(assembler) = frames.as_mut() {
                match assembler.poll(SystemClock.monotonic()) {
                    Some(Output::Frame(frame)) => return Some(frame),
                    Some(Output::NeedKeyframe) => {
                        self.ask_for_keyframe().await;
                        continue;
                    }
                    None => assembler.deadline(),
                }
            } else {
                None
            };
            let packet = match deadline {
                Some(deadline) => match tokio::time::timeout_at(deadline.into(), self.next_packet()).await {
                    Ok(packet) => packet?,
                    Err(_) => continue,
                },
                None => self.next_packet().await?,
            };
            let assembler = if let Some(assembler) = frames.as_mut() {
                assembler
            } else {
                let codec = self.codec().filter(|codec| Assembler::supports(*codec));
                let Some(codec) = codec else {
                    tracing::warn!(track.sid = self.sid(), "frames of this codec cannot be put together");
                    return None;
                };
                frames.insert(Assembler::new(codec))
            };
            assembler.push(packet, SystemClock.monotonic());
        }
    }

    /// Asks the publisher of video for a keyframe.
    pub async fn request_keyframe(&self) {
        let feedback = self.lock().feedback.clone();
        let Some(Feedback { track, ssrc }) = feedback else { return };
        let request = PictureLossIndication { sender_ssrc: 0, media_ssrc: ssrc };
        // A connection that is gone needs no keyframe.
        let _ = track.write_rtcp(vec![Box::new(request)]).await;
    }

    async fn ask_for_keyframe(&self) {
        let now = SystemClock.monotonic();
        {
            let mut queue = self.lock();
            if queue.keyframe_asked_at.is_some_and(|asked_at| now < asked_at + KEYFRAME_INTERVAL) {
                return;
            }
            queue.keyframe_asked_at = Some(now);
        }
        self.request_keyframe().await;
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Media arrived: where its feedback goes, and what it is.
    pub(crate) fn attach(&self, track: Arc<dyn TrackRemote>, ssrc: u32, codec: Option<Codec>) {
        let mut queue = self.lock();
        queue.feedback = Some(Feedback { track, ssrc });
        queue.codec = codec.or(queue.codec);
    }

    pub(crate) fn set_formats(&self, formats: Formats) {
        self.lock().formats = formats;
    }

    pub(crate) fn meta_id(&self) -> Option<u8> {
        self.lock().formats.meta_id
    }

    pub(crate) fn set_meta(&self, value: &[u8]) {
        self.lock().meta = Meta::from_bytes(value);
    }

    pub(crate) fn push(&self, packet: RtpPacket) {
        {
            let mut queue = self.lock();
            if queue.ended {
                return;
            }
            for packet in queue.without_redundancy(packet).into_iter().flatten() {
                if queue.packets.len() >= QUEUE_PACKETS {
                    queue.packets.pop_front();
                    queue.dropped += 1;
                }
                queue.packets.push_back(packet);
            }
        }
        self.inner.ready.notify_one();
    }

    pub(crate) fn end(&self) {
        {
            let mut queue = self.lock();
            queue.ended = true;
            queue.feedback = None;
        }
        self.inner.ready.notify_waiters();
        self.inner.ready.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// The packet itself, and before it the one that was lost, where this one carries its copy. Nothing if malformed.
    fn without_redundancy(&mut self, mut packet: RtpPacket) -> [Option<RtpPacket>; 2] {
        let newest = *self.newest.get_or_insert(packet.sequence);
        let ahead = packet.sequence.wrapping_sub(newest);
        if ahead < 1 << 15 {
            self.newest = Some(packet.sequence);
        }
        if self.formats.red != Some(packet.payload_type) {
            return [None, Some(packet)];
        }
        let whole = packet.payload.clone();
        let Some((payload_type, data)) = red::primary(&whole) else { return [None, None] };
        (packet.payload_type, packet.payload) = (payload_type, whole.slice_ref(data));
        let copy = red::newest_copy(&whole).filter(|_| (2..1 << 15).contains(&ahead));
        let lost = copy.map(|copy| RtpPacket {
            sequence: packet.sequence.wrapping_sub(1),
            timestamp: packet.timestamp.wrapping_sub(u32::from(copy.ticks_back)),
            marker: false,
            payload_type: copy.payload_type,
            payload: whole.slice_ref(copy.data),
            ..packet
        });
        self.recovered += u64::from(lost.is_some());
        [lost, Some(packet)]
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn packet(sequence: u16) -> RtpPacket {
        RtpPacket {
            sequence,
            timestamp: u32::from(sequence) * 960,
            marker: false,
            payload_type: 111,
            ssrc: 1,
            payload: Bytes::from_static(b"opus"),
        }
    }

    #[tokio::test]
    async fn a_stalled_reader_resumes_near_the_present_and_learns_the_end() {
        let track = RemoteTrack::new("TR_1".into(), "ann".into(), MediaKind::Audio, Some(Codec::Opus));
        let count = u16::try_from(QUEUE_PACKETS).expect("small") + 10;
        for sequence in 0..count {
            track.push(packet(sequence));
        }
        track.end();
        let first = track.next_packet().await.expect("packets are left");
        assert_eq!(first.sequence, 10);
        assert_eq!(track.dropped_packets(), 10);
        let mut frames = 0;
        while let Some(frame) = track.next_frame().await {
            assert_eq!(&frame.data[..], b"opus");
            frames += 1;
        }
        assert_eq!(frames, QUEUE_PACKETS - 1);
    }

    #[test]
    fn a_packet_is_of_the_codec_its_number_says() {
        let track = RemoteTrack::new("TR_1".into(), "ann".into(), MediaKind::Audio, Some(Codec::Opus));
        let with_type = |payload_type| RtpPacket { payload_type, ..packet(1) };
        assert_eq!(track.codec_of(&with_type(109)), Some(Codec::Opus), "nothing else is known");
        let ours = "m=audio 9 X 109 111\r\na=mid:0\r\na=rtpmap:109 aic/48000\r\na=rtpmap:111 opus/48000/2\r\n\
            a=rtpmap:5 nonsense/1\r\na=extmap:7 urn:auralink:rtp-hdrext:aic-meta\r\n";
        track.set_formats(Formats::read(ours, "0"));
        assert_eq!(track.codec_of(&with_type(109)), Some(Codec::Aic));
        assert_eq!(track.codec_of(&with_type(111)), Some(Codec::Opus));
        assert_eq!(track.meta_id(), Some(7));
        track.set_meta(&[0xff; 3]);
        assert_eq!(track.aic_meta(), None, "a mode that does not exist");
        track.set_meta(&[0b0110_0000, 230, 12]);
        assert_eq!(
            track.aic_meta().and_then(|meta| meta.quality_score()).map(|score| score > 0.9),
            Some(true)
        );
    }

    #[tokio::test]
    async fn a_lost_packet_comes_back_from_the_copy_in_the_next() {
        let track = RemoteTrack::new("TR_1".into(), "ann".into(), MediaKind::Audio, Some(Codec::Opus));
        let ours =
            "m=audio 9 X 63 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n";
        track.set_formats(Formats::read(ours, "0"));
        let redundant = |sequence, earlier: &'static [u8], data: &[u8]| {
            let copy = red::Copy { payload_type: 111, ticks_back: 960, data: earlier };
            let payload = red::with_copy(copy, 111, data).expect("fits").into();
            RtpPacket { payload_type: 63, payload, ..packet(sequence) }
        };
        track.push(packet(65_534));
        track.push(redundant(65_535, b"opus", b"second"));
        // 0 is lost, then 2 to 3.
        track.push(redundant(1, b"third", b"fourth"));
        track.push(redundant(4, b"sixth", b"seventh"));
        // Late: no copy of what has been there is made, nor taken from it.
        track.push(redundant(3, b"fifth", b"sixth"));
        track.push(RtpPacket {
            payload: Bytes::from_static(&[0x80 | 111, 0, 0]),
            payload_type: 63,
            ..packet(5)
        });
        track.end();
        let mut heard = Vec::new();
        while let Some(packet) = track.next_packet().await {
            assert_eq!(packet.payload_type, 111);
            heard.push((packet.sequence, packet.timestamp, packet.payload));
        }
        let expected = [
            (65_534, 65_534 * 960, "opus"),
            (65_535, 65_535 * 960, "second"),
            (0, 0_u32, "third"),
            (1, 960, "fourth"),
            (3, 3 * 960, "sixth"),
            (4, 4 * 960, "seventh"),
            (3, 3 * 960, "sixth"),
        ];
        let expected = expected.map(|(sequence, timestamp, data)| (sequence, timestamp, Bytes::from(data)));
        assert_eq!(heard, expected);
        assert_eq!(track.recovered_packets(), 2);
    }

    #[tokio::test]
    async fn a_codec_without_assembly_offers_packets_only() {
        let track = RemoteTrack::new("TR_1".into(), "ann".into(), MediaKind::Video, Some(Codec::Av1));
        track.push(packet(1));
        assert!(track.next_frame().await.is_none());
    }
}
