//! The rate: as few stages as the quality score allows.
//!
//! A score speaks of the rate it was measured at, so a change forgets what was measured before. A rate that proved too
//! low is not tried again for a while that doubles each time.

use std::collections::VecDeque;

use super::{Mode, PERIOD_MS};
use crate::codec::Rate;

/// Averaged over so much active speech.
const SPAN_MS: u64 = 1_000;
/// Raise when the average is this much above the limit, or less: 0.87 at the default limit of 0.85.
const RAISE: f32 = 0.02;
/// Lower when it is more than this above the limit: 0.92.
const LOWER: f32 = 0.07;
/// Scores that must agree before raising, and before lowering.
const RAISE_AFTER: usize = 2;
const LOWER_AFTER: usize = (SPAN_MS / PERIOD_MS) as usize;
/// How long a rate that failed is left alone, at first and at most.
const PATIENCE_MS: (u64, u64) = (10_000, 80_000);

/// Chooses the rate.
#[derive(Clone, Debug)]
pub struct RateControl {
    mode: Mode,
    min_quality: f32,
    floor: Rate,
    ceiling: Rate,
    rate: Rate,
    scores: VecDeque<(u64, f32)>,
    /// No lowering before this time.
    not_before_ms: u64,
    patience_ms: u64,
}

impl RateControl {
    /// Starts at the mode's preferred rate. `floor` and `ceiling` are the lowest and the highest rate that are allowed;
    /// of two that contradict each other the ceiling counts.
    pub fn new(mode: Mode, min_quality: f32, floor: Rate, ceiling: Rate) -> Self {
        let floor = floor.min(ceiling);
        let rate = match mode {
            Mode::Conservative | Mode::Adaptive => Rate::High,
            Mode::Aggressive => Rate::Mid,
        };
        Self {
            mode,
            min_quality,
            floor,
            ceiling,
            rate: rate.clamp(floor, ceiling),
            scores: VecDeque::new(),
            not_before_ms: 0,
            patience_ms: PATIENCE_MS.0,
        }
    }

    /// The rate now.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether no higher rate is allowed.
    pub fn at_top(&self) -> bool {
        self.rate == self.ceiling
    }

    /// The mean score of the last second.
    pub fn average(&self) -> Option<f32> {
        let sum: f32 = self.scores.iter().map(|&(_, score)| score).sum();
        (!self.scores.is_empty()).then(|| sum / self.scores.len() as f32)
    }

    /// A new score at the present rate; call every 200 ms of active speech.
    pub fn update(&mut self, now_ms: u64, score: f32) -> Rate {
        // Pauses do not count: a score lasts until five newer ones have come.
        if self.scores.len() == LOWER_AFTER {
            self.scores.pop_front();
        }
        self.scores.push_back((now_ms, score));
        let average = self.average().expect("just pushed");
        // In the aggressive mode the highest rate is the way out, not a step of comfort.
        let raise_below = match (self.mode, self.rate) {
            (Mode::Aggressive, Rate::Mid) => self.min_quality,
            _ => self.min_quality + RAISE,
        };
        if average < raise_below && self.scores.len() >= RAISE_AFTER && !self.at_top() {
            self.rate = if self.rate == Rate::Low { Rate::Mid } else { Rate::High };
            self.not_before_ms = now_ms + self.patience_ms;
            self.patience_ms = (self.patience_ms * 2).min(PATIENCE_MS.1);
            self.scores.clear();
        } else if average > self.min_quality + LOWER
            && self.scores.len() >= LOWER_AFTER
            && self.rate > self.floor
            && self.mode != Mode::Conservative
            && now_ms >= self.not_before_ms
        {
            self.rate = if self.rate == Rate::High { Rate::Mid } else { Rate::Low };
            self.scores.clear();
        }
        self.rate
    }

    /// Forgets scores, for instance because the codec was away.
    pub fn forget(&mut self) {
        self.scores.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `seconds` with a score that depends on the rate; returns the rates, five a second.
    fn run(control: &mut RateControl, from_ms: u64, seconds: u64, score: impl Fn(Rate) -> f32) -> Vec<Rate> {
        (0..seconds * 5)
            .map(|tick| control.update(from_ms + tick * PERIOD_MS, score(control.rate())))
            .collect()
    }

    #[test]
    fn goes_down_while_quality_is_high_and_settles() {
        let mut control = RateControl::new(Mode::Adaptive, 0.85, Rate::Low, Rate::High);
        let rates = run(&mut control, 0, 4, |rate| if rate == Rate::High { 0.95 } else { 0.89 });
        assert_eq!(rates[3], Rate::High, "a whole second first");
        assert!(rates[4..].iter().all(|&rate| rate == Rate::Mid));
    }

    #[test]
    fn comes_back_fast_and_tries_again_late() {
        let mut control = RateControl::new(Mode::Adaptive, 0.85, Rate::Low, Rate::High);
        let rates = run(&mut control, 0, 60, |rate| if rate == Rate::High { 0.95 } else { 0.80 });
        let changes = rates.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(rates[6], Rate::High, "400 ms at the bad rate are enough");
        assert!((4..=6).contains(&changes), "{changes} changes in a minute");
    }

    #[test]
    fn modes_have_their_bounds() {
        let mut control = RateControl::new(Mode::Conservative, 0.85, Rate::Low, Rate::High);
        assert!(run(&mut control, 0, 10, |_| 0.99).iter().all(|&rate| rate == Rate::High));
        let mut control = RateControl::new(Mode::Aggressive, 0.85, Rate::Low, Rate::High);
        assert!(run(&mut control, 0, 10, |_| 0.86).iter().all(|&rate| rate == Rate::Mid));
        assert_eq!(run(&mut control, 10_000, 2, |_| 0.80).last(), Some(&Rate::High));
        let mut control = RateControl::new(Mode::Adaptive, 0.85, Rate::Mid, Rate::High);
        assert_eq!(run(&mut control, 0, 10, |_| 0.99).last(), Some(&Rate::Mid));
        let mut control = RateControl::new(Mode::Adaptive, 0.85, Rate::High, Rate::Mid);
        assert!(run(&mut control, 0, 10, |_| 0.5).iter().all(|&rate| rate == Rate::Mid));
        assert!(control.at_top());
    }
}
