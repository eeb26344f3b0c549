//! A small reordering buffer.
//!
//! It does not pace playout: packets leave as soon as they are in order. A hole holds packets back until it is filled,
//! the wait is over, or the buffer is full; then the hole is reported as lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::RtpPacket;

/// Packets held back at most.
const CAPACITY: usize = 512;
/// A jump this far is a new stream, not a hole.
const RESET: u64 = 3_000;

/// What comes out next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ordered {
    Packet(RtpPacket),
    /// This many packets will not come.
    Lost(u64),
}

#[derive(Debug)]
pub(crate) struct Jitter {
    wait: Duration,
    /// Next number to release; numbers are extended by their rollovers.
    next: Option<u64>,
    held: BTreeMap<u64, (RtpPacket, Instant)>,
}

impl Jitter {
    pub(crate) fn new(wait: Duration) -> Self {
        Self { wait, next: None, held: BTreeMap::new() }
    }

    pub(crate) fn push(&mut self, packet: RtpPacket, now: Instant) {
        // Extended so that numbers before the first packet seen do not underflow.
        let next = *self.next.get_or_insert(u64::from(packet.sequence) + (1 << 16));
        let mut sequence = extend(next, packet.sequence);
        if sequence + RESET < next || sequence > next + RESET {
            self.held.clear();
            sequence = u64::from(packet.sequence) + (1 << 16);
            self.next = Some(sequence);
        } else if sequence < next {
            return;
        }
        self.held.entry(sequence).or_insert((packet, now));
    }

    pub(crate) fn pop(&mut self, now: Instant) -> Option<Ordered> {
        let next = self.next?;
        let (&first, &(_, arrived)) = self.held.first_key_value()?;
        if first > next {
            let over = now >= arrived + self.wait || self.held.len() >= CAPACITY;
            if !over {
                return None;
            }
            self.next = Some(first);
            return Some(Ordered::Lost(first - next));
        }
        let (packet, _) = self.held.remove(&first)?;
        self.next = Some(first + 1);
        Some(Ordered::Packet(packet))
    }

    /// When the hole in front is given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.held.first_key_value().map(|(_, (_, arrived))| *arrived + self.wait)
    }
}

/// The extended number nearest to `reference` whose low 16 bits are `sequence`.
fn extend(reference: u64, sequence: u16) -> u64 {
    let low = reference as u16;
    let forward = sequence.wrapping_sub(low);
    if forward < 0x8000 {
        reference + u64::from(forward)
    } else {
        reference.saturating_sub(u64::from(low.wrapping_sub(sequence)))
    }
}

#[cfg(test)]
mod tests {
    use aura_types::{Clock, SystemClock};
    use bytes::Bytes;

    use super::*;

    const WAIT: Duration = Duration::from_millis(100);

    fn packet(sequence: u16) -> RtpPacket {
        RtpPacket { sequence, timestamp: 0, marker: false, payload_type: 96, ssrc: 1, payload: Bytes::new() }
    }

    fn drain(jitter: &mut Jitter, now: Instant) -> Vec<i64> {
        std::iter::from_fn(|| jitter.pop(now))
            .map(|out| match out {
                Ordered::Packet(packet) => i64::from(packet.sequence),
                Ordered::Lost(count) => -(i64::try_from(count).expect("small")),
            })
            .collect()
    }

    #[test]
    fn reorders_across_the_wrap() {
        let now = SystemClock.monotonic();
        let mut jitter = Jitter::new(WAIT);
        for sequence in [65_534, 0, 65_535, 65_535, 2, 1] {
            jitter.push(packet(sequence), now);
        }
        assert_eq!(drain(&mut jitter, now), [65_534, 65_535, 0, 1, 2]);
        jitter.push(packet(1), now);
        assert_eq!(drain(&mut jitter, now), Vec::<i64>::new(), "late duplicates are dropped");
    }

    #[test]
    fn a_hole_is_waited_for_then_given_up() {
        let now = SystemClock.monotonic();
        let mut jitter = Jitter::new(WAIT);
        for sequence in [10, 13, 14] {
            jitter.push(packet(sequence), now);
        }
        assert_eq!(drain(&mut jitter, now), [10]);
        assert_eq!(jitter.deadline(), Some(now + WAIT));
        assert_eq!(drain(&mut jitter, now + WAIT), [-2, 13, 14]);
    }

    #[test]
    fn a_full_buffer_does_not_wait() {
        let now = SystemClock.monotonic();
        let mut jitter = Jitter::new(WAIT);
        jitter.push(packet(0), now);
        for sequence in 2..(2 + u16::try_from(CAPACITY).expect("small")) {
            jitter.push(packet(sequence), now);
        }
        assert_eq!(drain(&mut jitter, now).len(), CAPACITY + 2);
    }

    #[test]
    fn a_far_jump_starts_over() {
        let now = SystemClock.monotonic();
        let mut jitter = Jitter::new(WAIT);
        jitter.push(packet(100), now);
        jitter.push(packet(30_000), now);
        assert_eq!(drain(&mut jitter, now), [30_000]);
    }
}
