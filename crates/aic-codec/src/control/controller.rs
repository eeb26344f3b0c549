//! All decisions in one place: codec, rate, bundle, redundancy, and the Opus rung.

use super::fallback::{Change, Evidence};
use super::ladder::{Ladder, Opus};
use super::loss::{Redundancy, bundle};
use super::rate::RateControl;
use super::{Fallback, Latency, Mode, PERIOD_MS, Reason};
use crate::codec::Rate;
use crate::payload::MAX_DEPTH;
use crate::payload::sdp::Limits;

/// What the user and the session description say.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settings {
    /// How much to save.
    pub mode: Mode,
    /// The quality score AIC must reach.
    pub min_quality: f32,
    /// The 95th percentile of the coding time that is allowed.
    pub max_latency_ms: f32,
    /// The lowest rate that may be sent.
    pub floor: Rate,
    /// The highest rate that may be sent. Where its quality does not reach the limit, Opus is sent.
    pub ceiling: Rate,
    /// Redundancy that both sides agreed on, in packets.
    pub max_redundancy: u8,
    /// The longest packet that both sides agreed on.
    pub max_ptime_ms: u16,
    /// Silence is described, not sent.
    pub dtx: bool,
    /// What is sent has been through AIC before. Coding it twice would compound the losses, so Opus is sent.
    pub tandem: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Adaptive,
            min_quality: 0.85,
            max_latency_ms: 30.0,
            floor: Rate::Low,
            ceiling: Rate::High,
            max_redundancy: MAX_DEPTH,
            max_ptime_ms: 100,
            dtx: true,
            tandem: false,
        }
    }
}

impl Settings {
    /// The same wishes, as far as the other side can follow.
    #[must_use]
    pub fn within(self, limits: &Limits) -> Self {
        let (lowest, highest) = limits.rates;
        Self {
            floor: self.floor.clamp(lowest, highest),
            ceiling: self.ceiling.clamp(lowest, highest),
            max_redundancy: self.max_redundancy.min(limits.redundancy),
            max_ptime_ms: self.max_ptime_ms.min(limits.max_ptime_ms),
            ..self
        }
    }
}

/// What the sender has measured when it asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observed {
    /// The quality score of the last 1.5 s; none in silence.
    pub score: Option<f32>,
    /// The classifier hears music or tones.
    pub foreign_content: bool,
    /// The model failed on the last frame.
    pub failed: bool,
}

/// What to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// AIC.
    Aic {
        /// Stages.
        rate: Rate,
        /// Frames per packet.
        frames: usize,
        /// Packets repeated.
        depth: u8,
    },
    /// Opus.
    Opus {
        /// Why.
        reason: Reason,
        /// How.
        setting: Opus,
    },
}

/// Joins the state machines.
#[derive(Clone, Debug)]
pub struct Controller {
    settings: Settings,
    fallback: Fallback,
    rate: RateControl,
    redundancy: Redundancy,
    ladder: Ladder,
    latency: Latency,
    blocked: Option<Reason>,
    loss: f32,
    available_bps: Option<u32>,
    next_ms: u64,
    decision: Decision,
}

impl Controller {
    /// Starts with AIC, unless the settings forbid it.
    pub fn new(settings: Settings) -> Self {
        let rate = rate_control(&settings);
        let frames = bundle(settings.mode, rate.rate(), 0.0, None, settings.max_ptime_ms);
        let decision = Decision::Aic { rate: rate.rate(), frames, depth: 0 };
        let mut controller = Self {
            settings,
            fallback: Fallback::new(settings.min_quality, settings.max_latency_ms),
            rate,
            redundancy: Redundancy::new(settings.max_redundancy),
            ladder: Ladder::new(settings.mode),
            latency: Latency::default(),
            blocked: None,
            loss: 0.0,
            available_bps: None,
            next_ms: 0,
            decision,
        };
        if settings.tandem {
            controller.tick(0, &Observed::default());
        }
        controller
    }

    /// What to send now.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// How Opus is to be sent.
    pub fn opus(&self) -> Opus {
        self.ladder.current()
    }

    /// What was asked for.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Other wishes from now on. What was learnt about latency and loss stays; a fallback goes on, by the new limits.
    pub fn set(&mut self, settings: Settings) {
        if settings.mode != self.settings.mode
            || (settings.floor, settings.ceiling) != (self.settings.floor, self.settings.ceiling)
            || settings.min_quality != self.settings.min_quality
        {
            self.rate = rate_control(&settings);
        }
        self.fallback.set_limits(settings.min_quality, settings.max_latency_ms);
        self.redundancy.set_max(settings.max_redundancy);
        self.settings = settings;
        self.next_ms = 0;
    }

    /// How often AIC was left for `reason`.
    pub fn count(&self, reason: Reason) -> u64 {
        self.fallback.count(reason)
    }

    /// The newest coding time.
    pub fn last_latency_ms(&self) -> Option<f32> {
        self.latency.last()
    }

    /// A frame took `ms` to code.
    pub fn took(&mut self, now_ms: u64, ms: f32) {
        self.latency.add(now_ms, ms);
    }

    /// A receiver's report: share of packets lost, mean length of the gaps in packets, and what the link carries.
    pub fn feedback(&mut self, now_ms: u64, loss: f32, mean_burst: f32, available_bps: Option<u32>) {
        self.loss = if loss.is_finite() { loss.clamp(0.0, 1.0) } else { 0.0 };
        self.available_bps = available_bps;
        self.redundancy.report(now_ms, self.loss, mean_burst);
    }

    /// What only the caller knows forbids AIC, or no longer. Takes effect with the next [`tick`](Self::tick), which
    /// is then due at once.
    pub fn block(&mut self, reason: Option<Reason>) {
        self.blocked = reason;
        self.next_ms = 0;
    }

    /// What the caller said last.
    pub fn blocked(&self) -> Option<Reason> {
        self.blocked
    }

    /// Whether [`tick`](Self::tick) is due.
    pub fn due(&self, now_ms: u64) -> bool {
        now_ms >= self.next_ms
    }

    /// Decides anew; call when [`due`](Self::due).
    pub fn tick(&mut self, now_ms: u64, observed: &Observed) -> Decision {
        self.next_ms = now_ms + PERIOD_MS;
        let away = self.fallback.reason().is_some();
        let is_blocked = |reason| self.blocked == Some(reason);
        let evidence = Evidence {
            enabled: !is_blocked(Reason::Disabled) && !self.settings.tandem,
            model_matches: !is_blocked(Reason::ModelMismatch),
            available: !is_blocked(Reason::Unavailable) && !observed.failed,
            overloaded: is_blocked(Reason::Overload),
            latency_p95_ms: self.latency.p95(now_ms),
            foreign_content: observed.foreign_content,
            score: observed.score,
            at_top: self.rate.at_top(),
        };
        if let Some(Change::Returned(_)) = self.fallback.update(now_ms, &evidence) {
            // Shadow frames were coded at the highest rate; whatever was measured before is stale.
            self.rate = rate_control(&self.settings);
        } else if let Some(score) = observed.score
            && !away
        {
            self.rate.update(now_ms, score);
        }
        let (mode, reason) = (self.settings.mode, self.fallback.reason());
        let setting = self.ladder.update(now_ms, mode, reason, self.loss, self.available_bps);
        self.decision = match reason {
            Some(reason) => Decision::Opus { reason, setting },
            None => {
                let rate = self.rate.rate();
                let frames = bundle(
                    self.settings.mode,
                    rate,
                    self.loss,
                    self.available_bps,
                    self.settings.max_ptime_ms,
                );
                Decision::Aic { rate, frames, depth: self.redundancy.depth() }
            }
        };
        self.decision
    }
}

fn rate_control(settings: &Settings) -> RateControl {
    RateControl::new(settings.mode, settings.min_quality, settings.floor, settings.ceiling)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_takes_effect_with_the_next_tick_and_ends_with_it() {
        let mut controller = Controller::new(Settings::default());
        let good = Observed { score: Some(0.9), foreign_content: false, failed: false };
        assert!(matches!(controller.tick(0, &good), Decision::Aic { rate: Rate::High, frames: 1, depth: 0 }));
        assert!(!controller.due(100));
        controller.block(Some(Reason::Disabled));
        assert!(controller.due(100));
        assert!(matches!(controller.tick(100, &good), Decision::Opus { reason: Reason::Disabled, .. }));
        controller.block(None);
        assert!(matches!(controller.tick(120, &good), Decision::Aic { .. }));
        assert_eq!(controller.count(Reason::Disabled), 1);
    }

    #[test]
    fn slow_coding_and_loss_are_acted_upon() {
        let mut controller = Controller::new(Settings { max_latency_ms: 5.0, ..Settings::default() });
        let good = Observed { score: Some(0.9), foreign_content: false, failed: false };
        controller.feedback(0, 0.06, 1.0, None);
        assert!(matches!(controller.tick(0, &good), Decision::Aic { depth: 2, .. }));
        for frame in 0..100 {
            controller.took(frame * 20, 6.0);
        }
        assert!(matches!(controller.tick(2_000, &good), Decision::Opus { reason: Reason::Latency, .. }));
    }

    #[test]
    fn what_was_coded_before_is_not_coded_again() {
        let controller = Controller::new(Settings { tandem: true, ..Settings::default() });
        assert!(matches!(controller.decision(), Decision::Opus { reason: Reason::Disabled, .. }));
    }

    #[test]
    fn the_other_sides_limits_are_kept() {
        let limits = Limits { rates: (Rate::Low, Rate::Mid), redundancy: 1, max_ptime_ms: 40 };
        let settings = Settings { mode: Mode::Aggressive, ..Settings::default() }.within(&limits);
        let mut controller = Controller::new(settings);
        controller.feedback(0, 0.3, 1.0, None);
        let poor = Observed { score: Some(0.86), foreign_content: false, failed: false };
        for tick in 0..10 {
            let decision = controller.tick(tick * PERIOD_MS, &poor);
            assert!(
                matches!(decision, Decision::Aic { rate: Rate::Mid, frames: 2, depth: 1 }),
                "{decision:?}"
            );
        }
    }

    #[test]
    fn a_low_limit_of_the_rate_is_kept_and_an_odd_report_is_harmless() {
        let mut controller = Controller::new(Settings { mode: Mode::Aggressive, ..Settings::default() });
        controller.feedback(0, f32::NAN, f32::NAN, Some(0));
        assert!(matches!(
            controller.tick(0, &Observed::default()),
            Decision::Aic { rate: Rate::Mid, frames: 3, .. }
        ));
    }
}
