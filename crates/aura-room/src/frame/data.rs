//! Frames of data tracks to packets and back.
//!
//! A frame whose packets do not all arrive is given up when enough newer ones have begun; nothing waits for it. Packets may
//! come in any order. What comes is bounded in packets and in frames under way.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use aura_media::data_track::{self, CLOCK_RATE, Encryption, Extensions, Header, Malformed, Packet};
use bytes::Bytes;

/// Largest packet, header included: LiveKit's clients cut frames so.
const PACKET_BYTES: usize = 16_000;
/// Packets of one frame that are kept; a frame of more cannot be received.
const FRAME_PACKETS: usize = 128;
/// Largest frame that fits.
pub(crate) const MAX_FRAME_BYTES: usize = FRAME_PACKETS * (PACKET_BYTES - 64);
/// Frames under way; the oldest makes room.
const FRAMES_UNDER_WAY: usize = 4;

/// One frame of a data track.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataFrame {
    /// Content, at most 2 MB.
    pub payload: Bytes,
    /// A moment or number of the application's own.
    pub user_timestamp: Option<u64>,
    /// Set when the payload is encrypted from end to end; encrypting and decrypting is the application's.
    pub encryption: Option<Encryption>,
}

impl<T: Into<Bytes>> From<T> for DataFrame {
    fn from(payload: T) -> Self {
        Self { payload: payload.into(), ..Self::default() }
    }
}

/// Cuts the frames of one track into packets, numbered without end.
#[derive(Debug)]
pub(crate) struct DataPacketizer {
    handle: u16,
    sequence: u16,
    frame: u16,
    /// The clock's zero and the timestamp of that moment.
    epoch: (Instant, u32),
}

impl DataPacketizer {
    /// `base` is where the timestamp starts; anything will do.
    pub(crate) fn new(handle: u16, base: u32, now: Instant) -> Self {
        Self { handle, sequence: 0, frame: 0, epoch: (now, base) }
    }

    /// The packets of a frame, in order. A frame may be empty, and is one packet then.
    pub(crate) fn packetize(&mut self, frame: &DataFrame, now: Instant) -> Vec<Vec<u8>> {
        let extensions = Extensions { user_timestamp: frame.user_timestamp, encryption: frame.encryption };
        let room = PACKET_BYTES - data_track::header_bytes(&extensions);
        let (epoch, base) = self.epoch;
        let ticks = now.duration_since(epoch).as_micros() * u128::from(CLOCK_RATE) / 1_000_000;
        // Truncation is the wrapping the format asks for.
        let timestamp = base.wrapping_add(ticks as u32);
        let number = self.frame;
        self.frame = number.wrapping_add(1);
        let mut parts: Vec<&[u8]> = frame.payload.chunks(room).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let count = parts.len();
        let packets = parts.into_iter().enumerate().map(|(index, part)| {
            let header = Header {
                first: index == 0,
                last: index + 1 == count,
                handle: self.handle,
                sequence: self.sequence,
                frame: number,
                timestamp,
            };
            self.sequence = self.sequence.wrapping_add(1);
            let mut packet = Vec::with_capacity(PACKET_BYTES - room + part.len());
            data_track::write(&header, &extensions, &mut packet);
            packet.extend_from_slice(part);
            packet
        });
        packets.collect()
    }
}

/// Puts the frames of one track together.
#[derive(Debug, Default)]
pub(crate) struct DataAssembler {
    /// Oldest first.
    under_way: VecDeque<Partial>,
}

#[derive(Debug)]
struct Partial {
    frame: u16,
    extensions: Extensions,
    /// Sequence numbers of the first and the last packet, once seen.
    first: Option<u16>,
    last: Option<u16>,
    parts: BTreeMap<u16, Bytes>,
}

impl DataAssembler {
    /// Takes a packet; a frame, when it was the last one missing.
    pub(crate) fn push(
        &mut self,
        packet: &Packet<'_>,
        payload: Bytes,
    ) -> Result<Option<DataFrame>, Malformed> {
        let Header { first, last, sequence, frame, .. } = packet.header;
        let extensions = packet.read_extensions()?;
        if first && last {
            return Ok(Some(DataFrame::new(payload, extensions)));
        }
        let at = match self.under_way.iter().position(|partial| partial.frame == frame) {
            Some(at) => at,
            None => {
                if self.under_way.len() >= FRAMES_UNDER_WAY {
                    self.under_way.pop_front();
                }
                let (first, last, parts) = (None, None, BTreeMap::new());
                self.under_way.push_back(Partial { frame, extensions, first, last, parts });
                self.under_way.len() - 1
            }
        };
        let partial = &mut self.under_way[at];
        if first {
            (partial.first, partial.extensions) = (Some(sequence), extensions);
        }
        if last {
            partial.last = Some(sequence);
        }
        partial.parts.insert(sequence, payload);
        if partial.parts.len() > FRAME_PACKETS {
            self.under_way.remove(at);
            return Ok(None);
        }
        if !partial.is_complete() {
            return Ok(None);
        }
        Ok(self.under_way.remove(at).map(Partial::into_frame))
    }
}

impl Partial {
    fn is_complete(&self) -> bool {
        let (Some(first), Some(last)) = (self.first, self.last) else { return false };
        let count = usize::from(last.wrapping_sub(first)) + 1;
        // Every number in between, and none beside: a frame that lies about its ends is never complete.
        count == self.parts.len()
            && self.parts.keys().all(|number| usize::from(number.wrapping_sub(first)) < count)
    }

    fn into_frame(mut self) -> DataFrame {
        let first = self.first.unwrap_or_default();
        let mut payload = Vec::with_capacity(self.parts.values().map(Bytes::len).sum());
        for offset in 0..self.parts.len() {
            // Truncation is right: a frame has at most 128 packets.
            if let Some(part) = self.parts.remove(&first.wrapping_add(offset as u16)) {
                payload.extend_from_slice(&part);
            }
        }
        DataFrame::new(payload.into(), self.extensions)
    }
}

impl DataFrame {
    fn new(payload: Bytes, extensions: Extensions) -> Self {
        let Extensions { user_timestamp, encryption } = extensions;
        Self { payload, user_timestamp, encryption }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn push(assembler: &mut DataAssembler, packet: &[u8]) -> Option<DataFrame> {
        let parsed = Packet::parse(packet).expect("a packet");
        assembler.push(&parsed, Bytes::copy_from_slice(parsed.payload)).expect("good extensions")
    }

    fn frame(fill: u8, size: usize) -> DataFrame {
        let encryption = Some(Encryption { key_index: 1, iv: [fill; 12] });
        DataFrame { payload: vec![fill; size].into(), user_timestamp: Some(fill.into()), encryption }
    }

    fn packetizer() -> DataPacketizer {
        DataPacketizer { sequence: u16::MAX - 2, ..DataPacketizer::new(7, u32::MAX, Instant::now()) }
    }

    #[test]
    fn frames_of_every_size_survive_in_any_order_of_packets() {
        let (mut packetizer, mut assembler) = (packetizer(), DataAssembler::default());
        for (fill, size) in [(1, 0), (2, 1), (3, 15_900), (4, 16_000), (5, 100_000), (6, MAX_FRAME_BYTES)] {
            let frame = frame(fill, size);
            let mut packets = packetizer.packetize(&frame, Instant::now());
            assert!(packets.iter().all(|packet| packet.len() <= PACKET_BYTES));
            packets.reverse();
            let (last, early) = packets.split_last().expect("at least one");
            for packet in early {
                assert_eq!(push(&mut assembler, packet), None);
                assert_eq!(push(&mut assembler, packet), None, "twice is once");
            }
            assert_eq!(push(&mut assembler, last), Some(frame));
        }
        assert!(assembler.under_way.is_empty());
    }

    #[test]
    fn a_lost_packet_costs_its_frame_alone() {
        let (mut packetizer, mut assembler) = (packetizer(), DataAssembler::default());
        let mut whole = Vec::new();
        for fill in 0..30 {
            for (index, packet) in
                packetizer.packetize(&frame(fill, 40_000), Instant::now()).iter().enumerate()
            {
                if fill % 3 != 0 || index != usize::from(fill) % 2 + 1 {
                    whole.extend(push(&mut assembler, packet).map(|frame| frame.payload[0]));
                }
            }
        }
        assert_eq!(whole, (0..30).filter(|fill| fill % 3 != 0).collect::<Vec<_>>());
        assert!(assembler.under_way.len() <= FRAMES_UNDER_WAY);
    }

    #[test]
    fn hostile_frames_are_bounded() {
        let mut assembler = DataAssembler::default();
        for sequence in 0..10_000_u16 {
            let header = Header {
                first: false,
                last: false,
                handle: 1,
                sequence,
                frame: sequence / 500,
                timestamp: 0,
            };
            let mut packet = Vec::new();
            data_track::write(&header, &Extensions::default(), &mut packet);
            assert_eq!(push(&mut assembler, &packet), None);
        }
        let kept: usize = assembler.under_way.iter().map(|partial| partial.parts.len()).sum();
        assert!(kept <= FRAMES_UNDER_WAY * FRAME_PACKETS, "{kept}");
        // Ends that are further apart than the packets between them.
        for (sequence, first, last) in [(5, true, false), (6, false, false), (9, false, true)] {
            let header = Header { first, last, handle: 1, sequence, frame: 9_999, timestamp: 0 };
            let mut packet = Vec::new();
            data_track::write(&header, &Extensions::default(), &mut packet);
            assert_eq!(push(&mut assembler, &packet), None);
        }
    }

    #[test]
    fn timestamps_follow_the_clock_and_wrap() {
        let start = Instant::now();
        let mut packetizer = DataPacketizer::new(1, u32::MAX, start);
        let mut stamp = |after: Duration| {
            let packets = packetizer.packetize(&DataFrame::from(&b"x"[..]), start + after);
            Packet::parse(&packets[0]).expect("a packet").header.timestamp
        };
        assert_eq!(stamp(Duration::ZERO), u32::MAX);
        assert_eq!(stamp(Duration::from_millis(20)), 1_799);
    }
}
