//! A circuit breaker: after enough failures in a row calls fail at once for a while, then one call is let
//! through to try. It spares a struggling peer and lets our callers degrade quickly.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use aura_types::SharedClock;
use tower::{Layer, Service};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// When to open, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BreakerConfig {
    /// Failures in a row that open the circuit.
    pub failures: u32,
    /// How long it stays open the first time; doubled each time the trial call fails.
    pub open_for: Duration,
    /// The longest it stays open.
    pub max_open_for: Duration,
}

impl Default for BreakerConfig {
    /// Peers are expected back within seconds of their return, so the longest pause is two.
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_millis(250), max_open_for: Duration::from_secs(2) }
    }
}

/// Where the circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Calls pass.
    Closed,
    /// Calls fail at once.
    Open,
    /// One trial call is under way; the others fail at once.
    HalfOpen,
}

/// The state machine.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        open_for: Duration,
    },
    /// The trial call may itself be lost (a dropped future), so it has a deadline of its own.
    HalfOpen {
        trial_until: Instant,
        open_for: Duration,
    },
}

/// How long a trial call may take before another is let through.
const TRIAL_LIMIT: Duration = Duration::from_secs(30);

impl Breaker {
    /// A closed circuit.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, state: State::Closed { failures: 0 } }
    }

    /// Whether a call may be made now. A permitted call's outcome must be given to [`Self::record`].
    ///
    /// # Errors
    /// How long to wait when the circuit is open.
    pub fn allow(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until, open_for } | State::HalfOpen { trial_until: until, open_for } => {
                if now < until {
                    return Err(until - now);
                }
                self.state = State::HalfOpen { trial_until: now + TRIAL_LIMIT, open_for };
                Ok(())
            }
        }
    }

    /// Takes in how a permitted call went.
    pub fn record(&mut self, now: Instant, ok: bool) {
        self.state = match (self.state, ok) {
            (State::Closed { .. } | State::HalfOpen { .. }, true) => State::Closed { failures: 0 },
            (State::Closed { failures }, false) if failures + 1 < self.config.failures => {
                State::Closed { failures: failures + 1 }
            }
            (State::Closed { .. }, false) => {
                let open_for = self.config.open_for;
                State::Open { until: now + open_for, open_for }
            }
            (State::HalfOpen { open_for, .. }, false) => {
                let open_for = (open_for * 2).min(self.config.max_open_for);
                State::Open { until: now + open_for, open_for }
            }
            // A call from before the circuit opened: old news either way.
            (open @ State::Open { .. }, _) => open,
        };
    }

    /// Where the circuit stands.
    #[must_use]
    pub fn circuit(&self) -> Circuit {
        match self.state {
            State::Closed { .. } => Circuit::Closed,
            State::Open { .. } => Circuit::Open,
            State::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }
}

/// A call was refused because the circuit to `peer` is open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("circuit to {peer} is open")]
pub struct BreakerOpen {
    /// Who is not being called.
    pub peer: String,
    /// When a trial will be let through.
    pub retry_after: Duration,
}

/// Puts a breaker around a tower service. `is_failure` says which responses count against the peer; errors
/// of the service itself always do.
pub struct BreakerLayer<Res> {
    breaker: Arc<Mutex<Breaker>>,
    clock: SharedClock,
    peer: Arc<str>,
    is_failure: fn(&Res) -> bool,
}

impl<Res> BreakerLayer<Res> {
    /// One breaker shared by every service this layer makes.
    #[must_use]
    pub fn new(config: BreakerConfig, peer: &str, clock: SharedClock, is_failure: fn(&Res) -> bool) -> Self {
        Self { breaker: Arc::new(Mutex::new(Breaker::new(config))), clock, peer: peer.into(), is_failure }
    }
}

impl<Res> Clone for BreakerLayer<Res> {
    fn clone(&self) -> Self {
        Self {
            breaker: Arc::clone(&self.breaker),
            clock: Arc::clone(&self.clock),
            peer: Arc::clone(&self.peer),
            is_failure: self.is_failure,
        }
    }
}

impl<Res> fmt::Debug for BreakerLayer<Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl<S, Res> Layer<S> for BreakerLayer<Res> {
    type Service = BreakerService<S, Res>;

    fn layer(&self, inner: S) -> Self::Service {
        BreakerService { inner, layer: self.clone() }
    }
}

/// The service [`BreakerLayer`] makes.
#[derive(Debug)]
pub struct BreakerService<S, Res> {
    inner: S,
    layer: BreakerLayer<Res>,
}

impl<S: Clone, Res> Clone for BreakerService<S, Res> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S, Req, Res> Service<Req> for BreakerService<S, Res>
where
    S: Service<Req, Response = Res>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    Res: Send + 'static,
{
    type Response = Res;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Res, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let BreakerLayer { breaker, clock, peer, is_failure } = self.layer.clone();
        let lock = |breaker: &Mutex<Breaker>, act: &mut dyn FnMut(&mut Breaker)| {
            act(&mut breaker.lock().unwrap_or_else(PoisonError::into_inner));
        };
        let mut permit = Ok(());
        lock(&breaker, &mut |breaker| permit = breaker.allow(clock.monotonic()));
        if let Err(retry_after) = permit {
            let open = BreakerOpen { peer: peer.to_string(), retry_after };
            return Box::pin(async move { Err(open.into()) });
        }
        let call = self.inner.call(request);
        Box::pin(async move {
            let result = call.await.map_err(Into::into);
            let ok = result.as_ref().is_ok_and(|response| !is_failure(response));
            lock(&breaker, &mut |breaker| {
                let before = breaker.circuit();
                breaker.record(clock.monotonic(), ok);
                let after = breaker.circuit();
                if before != after {
                    tracing::info!(peer = &*peer, circuit = ?after, "circuit changed");
                }
            });
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aura_types::{Clock as _, SystemClock};

    fn config() -> BreakerConfig {
        BreakerConfig { failures: 3, open_for: Duration::from_secs(1), max_open_for: Duration::from_secs(3) }
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let now = SystemClock.monotonic();
        let mut breaker = Breaker::new(config());
        for ok in [false, false, true, false, false] {
            assert!(breaker.allow(now).is_ok());
            breaker.record(now, ok);
        }
        assert_eq!(breaker.circuit(), Circuit::Closed);
        breaker.record(now, false);
        assert_eq!(breaker.circuit(), Circuit::Open);
        assert_eq!(breaker.allow(now), Err(Duration::from_secs(1)));
    }

    #[test]
    fn one_trial_decides_and_failed_trials_wait_longer() {
        let start = SystemClock.monotonic();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::new(config());
        (0..3).for_each(|_| breaker.record(start, false));

        assert!(breaker.allow(at(1)).is_ok());
        assert!(breaker.allow(at(1)).is_err(), "one trial at a time");
        breaker.record(at(1), false);
        assert_eq!(breaker.allow(at(2)), Err(Duration::from_secs(1)), "now open for two seconds");
        assert!(breaker.allow(at(3)).is_ok());
        breaker.record(at(3), false);
        assert!(breaker.allow(at(6)).is_ok(), "three seconds at most");
        breaker.record(at(6), true);
        assert_eq!(breaker.circuit(), Circuit::Closed);
    }

    #[test]
    fn a_lost_trial_does_not_close_the_road_for_ever() {
        let start = SystemClock.monotonic();
        let mut breaker = Breaker::new(config());
        (0..3).for_each(|_| breaker.record(start, false));
        assert!(breaker.allow(start + Duration::from_secs(1)).is_ok());
        assert!(breaker.allow(start + Duration::from_secs(40)).is_ok());
    }

    #[tokio::test]
    async fn the_layer_counts_errors_and_bad_responses() {
        use tower::ServiceExt as _;
        let clock = aura_types::ManualClock::new(time::OffsetDateTime::UNIX_EPOCH);
        let layer = BreakerLayer::new(config(), "peer", clock.shared(), |response: &u16| *response >= 500);
        let service = layer.layer(tower::service_fn(|status: u16| async move {
            if status == 0 { Err(std::io::Error::other("down")) } else { Ok(status) }
        }));
        for status in [500, 0, 503] {
            let _ = service.clone().oneshot(status).await;
        }
        let error = service.clone().oneshot(200).await.unwrap_err();
        assert!(error.is::<BreakerOpen>(), "{error}");
        clock.advance(Duration::from_secs(1));
        assert_eq!(service.clone().oneshot(200).await.unwrap(), 200);
        assert_eq!(service.oneshot(200).await.unwrap(), 200);
    }
}
