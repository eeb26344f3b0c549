//! When AIC gives way to Opus, and when it returns.
//!
//! A score speaks of the last 1.5 s, and the limit is meant for what a listener judges: ten seconds of speech. So what
//! counts is the mean of the scores over that time, before leaving and before returning, unless a few are so bad that
//! nobody would wait. Leaving for any other reason is quick. Returning takes a while, by reason, in which nothing
//! speaks against AIC; who falls back again soon after a return waits twice as long the next time.

use std::collections::VecDeque;

use super::{PERIOD_MS, Reason};

/// A mean this far above the limit lets AIC return: 0.87 at the default limit of 0.85.
const RETURN_ABOVE: f32 = 0.02;
/// Scores that are averaged: 10 s of speech.
const JUDGED: usize = 10_000 / PERIOD_MS as usize;
/// Fewer than these say nothing against AIC: 5 s.
const LEAST: usize = JUDGED / 2;
/// A score this far below the limit for so long is reason enough.
const FAR_BELOW: f32 = 0.1;
const FAR_BELOW_MS: u64 = 600;
/// Falling back within this time of a return doubles the wait.
const RELAPSE_MS: u64 = 30_000;
const MAX_DOUBLINGS: u32 = 3;

/// What speaks for or against AIC now.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// Turned on.
    pub enabled: bool,
    /// The peer runs the same model.
    pub model_matches: bool,
    /// The codec, and every transcoder that is needed, can be reached.
    pub available: bool,
    /// The machine cannot keep up.
    pub overloaded: bool,
    /// 95th percentile of the coding time.
    pub latency_p95_ms: Option<f32>,
    /// The classifier hears music or tones.
    pub foreign_content: bool,
    /// The newest quality score; none in silence.
    pub score: Option<f32>,
    /// It was measured with all stages.
    pub at_top: bool,
}

/// A change of codec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// From AIC to Opus.
    Left(Reason),
    /// Back to AIC; the reason that had been the gravest.
    Returned(Reason),
}

/// Decides between AIC and Opus.
#[derive(Clone, Debug)]
pub struct Fallback {
    min_quality: f32,
    max_latency_ms: f32,
    /// The gravest reason since AIC was left.
    away: Option<Reason>,
    /// Time that speaks for a return, or, with AIC on, time of very bad quality.
    run_ms: u64,
    /// What AIC scored since the last change, in the shadow too, the newest last.
    scores: VecDeque<f32>,
    updated_ms: Option<u64>,
    returned_ms: Option<u64>,
    doublings: u32,
    counts: [u64; Reason::ALL.len()],
}

impl Fallback {
    /// Starts with AIC.
    pub fn new(min_quality: f32, max_latency_ms: f32) -> Self {
        Self {
            min_quality,
            max_latency_ms,
            away: None,
            run_ms: 0,
            scores: VecDeque::new(),
            updated_ms: None,
            returned_ms: None,
            doublings: 0,
            counts: [0; Reason::ALL.len()],
        }
    }

    /// Other limits from now on.
    pub fn set_limits(&mut self, min_quality: f32, max_latency_ms: f32) {
        self.min_quality = min_quality;
        self.max_latency_ms = max_latency_ms;
    }

    /// Why Opus is sent; none with AIC.
    pub fn reason(&self) -> Option<Reason> {
        self.away
    }

    /// How often AIC was left for `reason`.
    pub fn count(&self, reason: Reason) -> u64 {
        self.counts[reason as usize]
    }

    /// How long nothing may speak against AIC before it returns.
    ///
    /// 10 s where sound or load was the trouble; 5 s after music; 2 s after an outage, which a restarting service
    /// otherwise repeats; at once where a person or the signalling decided.
    pub const fn wait_ms(reason: Reason) -> u64 {
        match reason {
            Reason::Quality | Reason::Latency | Reason::Overload => 10_000,
            Reason::Content => 5_000,
            Reason::Unavailable => 2_000,
            Reason::ModelMismatch | Reason::Disabled => 0,
        }
    }

    /// Takes what is known now; call every 200 ms, and at once when something turns bad.
    pub fn update(&mut self, now_ms: u64, evidence: &Evidence) -> Option<Change> {
        // A caller that was asleep has not been proving anything.
        let passed = now_ms.saturating_sub(self.updated_ms.unwrap_or(now_ms)).min(PERIOD_MS * 2);
        self.updated_ms = Some(now_ms);
        let grave = self.grave(evidence);
        match self.away {
            None => self.stay(now_ms, passed, evidence, grave),
            Some(reason) => self.wait(now_ms, passed, evidence, grave, reason),
        }
    }

    /// What forbids AIC whatever it sounds like, the gravest.
    fn grave(&self, evidence: &Evidence) -> Option<Reason> {
        [
            (!evidence.enabled, Reason::Disabled),
            (!evidence.available, Reason::Unavailable),
            (evidence.overloaded, Reason::Overload),
            (!evidence.model_matches, Reason::ModelMismatch),
            (evidence.foreign_content, Reason::Content),
            (evidence.latency_p95_ms.is_some_and(|p95| p95 > self.max_latency_ms), Reason::Latency),
        ]
        .into_iter()
        .find_map(|(holds, reason)| holds.then_some(reason))
    }

    fn stay(
        &mut self,
        now_ms: u64,
        passed: u64,
        evidence: &Evidence,
        grave: Option<Reason>,
    ) -> Option<Change> {
        if let Some(score) = evidence.score
            && evidence.at_top
        {
            self.hear(score);
            let far_below = score < self.min_quality - FAR_BELOW;
            self.run_ms = if far_below { self.run_ms + passed } else { 0 };
        }
        let poor = self.run_ms >= FAR_BELOW_MS
            || (self.scores.len() >= LEAST && self.mean().is_some_and(|mean| mean < self.min_quality));
        let reason = grave.or(poor.then_some(Reason::Quality))?;
        self.away = Some(reason);
        self.restart();
        self.counts[reason as usize] += 1;
        let relapse = self.returned_ms.is_some_and(|at| now_ms < at + RELAPSE_MS);
        self.doublings = if relapse { (self.doublings + 1).min(MAX_DOUBLINGS) } else { 0 };
        Some(Change::Left(reason))
    }

    fn wait(
        &mut self,
        now_ms: u64,
        passed: u64,
        evidence: &Evidence,
        grave: Option<Reason>,
        reason: Reason,
    ) -> Option<Change> {
        if let Some(grave) = grave {
            self.away = Some(reason.max(grave));
            self.restart();
            return None;
        }
        if let Some(score) = evidence.score {
            self.hear(score);
        }
        // Silence proves nothing about quality.
        let proves = reason != Reason::Quality || evidence.score.is_some();
        self.run_ms += if proves { passed } else { 0 };
        let sounds_well = self.mean().is_none_or(|mean| mean >= self.min_quality + RETURN_ABOVE);
        if self.run_ms < Self::wait_ms(reason) << self.doublings || !sounds_well {
            return None;
        }
        self.away = None;
        self.restart();
        self.returned_ms = Some(now_ms);
        Some(Change::Returned(reason))
    }

    fn restart(&mut self) {
        self.run_ms = 0;
        self.scores.clear();
    }

    fn hear(&mut self, score: f32) {
        if self.scores.len() == JUDGED {
            self.scores.pop_front();
        }
        self.scores.push_back(score);
    }

    /// None where nothing was heard.
    fn mean(&self) -> Option<f32> {
        let sum: f32 = self.scores.iter().sum();
        (!self.scores.is_empty()).then(|| sum / self.scores.len() as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Evidence = Evidence {
        enabled: true,
        model_matches: true,
        available: true,
        overloaded: false,
        latency_p95_ms: Some(3.0),
        foreign_content: false,
        score: Some(0.9),
        at_top: true,
    };

    /// Repeats `evidence` until something changes; returns when.
    fn until(
        fallback: &mut Fallback,
        now_ms: &mut u64,
        evidence: Evidence,
        limit_ms: u64,
    ) -> Option<(u64, Change)> {
        let start = *now_ms;
        while *now_ms < start + limit_ms {
            *now_ms += PERIOD_MS;
            if let Some(change) = fallback.update(*now_ms, &evidence) {
                return Some((*now_ms - start, change));
            }
        }
        None
    }

    #[test]
    fn every_reason_leaves_and_returns_after_its_wait() {
        let cases = [
            (Reason::Quality, Evidence { score: Some(0.70), ..FINE }),
            (Reason::Latency, Evidence { latency_p95_ms: Some(31.0), ..FINE }),
            (Reason::Content, Evidence { foreign_content: true, ..FINE }),
            (Reason::ModelMismatch, Evidence { model_matches: false, ..FINE }),
            (Reason::Overload, Evidence { overloaded: true, ..FINE }),
            (Reason::Unavailable, Evidence { available: false, ..FINE }),
            (Reason::Disabled, Evidence { enabled: false, ..FINE }),
        ];
        for (reason, bad) in cases {
            let mut fallback = Fallback::new(0.85, 30.0);
            let mut now = 0;
            assert_eq!(until(&mut fallback, &mut now, FINE, 20_000), None);
            let (after, change) = until(&mut fallback, &mut now, bad, 20_000).unwrap();
            assert_eq!(change, Change::Left(reason));
            assert_eq!(after, if reason == Reason::Quality { FAR_BELOW_MS } else { PERIOD_MS });
            assert_eq!(until(&mut fallback, &mut now, bad, 20_000), None);
            let (after, change) = until(&mut fallback, &mut now, FINE, 20_000).unwrap();
            assert_eq!(change, Change::Returned(reason));
            // For quality the mean of the last ten seconds must be 0.87: no more than 1.4 of them at 0.70.
            let wait = if reason == Reason::Quality { 8_600 } else { Fallback::wait_ms(reason) };
            assert_eq!(after, wait.max(PERIOD_MS));
            assert_eq!(Reason::ALL.map(|reason| fallback.count(reason)).iter().sum::<u64>(), 1);
            assert_eq!(fallback.count(reason), 1);
        }
    }

    #[test]
    fn low_quality_at_a_low_rate_is_the_rate_controls_affair() {
        let mut fallback = Fallback::new(0.85, 30.0);
        let evidence = Evidence { score: Some(0.5), at_top: false, ..FINE };
        assert_eq!(until(&mut fallback, &mut 0, evidence, 20_000), None);
    }

    #[test]
    fn ten_seconds_are_judged_not_a_syllable() {
        let mut fallback = Fallback::new(0.85, 30.0);
        let mut now = 0;
        let weak = Evidence { score: Some(0.80), ..FINE };
        for _ in 0..5 {
            assert_eq!(until(&mut fallback, &mut now, FINE, 8_000), None);
            assert_eq!(until(&mut fallback, &mut now, weak, 2_000), None, "0.88 on average");
        }
        let (after, change) = until(&mut fallback, &mut now, weak, 10_000).unwrap();
        assert_eq!(change, Change::Left(Reason::Quality));
        assert!((3_000..=4_000).contains(&after), "{after}");
    }

    #[test]
    fn silence_and_weak_scores_do_not_end_a_fallback_for_quality() {
        let mut fallback = Fallback::new(0.85, 30.0);
        let mut now = 0;
        until(&mut fallback, &mut now, Evidence { score: Some(0.7), ..FINE }, 2_000).unwrap();
        assert_eq!(until(&mut fallback, &mut now, Evidence { score: None, ..FINE }, 60_000), None);
        assert_eq!(until(&mut fallback, &mut now, Evidence { score: Some(0.86), ..FINE }, 60_000), None);
        let (after, change) = until(&mut fallback, &mut now, FINE, 10_000).unwrap();
        assert_eq!(change, Change::Returned(Reason::Quality));
        assert!((2_000..3_000).contains(&after), "a quarter of the last ten seconds at 0.90: {after}");
    }

    #[test]
    fn one_weak_syllable_does_not_begin_the_wait_anew() {
        let mut fallback = Fallback::new(0.85, 30.0);
        let mut now = 0;
        until(&mut fallback, &mut now, Evidence { score: Some(0.7), ..FINE }, 2_000).unwrap();
        assert_eq!(until(&mut fallback, &mut now, FINE, 9_000), None);
        assert_eq!(until(&mut fallback, &mut now, Evidence { score: Some(0.7), ..FINE }, PERIOD_MS), None);
        assert_eq!(until(&mut fallback, &mut now, FINE, 10_000).unwrap().0, 800);
    }

    #[test]
    fn a_lower_limit_ends_a_fallback_that_has_lasted_long_enough() {
        let mut fallback = Fallback::new(1.0, 30.0);
        let mut now = 0;
        until(&mut fallback, &mut now, FINE, 6_000).unwrap();
        assert_eq!(until(&mut fallback, &mut now, FINE, 20_000), None);
        fallback.set_limits(0.85, 30.0);
        assert_eq!(until(&mut fallback, &mut now, FINE, 20_000).unwrap().0, PERIOD_MS);
    }

    #[test]
    fn relapses_wait_longer() {
        let mut fallback = Fallback::new(0.85, 30.0);
        let mut now = 0;
        let away = Evidence { available: false, ..FINE };
        let mut waits = Vec::new();
        for _ in 0..5 {
            until(&mut fallback, &mut now, away, 2_000).unwrap();
            waits.push(until(&mut fallback, &mut now, FINE, 60_000).unwrap().0);
        }
        assert_eq!(waits, [2_000, 4_000, 8_000, 16_000, 16_000]);
        until(&mut fallback, &mut now, FINE, RELAPSE_MS);
        until(&mut fallback, &mut now, away, 2_000).unwrap();
        assert_eq!(until(&mut fallback, &mut now, FINE, 60_000).unwrap().0, 2_000);
    }

    #[test]
    fn the_gravest_reason_sets_the_wait() {
        let mut fallback = Fallback::new(0.85, 30.0);
        let mut now = 0;
        until(&mut fallback, &mut now, Evidence { foreign_content: true, ..FINE }, 400).unwrap();
        until(&mut fallback, &mut now, Evidence { overloaded: true, ..FINE }, 400);
        assert_eq!(
            until(&mut fallback, &mut now, FINE, 20_000).unwrap(),
            (10_000, Change::Returned(Reason::Overload))
        );
        assert_eq!((fallback.count(Reason::Content), fallback.count(Reason::Overload)), (1, 0));
    }
}
