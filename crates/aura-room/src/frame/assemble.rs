//! Packets of one track to frames.
//!
//! A video frame is given out only when every packet of it arrived. Descriptors are parsed by the media stack's
//! depacketisers.

use std::time::{Duration, Instant};

use aura_media::{Codec, MediaKind, keyframe};
use bytes::{Bytes, BytesMut};
use rtc::rtp::codec::h264::H264Packet;
use rtc::rtp::codec::vp8::Vp8Packet;
use rtc::rtp::packetizer::Depacketizer;

use super::jitter::{Jitter, Ordered};
use super::{Frame, RtpPacket};

/// How long a hole in audio is waited for: about three packets.
const AUDIO_WAIT: Duration = Duration::from_millis(60);
/// How long a hole in video is waited for: a retransmission over a slow path.
const VIDEO_WAIT: Duration = Duration::from_millis(250);
/// A frame beyond this is broken.
const MAX_FRAME_BYTES: usize = 8 * 1024 * 1024;

/// What came out of the packets so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Frame(Frame),
    /// Video was lost and cannot be decoded until the next keyframe.
    NeedKeyframe,
}

#[derive(Debug)]
struct Partial {
    timestamp: u32,
    keyframe: bool,
    data: BytesMut,
}

#[derive(Debug)]
pub(crate) struct Assembler {
    codec: Codec,
    jitter: Jitter,
    h264: H264Packet,
    partial: Option<Partial>,
    /// The frame under way lacks something; skip the rest of it.
    skip: Option<u32>,
    lost: bool,
}

impl Assembler {
    pub(crate) fn new(codec: Codec) -> Self {
        let wait = if codec.kind() == MediaKind::Audio { AUDIO_WAIT } else { VIDEO_WAIT };
        Self {
            codec,
            jitter: Jitter::new(wait),
            h264: H264Packet::default(),
            partial: None,
            skip: None,
            lost: false,
        }
    }

    /// Whether frames of this codec can be put together; others are for packet access only.
    pub(crate) const fn supports(codec: Codec) -> bool {
        matches!(codec, Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::Vp8 | Codec::H264)
    }

    pub(crate) fn push(&mut self, packet: RtpPacket, now: Instant) {
        self.jitter.push(packet, now);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.jitter.deadline()
    }

    /// The next frame, if one is complete.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Output> {
        loop {
            let output = match self.jitter.pop(now)? {
                Ordered::Lost(_) => self.hole(),
                // Padding, which probes bandwidth.
                Ordered::Packet(packet) if packet.payload.is_empty() => None,
                Ordered::Packet(packet) if self.codec.kind() == MediaKind::Audio => Some(self.audio(packet)),
                Ordered::Packet(packet) => self.video(&packet),
            };
            if output.is_some() {
                return output;
            }
        }
    }

    fn hole(&mut self) -> Option<Output> {
        self.lost = true;
        if self.codec.kind() == MediaKind::Audio {
            return None;
        }
        self.skip = self.partial.take().map(|partial| partial.timestamp);
        self.h264 = H264Packet::default();
        Some(Output::NeedKeyframe)
    }

    fn audio(&mut self, packet: RtpPacket) -> Output {
        Output::Frame(Frame {
            data: packet.payload,
            rtp_timestamp: packet.timestamp,
            keyframe: true,
            discontinuity: std::mem::take(&mut self.lost),
        })
    }

    fn video(&mut self, packet: &RtpPacket) -> Option<Output> {
        if self.skip == Some(packet.timestamp) {
            return None;
        }
        self.skip = None;
        if self.partial.as_ref().is_some_and(|partial| partial.timestamp != packet.timestamp) {
            // The marker of the previous frame was lost with its packet, or the sender sets none.
            self.partial = None;
            self.lost = true;
        }
        let begins = self.partial.is_none();
        if begins && !self.is_frame_start(packet) {
            self.skip = Some(packet.timestamp);
            self.lost = true;
            return Some(Output::NeedKeyframe);
        }
        let Some(payload) = self.depacketize(&packet.payload) else {
            self.partial = None;
            self.skip = Some(packet.timestamp);
            self.lost = true;
            return Some(Output::NeedKeyframe);
        };
        let keyframe = keyframe::starts_keyframe(self.codec, &packet.payload);
        let partial = self.partial.get_or_insert_with(|| Partial {
            timestamp: packet.timestamp,
            keyframe: false,
            data: BytesMut::new(),
        });
        partial.keyframe |= keyframe;
        partial.data.extend_from_slice(&payload);
        if partial.data.len() > MAX_FRAME_BYTES {
            self.partial = None;
            self.skip = Some(packet.timestamp);
            return Some(Output::NeedKeyframe);
        }
        if !packet.marker {
            return None;
        }
        let partial = self.partial.take()?;
        Some(Output::Frame(Frame {
            data: partial.data.freeze(),
            rtp_timestamp: partial.timestamp,
            keyframe: partial.keyframe,
            discontinuity: std::mem::take(&mut self.lost),
        }))
    }

    /// RFC 7741: S set and partition 0. H.264 frames begin with any unit but a continued fragment.
    fn is_frame_start(&self, packet: &RtpPacket) -> bool {
        let byte = |index: usize| packet.payload.get(index).copied().unwrap_or_default();
        match self.codec {
            Codec::Vp8 => byte(0) & 0x10 != 0 && byte(0) & 0x07 == 0,
            Codec::H264 => byte(0) & 0x1f != 28 || byte(1) & 0x80 != 0,
            _ => true,
        }
    }

    fn depacketize(&mut self, payload: &Bytes) -> Option<Bytes> {
        match self.codec {
            // Descriptors alone are too short for the depacketiser; they carry nothing.
            Codec::Vp8 => Vp8Packet::default().depacketize(payload).ok(),
            Codec::H264 => self.h264.depacketize(payload).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use aura_types::{Clock, SystemClock};
    use rtc::rtp::codec::h264::H264Payloader;
    use rtc::rtp::codec::vp8::Vp8Payloader;
    use rtc::rtp::packetizer::Payloader;

    use super::*;

    fn packets(payloader: &mut dyn Payloader, frame: &[u8], first: u16, timestamp: u32) -> Vec<RtpPacket> {
        let payloads = payloader.payload(1_200, &Bytes::copy_from_slice(frame)).expect("payload");
        let last = payloads.len() - 1;
        payloads
            .into_iter()
            .enumerate()
            .map(|(index, payload)| RtpPacket {
                sequence: first + u16::try_from(index).expect("few"),
                timestamp,
                marker: index == last,
                payload_type: 96,
                ssrc: 1,
                payload,
            })
            .collect()
    }

    fn vp8_frame(key: bool, size: usize) -> Vec<u8> {
        let mut frame = vec![7; size];
        frame[0] = u8::from(!key);
        frame
    }

    fn drain(assembler: &mut Assembler, now: Instant) -> Vec<Output> {
        std::iter::from_fn(|| assembler.poll(now)).collect()
    }

    #[test]
    fn a_vp8_frame_comes_out_whole_whatever_the_order() {
        let now = SystemClock.monotonic();
        let mut payloader = Vp8Payloader::default();
        payloader.enable_picture_id = true;
        let (key, delta) = (vp8_frame(true, 5_000), vp8_frame(false, 900));
        let mut all = packets(&mut payloader, &key, 10, 3_000);
        all.extend(packets(&mut payloader, &delta, 10 + u16::try_from(all.len()).expect("few"), 6_000));
        all.swap(1, 3);
        let mut assembler = Assembler::new(Codec::Vp8);
        all.into_iter().for_each(|packet| assembler.push(packet, now));
        let frames = drain(&mut assembler, now);
        let expected = |data: Vec<u8>, rtp_timestamp, keyframe| {
            Output::Frame(Frame { data: data.into(), rtp_timestamp, keyframe, discontinuity: false })
        };
        assert_eq!(frames, [expected(key, 3_000, true), expected(delta, 6_000, false)]);
    }

    #[test]
    fn a_lost_packet_costs_its_frame_and_asks_for_a_keyframe() {
        let now = SystemClock.monotonic();
        let mut payloader = Vp8Payloader::default();
        let mut all = packets(&mut payloader, &vp8_frame(true, 5_000), 10, 3_000);
        all.extend(packets(
            &mut payloader,
            &vp8_frame(false, 900),
            10 + u16::try_from(all.len()).expect("few"),
            6_000,
        ));
        all.remove(2);
        let mut assembler = Assembler::new(Codec::Vp8);
        all.into_iter().for_each(|packet| assembler.push(packet, now));
        assert_eq!(drain(&mut assembler, now), []);
        let given_up_at = assembler.deadline().expect("waiting for the hole");
        let out = drain(&mut assembler, given_up_at);
        assert_eq!(out.len(), 2, "{out:?}");
        assert_eq!(out[0], Output::NeedKeyframe);
        assert!(
            matches!(&out[1], Output::Frame(frame) if frame.discontinuity && frame.rtp_timestamp == 6_000)
        );
    }

    #[test]
    fn an_h264_access_unit_keeps_its_units() {
        let now = SystemClock.monotonic();
        let mut payloader = H264Payloader::default();
        let mut unit = Vec::new();
        for (header, size) in [(0x67, 20), (0x68, 5), (0x65, 4_000)] {
            unit.extend_from_slice(&[0, 0, 0, 1, header]);
            unit.extend(std::iter::repeat_n(9, size));
        }
        let mut assembler = Assembler::new(Codec::H264);
        for packet in packets(&mut payloader, &unit, 1, 90) {
            assembler.push(packet, now);
        }
        let frames = drain(&mut assembler, now);
        let [Output::Frame(frame)] = &frames[..] else { panic!("{frames:?}") };
        assert!(frame.keyframe);
        assert_eq!(&frame.data[..], &unit[..]);
    }

    #[test]
    fn audio_goes_on_after_a_hole() {
        let now = SystemClock.monotonic();
        let packet = |sequence: u16| RtpPacket {
            sequence,
            timestamp: u32::from(sequence) * 960,
            marker: false,
            payload_type: 111,
            ssrc: 1,
            payload: Bytes::from_static(&[1, 2, 3]),
        };
        let mut assembler = Assembler::new(Codec::Opus);
        for sequence in [1, 2, 4] {
            assembler.push(packet(sequence), now);
        }
        assert_eq!(drain(&mut assembler, now).len(), 2);
        let out = drain(&mut assembler, now + AUDIO_WAIT);
        assert!(matches!(&out[..], [Output::Frame(frame)] if frame.discontinuity));
    }
}
