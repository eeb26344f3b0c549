//! Renumbering a forwarded stream, so that a receiver sees one unbroken stream whatever the sender does.
//!
//! Invariants: output sequence numbers have no gap that the input did not have, never repeat for different input
//! packets, and start below 65,536 (the SRTP rollover counter of a fresh receiver is zero, RFC 3711 §3.3.1).
//! Switching the source (another simulcast layer, resume after a pause) continues the numbering where it was.

/// Numbers of one packet as it came in. Sequence numbers are extended to 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Extended sequence number.
    pub sequence: u64,
    /// RTP timestamp, in units of the codec's clock.
    pub timestamp: u32,
}

/// VP8 picture numbering of one packet (RFC 7741 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vp8Numbers {
    /// 15-bit picture id.
    pub picture_id: Option<u16>,
    /// 8-bit index of base-layer pictures.
    pub tl0_picture_index: Option<u8>,
}

/// State of one forwarded stream.
#[derive(Debug, Clone)]
pub struct Rewriter {
    first_sequence: u64,
    source: Option<Source>,
    last_out: Option<Sent>,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    /// Packets older than this belong to before the switch and are not forwarded.
    oldest_sequence: u64,
    sequence_offset: i64,
    timestamp_offset: u32,
    picture_offset: u16,
    tl0_offset: u8,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    numbers: Numbers,
    vp8: Vp8Numbers,
}

impl Rewriter {
    /// A stream whose first packet will carry `first_sequence`.
    #[must_use]
    pub const fn new(first_sequence: u16) -> Self {
        Self { first_sequence: first_sequence as u64, source: None, last_out: None }
    }

    /// Forgets the source: the next packet continues the numbering as if it followed the last one sent.
    pub const fn unlatch(&mut self) {
        self.source = None;
    }

    /// Whether a source is being followed.
    #[must_use]
    pub const fn is_latched(&self) -> bool {
        self.source.is_some()
    }

    /// Output numbers for one packet of the current source.
    ///
    /// When no source is latched, this packet becomes the first of a new one; `elapsed_ticks` is how far the media
    /// clock moved since the last packet sent (at least one tick is used). Returns `None` for packets from before the
    /// switch.
    pub fn rewrite(
        &mut self,
        numbers: Numbers,
        vp8: Vp8Numbers,
        elapsed_ticks: u32,
    ) -> Option<(Numbers, Vp8Numbers)> {
        let source = match self.source {
            Some(source) => source,
            None => *self.source.insert(self.latch(numbers, vp8, elapsed_ticks)),
        };
        if numbers.sequence < source.oldest_sequence {
            return None;
        }
        let out = Numbers {
            sequence: numbers.sequence.checked_add_signed(source.sequence_offset)?,
            timestamp: numbers.timestamp.wrapping_add(source.timestamp_offset),
        };
        let out_vp8 = Vp8Numbers {
            picture_id: vp8.picture_id.map(|id| id.wrapping_add(source.picture_offset) & 0x7fff),
            tl0_picture_index: vp8.tl0_picture_index.map(|index| index.wrapping_add(source.tl0_offset)),
        };
        if self.last_out.is_none_or(|last| out.sequence > last.numbers.sequence) {
            self.last_out = Some(Sent { numbers: out, vp8: out_vp8 });
        }
        Some((out, out_vp8))
    }

    fn latch(&self, numbers: Numbers, vp8: Vp8Numbers, elapsed_ticks: u32) -> Source {
        let (sequence, timestamp, picture_id, tl0) = match self.last_out {
            Some(last) => (
                last.numbers.sequence + 1,
                last.numbers.timestamp.wrapping_add(elapsed_ticks.max(1)),
                last.vp8.picture_id.map(|id| id.wrapping_add(1)),
                last.vp8.tl0_picture_index.map(|index| index.wrapping_add(1)),
            ),
            None => (self.first_sequence, numbers.timestamp, vp8.picture_id, vp8.tl0_picture_index),
        };
        Source {
            oldest_sequence: numbers.sequence,
            sequence_offset: sequence.wrapping_sub(numbers.sequence).cast_signed(),
            timestamp_offset: timestamp.wrapping_sub(numbers.timestamp),
            picture_offset: match (picture_id, vp8.picture_id) {
                (Some(wanted), Some(given)) => wanted.wrapping_sub(given),
                _ => 0,
            },
            tl0_offset: match (tl0, vp8.tl0_picture_index) {
                (Some(wanted), Some(given)) => wanted.wrapping_sub(given),
                _ => 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn packet(sequence: u64, timestamp: u32) -> Numbers {
        Numbers { sequence, timestamp }
    }

    #[test]
    fn a_switch_continues_where_the_old_source_stopped() {
        let mut rewriter = Rewriter::new(10);
        let none = Vp8Numbers::default();
        assert_eq!(rewriter.rewrite(packet(70_000, 500), none, 0).unwrap().0, packet(10, 500));
        assert_eq!(rewriter.rewrite(packet(70_001, 600), none, 0).unwrap().0, packet(11, 600));
        rewriter.unlatch();
        assert_eq!(rewriter.rewrite(packet(5, 9_000), none, 3_000).unwrap().0, packet(12, 3_600));
        assert_eq!(rewriter.rewrite(packet(4, 8_000), none, 0), None, "from before the switch");
        assert_eq!(
            rewriter.rewrite(packet(7, 9_300), none, 0).unwrap().0,
            packet(14, 3_900),
            "a real gap stays"
        );
    }

    #[test]
    fn vp8_pictures_count_on_across_a_switch_and_wrap() {
        let mut rewriter = Rewriter::new(0);
        let vp8 = |id, tl0| Vp8Numbers { picture_id: Some(id), tl0_picture_index: Some(tl0) };
        let first = rewriter.rewrite(packet(1, 0), vp8(0x7fff, 255), 0).unwrap().1;
        assert_eq!(first, vp8(0x7fff, 255));
        rewriter.unlatch();
        let second = rewriter.rewrite(packet(900, 0), vp8(77, 3), 1).unwrap().1;
        assert_eq!(second, vp8(0, 0));
    }

    proptest! {
        #[test]
        fn numbering_is_gapless_and_unique_under_reordering_and_switches(
            start in 0_u64..200_000,
            first in any::<u16>(),
            order in Just((0_u64..40).collect::<Vec<_>>()).prop_shuffle(),
            switch_at in 0_usize..40,
        ) {
            let mut rewriter = Rewriter::new(first / 2);
            let mut seen: HashMap<u64, (usize, u64)> = HashMap::new();
            for (position, step) in order.into_iter().enumerate() {
                let generation = usize::from(position >= switch_at);
                if position == switch_at {
                    rewriter.unlatch();
                }
                let base = start + if generation == 0 { 0 } else { 1_000_000 };
                if let Some((out, _)) = rewriter.rewrite(packet(base + step, 0), Vp8Numbers::default(), 1) {
                    prop_assert!(seen.insert(out.sequence, (generation, step)).is_none(), "no number twice");
                }
            }
        }
    }
}
