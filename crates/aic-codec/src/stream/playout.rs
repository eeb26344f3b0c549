//! The jitter buffer: frames by index, played one every 20 ms, and how long to wait for them.
//!
//! The buffer grows by a frame when packets keep coming too late and a frame is missing anyway, and shrinks in silence
//! when they have been early for long. What it holds is bounded; far jumps start a new stream.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::codec::Codes;
use crate::payload::{MAX_FRAMES, Payload, Silence};

/// Frames held at most: 2 s. More waiting than [`BEHIND`] is skipped.
const HELD: i64 = 100;
const BEHIND: i64 = 30;
/// A jump back this far, 10 s, is a new stream; so is one forward beyond what is held.
const JUMP: i64 = 500;
/// Packets whose punctuality is remembered.
const WINDOW: usize = 200;
/// Late packets in the window that let the buffer grow.
const LATE: usize = 3;
/// So many late packets in a row, and none in time, are a stream that paused without saying so: begin anew.
const PAUSED: u32 = 12;
/// Frames between two adjustments.
const SETTLE: u32 = 10;
/// Packets always this early, in frames, let the buffer shrink.
const EARLY: i64 = 3;

/// What arrived for one frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    pub(super) codes: Option<Coded>,
    pub(super) silence: Option<Silence>,
    pub(super) opus: Option<Bytes>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Coded {
    pub(super) codes: Codes,
    pub(super) stages: u8,
    /// From a later packet.
    pub(super) copy: bool,
}

/// The next frame to play.
#[derive(Debug)]
pub(super) enum Due {
    /// The buffer fills.
    Wait,
    /// What there is, which may be nothing.
    Frame(Slot),
    /// Nothing, and time stands still: the frame may yet come.
    Stall,
}

#[derive(Debug)]
pub(super) struct Playout {
    slots: BTreeMap<i64, Slot>,
    /// The next frame's index; none before the first packet.
    next: Option<i64>,
    fill: u32,
    hold: u32,
    /// Frames have been asked for since the stream began.
    begun: bool,
    /// How many frames early the last packets were; negative is late.
    early: VecDeque<i64>,
    settled: u32,
    late_in_a_row: u32,
    /// Inside a described silence.
    silent: bool,
    pub(super) late: u64,
}

impl Playout {
    /// Waits `playout_ms` before it begins.
    pub(super) fn new(playout_ms: u32) -> Self {
        let fill = playout_ms.div_ceil(20).min(BEHIND as u32 - 5);
        Self {
            slots: BTreeMap::new(),
            next: None,
            fill,
            hold: fill,
            begun: false,
            early: VecDeque::new(),
            settled: 0,
            late_in_a_row: 0,
            silent: false,
            late: 0,
        }
    }

    /// Extends a wrapping index to one near to what is played now.
    pub(super) fn extend(&self, index: u32) -> i64 {
        let reference = self.next.unwrap_or_else(|| i64::from(index));
        reference + i64::from(index.wrapping_sub(reference as u32) as i32)
    }

    /// Files an AIC packet. Redundancy for frames that are past is returned, oldest first: a cold decoder can begin
    /// with it.
    pub(super) fn insert(&mut self, first: i64, payload: &Payload<'_>) -> Vec<Coded> {
        let header = payload.header();
        if !self.admit(first, i64::from(header.frames)) {
            return Vec::new();
        }
        if let Some(silence) = payload.silence()
            && let Some(slot) = self.slot(first)
        {
            slot.silence = Some(silence);
        }
        for frame in 0..usize::from(header.frames) {
            if let Some(codes) = payload.frame(frame) {
                self.file(first + frame as i64, Coded { codes, stages: header.rate.stages(), copy: false });
            }
        }
        let mut past = Vec::new();
        for back in (0..header.redundant_frames()).rev() {
            let codes = payload.redundant(back).expect("as many as the header says");
            let coded = Coded { codes, stages: crate::payload::REDUNDANT_STAGES, copy: true };
            if !self.file(first - 1 - back as i64, coded) {
                past.push(coded);
            }
        }
        past
    }

    /// Files an Opus packet of `frames` frames.
    #[cfg(feature = "opus")]
    pub(super) fn insert_opus(&mut self, first: i64, frames: i64, packet: Bytes) {
        if self.admit(first, frames)
            && let Some(slot) = self.slot(first)
        {
            slot.opus = Some(packet);
        }
    }

    /// Index of the next frame.
    #[cfg(feature = "opus")]
    pub(super) fn position(&self) -> Option<i64> {
        self.next
    }

    /// What arrived for the frame after the one that was last taken.
    #[cfg(feature = "opus")]
    pub(super) fn peek(&self) -> Option<&Slot> {
        self.slots.get(&self.next?)
    }

    /// The next frame. `bridged` says that it can be played without a packet, as the rest of a longer one.
    pub(super) fn take(&mut self, bridged: bool) -> Due {
        let Some(next) = self.next else { return Due::Wait };
        self.begun |= self.hold == 0;
        if self.hold > 0 {
            self.hold -= 1;
            return Due::Wait;
        }
        self.settled = self.settled.saturating_add(1);
        let next = self.shrink(next);
        let found = self.slots.remove(&next);
        if found.is_none() && !bridged && self.grow() {
            return Due::Stall;
        }
        self.next = Some(next + 1);
        let slot = found.unwrap_or_default();
        if slot.silence.is_some() {
            self.silent = true;
        } else if slot.codes.is_some() || slot.opus.is_some() {
            self.silent = false;
        }
        Due::Frame(slot)
    }

    fn admit(&mut self, first: i64, frames: i64) -> bool {
        let next = *self.next.get_or_insert(first);
        self.late_in_a_row = if first + frames <= next { self.late_in_a_row + 1 } else { 0 };
        if next - first > JUMP || first - next >= HELD || self.late_in_a_row >= PAUSED {
            self.slots.clear();
            self.early.clear();
            self.late_in_a_row = 0;
            self.next = Some(first);
            self.hold = self.fill;
            self.begun = false;
            return true;
        }
        // Packets overtake each other before playing has begun.
        if first < next && !self.begun && next - first < MAX_FRAMES as i64 {
            self.next = Some(first);
            return true;
        }
        if self.early.len() == WINDOW {
            self.early.pop_front();
        }
        self.early.push_back(first - next);
        if first + frames <= next {
            self.late += 1;
            return false;
        }
        true
    }

    /// The slot of a frame that is still to come.
    fn slot(&mut self, index: i64) -> Option<&mut Slot> {
        let next = self.next?;
        if index < next || index >= next + HELD {
            return None;
        }
        Some(self.slots.entry(index).or_default())
    }

    /// Whether the frame is still to come. The description with more stages wins.
    fn file(&mut self, index: i64, coded: Coded) -> bool {
        let Some(slot) = self.slot(index) else { return false };
        // A copy of what was not sent must not end a silence.
        if slot.codes.is_none_or(|old| old.stages < coded.stages) && !(coded.copy && slot.silence.is_some()) {
            slot.codes = Some(coded);
        }
        true
    }

    /// Nothing came for this frame: whether to wait for it.
    fn grow(&mut self) -> bool {
        let late = self.early.iter().filter(|&&early| early < 0).count();
        if self.silent || late < LATE || self.settled < SETTLE {
            return false;
        }
        self.settled = 0;
        for early in &mut self.early {
            *early += 1;
        }
        true
    }

    /// The frame to play: the next, or a later one if too many wait.
    fn shrink(&mut self, next: i64) -> i64 {
        let newest = self.slots.keys().next_back().copied().unwrap_or(next);
        let skip = if newest - next > BEHIND {
            newest - next - i64::from(self.fill)
        } else if self.silent
            && self.settled >= SETTLE
            && self.early.len() >= WINDOW / 2
            && self.early.iter().all(|&early| early >= EARLY + i64::from(self.fill))
            && !self.slots.contains_key(&next)
        {
            1
        } else {
            return next;
        };
        self.settled = 0;
        self.slots = self.slots.split_off(&(next + skip));
        for early in &mut self.early {
            *early -= skip;
        }
        next + skip
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Rate, STAGES};
    use crate::payload::{build, build_silence};

    fn codes(n: i64) -> Codes {
        Codes([n as u16 & 0x3ff; STAGES])
    }

    fn packet(n: i64, depth: u8) -> Bytes {
        let earlier: Vec<Codes> = (1..=3).map(|back| codes(n - back)).collect();
        build(Rate::High, &[codes(n)], &earlier, depth).unwrap()
    }

    fn insert(playout: &mut Playout, n: i64, depth: u8) -> Vec<Coded> {
        playout.insert(n, &Payload::parse(&packet(n, depth)).unwrap())
    }

    fn first(due: Due) -> Option<(u16, bool)> {
        match due {
            Due::Frame(slot) => slot.codes.map(|coded| (coded.codes.0[0], coded.copy)),
            Due::Wait | Due::Stall => None,
        }
    }

    #[test]
    fn copies_fill_the_gaps() {
        let mut playout = Playout::new(60);
        for n in [10, 11, 14] {
            insert(&mut playout, n, 2);
        }
        let frames: Vec<_> = (0..8).map(|_| first(playout.take(false))).collect();
        assert_eq!(frames[..3], [None; 3]);
        let played =
            [Some((10, false)), Some((11, false)), Some((12, true)), Some((13, true)), Some((14, false))];
        assert_eq!(frames[3..], played);
        assert!(insert(&mut playout, 12, 0).is_empty());
        assert_eq!(playout.late, 1);
    }

    #[test]
    fn grows_for_the_late_and_shrinks_in_silence() {
        let mut playout = Playout::new(0);
        insert(&mut playout, 0, 0);
        let mut stalls = 0;
        for n in 0..100 {
            // Every packet comes just after its time.
            stalls += u32::from(matches!(playout.take(false), Due::Stall));
            insert(&mut playout, n + 1 - i64::from(n > 3), 0);
        }
        assert!((1..=2).contains(&stalls), "{stalls} frames waited");
        assert!(playout.late < 20, "{} late", playout.late);
        let mut playout = Playout::new(20);
        for n in 0..150 {
            insert(&mut playout, n + 8, 0);
            if n >= 0 {
                playout.take(false);
            }
        }
        let before = playout.slots.len();
        let silence = build_silence(Rate::High, Silence::DIGITAL, 1, &[], 0).unwrap();
        playout.insert(158, &Payload::parse(&silence).unwrap());
        for _ in 0..60 {
            playout.take(false);
        }
        assert!(playout.next.unwrap() > 158 + 40, "{before} held, next {:?}", playout.next);
    }

    #[test]
    fn a_sender_that_paused_is_heard_again_soon() {
        let mut playout = Playout::new(40);
        for n in 0..50 {
            insert(&mut playout, n, 0);
            playout.take(false);
        }
        // Muted for four seconds; its own count stands still.
        for _ in 0..200 {
            playout.take(false);
        }
        let heard = (50..80).filter(|&n| {
            insert(&mut playout, n, 0);
            first(playout.take(false)).is_some()
        });
        assert!(heard.count() >= 15);
    }

    #[test]
    fn a_player_that_stood_still_catches_up() {
        let mut playout = Playout::new(40);
        for n in 0..50 {
            insert(&mut playout, n, 0);
            playout.take(false);
        }
        // Nothing was taken or came for four seconds: a laptop slept.
        let heard = (250..280).filter(|&n| {
            insert(&mut playout, n, 0);
            first(playout.take(false)).is_some()
        });
        assert!(heard.count() >= 25);
    }

    #[test]
    fn bundles_of_100_ms_play_without_a_gap() {
        let mut playout = Playout::new(60);
        let heard = (0..200).filter(|&n: &i64| {
            if n % 5 == 4 {
                let frames: Vec<Codes> = (n - 4..=n).map(codes).collect();
                let bundle = build(Rate::High, &frames, &[], 0).unwrap();
                playout.insert(n - 4, &Payload::parse(&bundle).unwrap());
            }
            first(playout.take(false)).is_some()
        });
        assert_eq!(heard.count(), 200 - 4 - 3, "100 ms until the first has come, 60 held");
    }

    #[test]
    fn holds_a_bounded_number_and_follows_jumps() {
        let mut playout = Playout::new(40);
        for n in 0..10_000 {
            insert(&mut playout, n % 400, 3);
            assert!(playout.slots.len() <= HELD as usize + 24);
        }
        insert(&mut playout, 1_000_000, 0);
        assert_eq!(playout.next, Some(1_000_000));
        assert_eq!(playout.extend(1_000_005), 1_000_005);
        let mut playout = Playout::new(0);
        insert(&mut playout, i64::from(u32::MAX), 0);
        assert_eq!(playout.extend(2), i64::from(u32::MAX) + 3);
    }
}
