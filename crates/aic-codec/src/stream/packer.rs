//! Coded frames to payloads: bundles, copies of earlier frames, and descriptions of silence.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::codec::{Codes, Rate};
use crate::payload::{self, MAX_DEPTH, MAX_FRAMES, Silence};

/// Frames that redundancy may reach back to.
const RECENT: usize = MAX_DEPTH as usize * MAX_FRAMES;
/// Silence is described anew after so many frames: once soon, in case the first was lost, then every second.
const REPEAT: (u32, u32) = (5, 50);
/// Or when the background's level has changed by this much, not more often than every 200 ms.
const CHANGE_DB: u8 = 4;
const CHANGE_AFTER: u32 = 10;

/// A payload and where it belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AicPacket {
    /// The payload.
    pub payload: Bytes,
    /// Index of its first primary frame, in units of 20 ms since the sender began; wraps.
    pub first_frame: u32,
    /// Frames in it; 0 if it describes silence.
    pub frames: u8,
    /// The first packet after silence or after Opus.
    pub marker: bool,
}

/// How to pack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) rate: Rate,
    pub(super) frames: usize,
    pub(super) depth: u8,
    /// Send what there is, now.
    pub(super) flush: bool,
    /// The frame is background and need not be sent.
    pub(super) silence: Option<Silence>,
}

#[derive(Debug, Default)]
pub(super) struct Packer {
    pending: Vec<Codes>,
    /// Frames before `pending` without a gap, newest first, sent or not.
    recent: VecDeque<Codes>,
    /// Frames since silence began, and since it was last described.
    silent: Option<(u32, u32)>,
    described: Option<Silence>,
    marker: bool,
}

impl Packer {
    /// A coded frame that is not sent: it may still be repeated later.
    pub(super) fn skip(&mut self, codes: Codes) {
        self.pending.clear();
        self.silent = None;
        self.marker = true;
        self.remember(&[codes]);
    }

    /// Nothing was coded: what comes later does not follow on what was.
    pub(super) fn interrupt(&mut self) {
        *self = Self { marker: true, ..Self::default() };
    }

    /// The next frame, whose index is `index`.
    pub(super) fn push(&mut self, codes: Codes, index: u32, plan: Plan) -> Option<AicPacket> {
        if let Some(silence) = plan.silence
            && self.pending.is_empty()
            && !plan.flush
        {
            return self.describe(codes, index, silence, plan);
        }
        // A bundle that has begun takes silence along and ends.
        let ends = plan.flush || plan.silence.is_some();
        if self.silent.take().is_some() {
            self.marker = true;
        }
        self.pending.push(codes);
        if self.pending.len() < plan.frames.min(MAX_FRAMES) && !ends {
            return None;
        }
        let frames = std::mem::take(&mut self.pending);
        let payload = payload::build(plan.rate, &frames, self.recent.make_contiguous(), plan.depth)
            .expect("1 to 8 frames are pending");
        self.remember(&frames);
        let first_frame = index.wrapping_sub(frames.len() as u32 - 1);
        let marker = std::mem::take(&mut self.marker);
        Some(AicPacket { payload, first_frame, frames: frames.len() as u8, marker })
    }

    fn describe(&mut self, codes: Codes, index: u32, silence: Silence, plan: Plan) -> Option<AicPacket> {
        let (frames, since) = self.silent.unwrap_or((0, u32::MAX));
        let changed = self.described.is_none_or(|old| old.level.abs_diff(silence.level) >= CHANGE_DB);
        let due =
            frames == 0 || frames == REPEAT.0 || since >= REPEAT.1 || (changed && since >= CHANGE_AFTER);
        let packet = due.then(|| {
            let unit = plan.frames.clamp(1, MAX_FRAMES);
            // Only the first packet of silence follows on frames somebody misses.
            let depth = if frames == 0 { plan.depth } else { 0 };
            let payload =
                payload::build_silence(plan.rate, silence, unit, self.recent.make_contiguous(), depth)
                    .expect("1 to 8 frames");
            self.described = Some(silence);
            AicPacket { payload, first_frame: index, frames: 0, marker: std::mem::take(&mut self.marker) }
        });
        self.silent = Some((frames + 1, if due { 1 } else { since.saturating_add(1) }));
        self.remember(&[codes]);
        packet
    }

    fn remember(&mut self, frames: &[Codes]) {
        for &codes in frames {
            if self.recent.len() == RECENT {
                self.recent.pop_back();
            }
            self.recent.push_front(codes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::STAGES;
    use crate::payload::Payload;

    fn codes(n: u32) -> Codes {
        Codes([n as u16; STAGES])
    }

    fn plan(frames: usize, depth: u8) -> Plan {
        Plan { rate: Rate::High, frames, depth, flush: false, silence: None }
    }

    #[test]
    fn bundles_hold_their_frames_and_those_before() {
        let mut packer = Packer::default();
        let packets: Vec<_> = (0..9).filter_map(|n| packer.push(codes(n), n, plan(3, 2))).collect();
        assert_eq!(packets.iter().map(|p| p.first_frame).collect::<Vec<_>>(), [0, 3, 6]);
        let last = Payload::parse(&packets[2].payload).unwrap();
        assert_eq!(last.frame(2), Some(codes(8)));
        assert_eq!(last.header().depth, 2);
        assert_eq!(last.redundant(0).unwrap().0[0], 5);
        assert_eq!(last.redundant(5).unwrap().0[0], 0);
    }

    #[test]
    fn silence_is_described_rarely() {
        let mut packer = Packer::default();
        let silence = Silence { level: 60, bands: [0, 1, 2, 3] };
        for n in 0..10 {
            packer.push(codes(n), n, plan(1, 1));
        }
        let quiet = Plan { silence: Some(silence), ..plan(1, 1) };
        let packets: Vec<_> = (10..210).filter_map(|n| packer.push(codes(n), n, quiet)).collect();
        assert_eq!(packets.iter().map(|p| p.first_frame).collect::<Vec<_>>(), [10, 15, 65, 115, 165]);
        assert_eq!(Payload::parse(&packets[0].payload).unwrap().redundant(0).unwrap().0[0], 9);
        assert_eq!(packets[1].payload.len(), 4);
        let talk = packer.push(codes(210), 210, plan(1, 1)).unwrap();
        assert!(talk.marker && talk.frames == 1);
        assert!(!packer.push(codes(211), 211, plan(1, 1)).unwrap().marker);
    }

    #[test]
    fn a_begun_bundle_is_sent_when_silence_or_a_flush_comes() {
        let mut packer = Packer::default();
        assert_eq!(packer.push(codes(0), 0, plan(3, 0)), None);
        let quiet = Plan { silence: Some(Silence::DIGITAL), ..plan(3, 0) };
        let packet = packer.push(codes(1), 1, quiet).unwrap();
        assert_eq!((packet.first_frame, packet.frames), (0, 2));
        assert_eq!(packer.push(codes(2), 2, quiet).unwrap().frames, 0);
        assert_eq!(packer.push(codes(3), 3, plan(3, 0)), None);
        assert_eq!(packer.push(codes(4), 4, Plan { flush: true, ..plan(3, 0) }).unwrap().frames, 2);
    }

    #[test]
    fn nothing_is_repeated_across_an_interruption() {
        let mut packer = Packer::default();
        packer.push(codes(1), 0, plan(1, 0));
        packer.interrupt();
        packer.skip(codes(2));
        let packet = packer.push(codes(3), 2, plan(1, 3)).unwrap();
        let payload = Payload::parse(&packet.payload).unwrap();
        assert_eq!(payload.header().depth, 1);
        assert_eq!(payload.redundant(0).unwrap().0[0], 2);
    }
}
