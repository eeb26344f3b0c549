//! The newest frames of a stream as a forwarder sees them pass.

use std::collections::VecDeque;

use super::{MAX_DEPTH, MAX_FRAMES, Payload, TICKS_PER_FRAME};
use crate::codec::Codes;

/// As much as redundancy can repeat.
const LONGEST: usize = MAX_FRAMES * MAX_DEPTH as usize;

/// What [`deepen`](super::deepen) repeats.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// RTP timestamps and codes, the newest last.
    frames: VecDeque<(u32, Codes)>,
}

impl History {
    /// Notes the frames of a packet, and those that it repeats and that never came. What is older than the newest is
    /// let go.
    pub fn note(&mut self, timestamp: u32, payload: &Payload<'_>) {
        for back in (0..payload.header().redundant_frames()).rev() {
            let at = timestamp.wrapping_sub((back as u32 + 1).wrapping_mul(TICKS_PER_FRAME));
            self.push(at, payload.redundant(back));
        }
        for index in 0..usize::from(payload.header().frames) {
            self.push(timestamp.wrapping_add(index as u32 * TICKS_PER_FRAME), payload.frame(index));
        }
    }

    /// The frames right before `timestamp`, newest first, up to the first gap.
    pub fn before(&self, timestamp: u32) -> Vec<Codes> {
        let mut wanted = timestamp;
        self.frames
            .iter()
            .rev()
            .map_while(|&(at, codes)| {
                wanted = wanted.wrapping_sub(TICKS_PER_FRAME);
                (at == wanted).then_some(codes)
            })
            .collect()
    }

    fn push(&mut self, at: u32, codes: Option<Codes>) {
        let Some(codes) = codes else { return };
        // A step of more than half the range is one back.
        if self.frames.back().is_some_and(|&(newest, _)| at.wrapping_sub(newest).cast_signed() <= 0) {
            return;
        }
        if self.frames.len() == LONGEST {
            self.frames.pop_front();
        }
        self.frames.push_back((at, codes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Rate, STAGES};
    use crate::payload::{build, deepen};

    fn codes(n: u16) -> Codes {
        Codes([n; STAGES])
    }

    #[test]
    fn what_a_forwarder_adds_is_what_the_sender_would_have_sent() {
        let start = u32::MAX - 2 * TICKS_PER_FRAME;
        let mut history = History::default();
        for n in 0..5_u16 {
            let timestamp = start.wrapping_add(u32::from(n) * TICKS_PER_FRAME);
            let plain = build(Rate::High, &[codes(n)], &[], 0).unwrap();
            let earlier: Vec<Codes> = (0..n).rev().map(codes).collect();
            let whole = build(Rate::High, &[codes(n)], &earlier, 2).unwrap();
            let added = deepen(&plain, &history.before(timestamp), 2);
            assert_eq!(added.as_ref().unwrap_or(&plain), &whole, "packet {n}");
            assert_eq!(deepen(&whole, &history.before(timestamp), 2), None, "nothing to add");
            history.note(timestamp, &Payload::parse(&plain).unwrap());
        }
    }

    #[test]
    fn a_gap_ends_it_unless_a_later_packet_fills_it() {
        let mut history = History::default();
        let note = |history: &mut History, n: u16, earlier: &[Codes]| {
            let packet = build(Rate::High, &[codes(n)], earlier, 1).unwrap();
            history.note(u32::from(n) * TICKS_PER_FRAME, &Payload::parse(&packet).unwrap());
        };
        note(&mut history, 0, &[]);
        note(&mut history, 2, &[]);
        note(&mut history, 1, &[]);
        assert_eq!(history.before(3 * TICKS_PER_FRAME), [codes(2)], "what comes late is let go");
        note(&mut history, 4, &[codes(3)]);
        let lengths = |at: u32| history.before(at * TICKS_PER_FRAME).len();
        assert_eq!(lengths(5), 3);
        assert_eq!(lengths(9), 0);
        assert_eq!(&history.before(5 * TICKS_PER_FRAME)[1].0[..3], [3; 3]);
    }

    #[test]
    fn no_more_is_kept_than_can_be_repeated() {
        let mut history = History::default();
        for n in 0..100_u16 {
            let packet = build(Rate::Low, &[codes(n)], &[], 0).unwrap();
            history.note(u32::from(n) * TICKS_PER_FRAME, &Payload::parse(&packet).unwrap());
        }
        assert_eq!(history.before(100 * TICKS_PER_FRAME).len(), LONGEST);
    }
}
