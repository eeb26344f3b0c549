//! Redundancy by measured loss, and how many frames share a packet.

use super::Mode;
use crate::codec::Rate;
use crate::payload::MAX_DEPTH;

/// Share of packets lost from which each depth is used.
const STEPS: [f32; MAX_DEPTH as usize] = [0.01, 0.05, 0.12];
/// A depth is kept this long after the loss that called for it.
const KEEP_MS: u64 = 10_000;
/// Mean length of a gap, in packets, from which one copy is not enough.
const BURST: f32 = 1.7;

/// Chooses the redundancy's depth: up at once, down one step after ten quiet seconds.
#[derive(Clone, Debug)]
pub struct Redundancy {
    max: u8,
    depth: u8,
    needed_ms: u64,
}

impl Redundancy {
    /// No more than `max`, which both sides agreed on.
    pub fn new(max: u8) -> Self {
        Self { max: max.min(MAX_DEPTH), depth: 0, needed_ms: 0 }
    }

    /// Another limit from now on.
    pub fn set_max(&mut self, max: u8) {
        self.max = max.min(MAX_DEPTH);
        self.depth = self.depth.min(self.max);
    }

    /// Packets back that are repeated.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// A receiver's report: share of packets lost, 0–1, and the mean length of the gaps (1 if unknown).
    pub fn report(&mut self, now_ms: u64, loss: f32, mean_burst: f32) -> u8 {
        let mut wanted = STEPS.iter().filter(|&&step| loss >= step).count() as u8;
        if wanted == 1 && mean_burst >= BURST {
            wanted = 2;
        }
        let wanted = wanted.min(self.max);
        if wanted >= self.depth {
            self.depth = wanted;
            self.needed_ms = now_ms;
        } else if now_ms >= self.needed_ms + KEEP_MS {
            self.depth -= 1;
            self.needed_ms = now_ms;
        }
        self.depth
    }
}

/// Frames per packet. Bundling spares headers and costs delay; with loss, a lost bundle costs more than a frame, so
/// the adaptive mode does not bundle then.
pub fn bundle(mode: Mode, rate: Rate, loss: f32, available_bps: Option<u32>, max_ptime_ms: u16) -> usize {
    let wanted = match mode {
        Mode::Conservative => 1,
        Mode::Adaptive => {
            let tight = available_bps.is_some_and(|bps| bps < 32_000);
            if tight || (rate < Rate::High && loss < STEPS[1]) { 2 } else { 1 }
        }
        // Headers cost as much as speech: at 6 kbit/s it takes five frames to spare four fifths of Opus's wire.
        // Where packets are lost, 100 ms is too much to lose at once.
        Mode::Aggressive if rate == Rate::High && loss < STEPS[0] => 5,
        Mode::Aggressive => 3,
    };
    wanted.min(usize::from(max_ptime_ms / 20)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_at_once_and_falls_by_steps() {
        let mut redundancy = Redundancy::new(3);
        assert_eq!(redundancy.report(0, 0.0, 1.0), 0);
        assert_eq!(redundancy.report(1_000, 0.02, 1.0), 1);
        assert_eq!(redundancy.report(2_000, 0.02, 2.5), 2, "bursts");
        assert_eq!(redundancy.report(3_000, 0.20, 1.0), 3);
        let depths: Vec<_> = (4..60).map(|second| redundancy.report(second * 1_000, 0.0, 1.0)).collect();
        assert_eq!(depths[8], 3);
        assert_eq!(depths[9], 2);
        assert_eq!(depths[19], 1);
        assert_eq!(depths[29], 0);
        assert_eq!(Redundancy::new(1).report(0, 0.5, 9.0), 1);
    }

    #[test]
    fn bundles_by_mode() {
        assert_eq!(bundle(Mode::Conservative, Rate::High, 0.0, Some(9_000), 60), 1);
        assert_eq!(bundle(Mode::Adaptive, Rate::High, 0.0, None, 60), 1);
        assert_eq!(bundle(Mode::Adaptive, Rate::Mid, 0.0, None, 60), 2);
        assert_eq!(bundle(Mode::Adaptive, Rate::Mid, 0.1, None, 60), 1);
        assert_eq!(bundle(Mode::Adaptive, Rate::High, 0.1, Some(24_000), 60), 2);
        assert_eq!(bundle(Mode::Aggressive, Rate::Mid, 0.0, None, 100), 3);
        assert_eq!(bundle(Mode::Aggressive, Rate::High, 0.0, None, 100), 5);
        assert_eq!(bundle(Mode::Aggressive, Rate::High, 0.02, None, 100), 3);
        assert_eq!(bundle(Mode::Aggressive, Rate::High, 0.0, None, 60), 3);
        assert_eq!(bundle(Mode::Aggressive, Rate::Mid, 0.0, None, 40), 2);
        assert_eq!(bundle(Mode::Aggressive, Rate::Mid, 0.0, None, 20), 1);
    }
}
