//! Alerts: a condition over the last minute that holds for long enough fires, and resolves when it no longer holds.
//!
//! Two rules, each per user and for the whole replica: p95 of codec time above 30 ms for 5 minutes, share of fallback
//! frames above 5 % for 10 minutes. Content and switched-off AIC are no faults and do not count. Too little data is
//! no condition: an alert does not outlive the stream it is about.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::histogram::Histogram;
use super::usage::Usage;

const WINDOW: Duration = Duration::from_secs(60);
/// Five seconds of one stream: less says little about a 95th percentile.
const MIN_FRAMES: u64 = 250;
/// Users watched at a time; beyond it new ones are not, the replica as a whole always is.
const MAX_SCOPES: usize = 10_000;

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rule {
    InferenceLatency,
    FallbackRate,
}

impl Rule {
    pub(crate) const ALL: [Self; 2] = [Self::InferenceLatency, Self::FallbackRate];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InferenceLatency => "inference_latency",
            Self::FallbackRate => "fallback_rate",
        }
    }

    /// Milliseconds, or share of frames.
    pub(crate) fn threshold(self) -> f64 {
        match self {
            Self::InferenceLatency => 30.0,
            Self::FallbackRate => 0.05,
        }
    }

    fn holds_for(self) -> Duration {
        match self {
            Self::InferenceLatency => Duration::from_secs(5 * 60),
            Self::FallbackRate => Duration::from_secs(10 * 60),
        }
    }
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    Fired {
        since: Instant,
    },
    /// Still holds; the worst value so far.
    Holds,
    Resolved,
}

/// One rule in one scope.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Event {
    /// A user, or the nil UUID for the replica.
    pub(crate) scope: Uuid,
    pub(crate) rule: Rule,
    pub(crate) worst: f64,
    pub(crate) step: Step,
}

#[derive(Debug, Default)]
struct Scope {
    slices: VecDeque<(Instant, Slice)>,
    conditions: [Option<Condition>; Rule::ALL.len()],
}

#[derive(Debug, Default)]
struct Slice {
    latency: Histogram,
    frames: u64,
    fault_frames: u64,
}

#[derive(Debug, Clone, Copy)]
struct Condition {
    since: Instant,
    worst: f64,
    fired: bool,
}

/// Everything watched.
#[derive(Debug, Default)]
pub(crate) struct AlertBook {
    scopes: BTreeMap<Uuid, Scope>,
}

impl AlertBook {
    /// Takes in what one session did; counts for its user and for the replica.
    pub(crate) fn observe(&mut self, now: Instant, user: Uuid, usage: &Usage) {
        self.add(now, Uuid::nil(), usage);
        if !user.is_nil() && (self.scopes.contains_key(&user) || self.scopes.len() < MAX_SCOPES) {
            self.add(now, user, usage);
        }
    }

    fn add(&mut self, now: Instant, scope: Uuid, usage: &Usage) {
        let slice =
            Slice { latency: usage.latency.clone(), frames: usage.frames, fault_frames: usage.fault_frames };
        self.scopes.entry(scope).or_default().slices.push_back((now, slice));
    }

    /// Judges every scope; scopes without data or conditions are forgotten.
    pub(crate) fn evaluate(&mut self, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        self.scopes.retain(|id, scope| {
            while scope.slices.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW) {
                scope.slices.pop_front();
            }
            for (index, rule) in Rule::ALL.into_iter().enumerate() {
                let value = scope.value(rule).filter(|value| *value > rule.threshold());
                events.extend(
                    judge(&mut scope.conditions[index], rule, value, now).map(|(worst, step)| Event {
                        scope: *id,
                        rule,
                        worst,
                        step,
                    }),
                );
            }
            !scope.slices.is_empty() || scope.conditions.iter().any(Option::is_some)
        });
        events
    }

    /// p95 of codec time (ms) and share of fault frames over the last minute, of the whole replica.
    pub(crate) fn replica(&self) -> (f64, f64) {
        let scope = self.scopes.get(&Uuid::nil());
        let value = |rule| scope.and_then(|scope| scope.value(rule)).unwrap_or(0.0);
        (value(Rule::InferenceLatency), value(Rule::FallbackRate))
    }
}

impl Scope {
    fn value(&self, rule: Rule) -> Option<f64> {
        let frames: u64 = self.slices.iter().map(|(_, slice)| slice.frames).sum();
        if frames < MIN_FRAMES {
            return None;
        }
        match rule {
            Rule::InferenceLatency => {
                let mut latency = Histogram::default();
                self.slices.iter().for_each(|(_, slice)| latency.merge(&slice.latency));
                Some(latency.percentile_ms(0.95))
            }
            Rule::FallbackRate => {
                let faults: u64 = self.slices.iter().map(|(_, slice)| slice.fault_frames).sum();
                Some(faults as f64 / frames as f64)
            }
        }
    }
}

fn judge(
    condition: &mut Option<Condition>,
    rule: Rule,
    value: Option<f64>,
    now: Instant,
) -> Option<(f64, Step)> {
    let Some(value) = value else {
        let old = condition.take()?;
        return old.fired.then_some((old.worst, Step::Resolved));
    };
    let held = condition.get_or_insert(Condition { since: now, worst: value, fired: false });
    held.worst = held.worst.max(value);
    if held.fired {
        return Some((held.worst, Step::Holds));
    }
    if now.saturating_duration_since(held.since) < rule.holds_for() {
        return None;
    }
    held.fired = true;
    Some((held.worst, Step::Fired { since: held.since }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(ms: f64, fault_frames: u64) -> Usage {
        let mut usage = Usage { frames: 500, fault_frames, ..Usage::default() };
        usage.latency.add(ms, 500);
        usage
    }

    /// Feeds `usage` every 10 s for `minutes` and collects what changed, without the repeats.
    fn run(
        book: &mut AlertBook,
        from: Instant,
        minutes: u64,
        user: Uuid,
        usage: Option<&Usage>,
    ) -> (Vec<Event>, Instant) {
        let mut events = Vec::new();
        let mut now = from;
        for _ in 0..minutes * 6 {
            now += Duration::from_secs(10);
            if let Some(usage) = usage {
                book.observe(now, user, usage);
            }
            events.extend(book.evaluate(now).into_iter().filter(|event| event.step != Step::Holds));
        }
        (events, now)
    }

    fn start() -> Instant {
        aura_types::ManualClock::new(time::OffsetDateTime::UNIX_EPOCH).shared().monotonic()
    }

    #[test]
    fn slow_inference_fires_after_five_minutes_for_user_and_replica_and_resolves() {
        let (mut book, user) = (AlertBook::default(), Uuid::from_u128(7));
        let slow = usage(45.0, 0);
        let (events, now) = run(&mut book, start(), 4, user, Some(&slow));
        assert_eq!(events, [], "not yet");
        let (events, now) = run(&mut book, now, 2, user, Some(&slow));
        let fired: Vec<_> = events.iter().map(|event| (event.scope, event.rule)).collect();
        assert_eq!(fired, [(Uuid::nil(), Rule::InferenceLatency), (user, Rule::InferenceLatency)]);
        assert!(events.iter().all(|event| event.worst > 30.0));
        let (events, _) = run(&mut book, now, 2, user, Some(&usage(3.0, 0)));
        assert_eq!(events.len(), 2);
        assert!(events.iter().all(|event| event.step == Step::Resolved), "{events:?}");
    }

    #[test]
    fn fallbacks_need_ten_minutes_and_a_short_relief_starts_over() {
        let (mut book, user) = (AlertBook::default(), Uuid::nil());
        let bad = usage(3.0, 50);
        let (events, now) = run(&mut book, start(), 9, user, Some(&bad));
        assert_eq!(events, []);
        let (events, now) = run(&mut book, now, 2, user, Some(&usage(3.0, 0)));
        assert_eq!(events, []);
        let (events, now) = run(&mut book, now, 9, user, Some(&bad));
        assert_eq!(events, []);
        let (events, _) = run(&mut book, now, 3, user, Some(&bad));
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].rule, Rule::FallbackRate);
    }

    #[test]
    fn silence_resolves_and_is_forgotten() {
        let mut book = AlertBook::default();
        let user = Uuid::from_u128(1);
        let (_, now) = run(&mut book, start(), 6, user, Some(&usage(80.0, 0)));
        let (events, _) = run(&mut book, now, 2, user, None);
        assert_eq!(events.len(), 2);
        assert!(book.scopes.is_empty());
    }
}
