//! `/health` (liveness: touches nothing), `/ready` (dependencies) and `/metrics`, for public and admin ports.
//!
//! Readiness asks every dependency, each for at most a moment, and no more often than twice a second
//! however often it is asked: the public port must not become a way to load the database. A dependency the
//! process can do without is listed with the others and decides nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aura_types::SharedClock;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::join_all;
use http::{StatusCode, header};
use serde::Serialize;

use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;

const CHECK_LIMIT: Duration = Duration::from_millis(1_500);
const CACHE: Duration = Duration::from_millis(500);

type CheckFuture = Pin<Box<dyn Future<Output = bool> + Send>>;
type Check = Arc<dyn Fn() -> CheckFuture + Send + Sync>;

#[derive(Clone)]
struct Dependency {
    name: &'static str,
    /// Whether nothing works without it.
    hard: bool,
    check: Check,
}

#[derive(Debug, Clone, Default)]
struct Answers {
    by_name: BTreeMap<&'static str, bool>,
    /// Whether everything hard answered.
    enough: bool,
}

/// The state of this process and of what it depends on. Clones share it.
#[derive(Clone)]
pub struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    service: &'static str,
    version: &'static str,
    lifecycle: Lifecycle,
    clock: SharedClock,
    checks: Mutex<Vec<Dependency>>,
    last: Mutex<Option<(Instant, Answers)>>,
    asking: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("service", &self.inner.service).finish_non_exhaustive()
    }
}

/// What dependencies answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// `ready` or `not_ready`.
    pub status: &'static str,
    /// Each dependency, by name.
    pub checks: BTreeMap<&'static str, bool>,
    /// When, in milliseconds since 1970.
    pub timestamp: i64,
}

impl Readiness {
    /// Whether work may be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status == "ready"
    }
}

#[derive(Serialize)]
struct Liveness {
    status: &'static str,
    version: &'static str,
    checks: BTreeMap<&'static str, bool>,
    timestamp: i64,
}

impl Health {
    /// A process with no dependency yet.
    #[must_use]
    pub fn new(
        service: &'static str,
        version: &'static str,
        lifecycle: Lifecycle,
        clock: SharedClock,
    ) -> Self {
        // What is measured before a recorder is installed is lost.
        Metrics::install();
        Self {
            inner: Arc::new(Inner {
                service,
                version,
                lifecycle,
                clock,
                checks: Mutex::new(Vec::new()),
                last: Mutex::new(None),
                asking: tokio::sync::Mutex::new(()),
            }),
        }
    }

    /// Adds a dependency nothing works without: `check` says whether it answers. More than 1.5 s counts as no.
    pub fn add<C, F>(&self, name: &'static str, check: C)
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = bool> + Send + 'static,
    {
        self.depend(name, true, check);
    }

    /// Adds a dependency the process does without for a while: shown as it is, and ready all the same.
    pub fn add_soft<C, F>(&self, name: &'static str, check: C)
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = bool> + Send + 'static,
    {
        self.depend(name, false, check);
    }

    fn depend<C, F>(&self, name: &'static str, hard: bool, check: C)
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = bool> + Send + 'static,
    {
        let check: Check = Arc::new(move || Box::pin(check()));
        lock(&self.inner.checks).push(Dependency { name, hard, check });
    }

    /// Asks every dependency, or repeats the answer of a moment ago.
    pub async fn readiness(&self) -> Readiness {
        let answers = self.ask().await;
        let ready = !self.inner.lifecycle.is_draining() && answers.enough;
        Readiness {
            status: if ready { "ready" } else { "not_ready" },
            checks: answers.by_name,
            timestamp: self.inner.clock.unix_ms(),
        }
    }

    async fn ask(&self) -> Answers {
        let inner = &self.inner;
        let _one_at_a_time = inner.asking.lock().await;
        if let Some((when, answers)) = lock(&inner.last).clone()
            && inner.clock.monotonic().saturating_duration_since(when) < CACHE
        {
            return answers;
        }
        let dependencies = lock(&inner.checks).clone();
        let asked = dependencies.iter().map(|dependency| async {
            tokio::time::timeout(CHECK_LIMIT, (dependency.check)()).await.unwrap_or(false)
        });
        let mut answers = Answers { enough: true, ..Answers::default() };
        for (dependency, ok) in dependencies.iter().zip(join_all(asked).await) {
            answers.by_name.insert(dependency.name, ok);
            answers.enough &= ok || !dependency.hard;
        }
        *lock(&inner.last) = Some((inner.clock.monotonic(), answers.clone()));
        answers
    }

    /// `/health`, `/ready` and `/metrics`.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new()
            .route("/health", get(health))
            .route("/ready", get(ready))
            .route("/metrics", get(render_metrics))
            .with_state(self.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn health(State(health): State<Health>) -> Response {
    let inner = &health.inner;
    let checks = lock(&inner.last).as_ref().map(|(_, answers)| answers.by_name.clone()).unwrap_or_default();
    let body =
        Liveness { status: "healthy", version: inner.version, checks, timestamp: inner.clock.unix_ms() };
    no_store(axum::Json(body))
}

async fn ready(State(health): State<Health>) -> Response {
    let readiness = health.readiness().await;
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    no_store((status, axum::Json(readiness)))
}

async fn render_metrics() -> Response {
    let text = Metrics::install().render();
    no_store(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

fn no_store(body: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}
