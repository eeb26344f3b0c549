//! Start and stop of a process. Shutdown has two stages: draining (not ready; after the drain delay the soft
//! token: stop accepting, move clients), then, when all tasks have ended or the grace period or a second
//! signal cuts it short, the hard token: drop what is left.
//!
//! Every task is spawned here, so that shutdown waits for it and a panic is logged and counted. What one panic must not
//! end is either started again ([`Lifecycle::spawn_restarting`]) or ends the process, for a supervisor to start it again
//! ([`Lifecycle::spawn_critical`]).

use std::borrow::Cow;
use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::metrics::TASK_PANICS;

/// After the hard token, how long tasks have to notice before they are dropped with the runtime.
const HARD_GRACE: Duration = Duration::from_secs(1);

/// The first pause before a task that panicked starts again; it doubles while it keeps panicking.
const FIRST_RESTART: Duration = Duration::from_millis(250);
const LONGEST_RESTART: Duration = Duration::from_secs(30);
/// A task that ran this long was well.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// Spans of tasks name them in the logs. They last as long as the process, so they are no traces.
pub(crate) const TASK_TARGET: &str = "aura_service::task";

/// A handle on the process's life; clones are the same life.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tracker: TaskTracker,
    draining: CancellationToken,
    soft: CancellationToken,
    hard: CancellationToken,
    failed: AtomicBool,
    drain_delay: Duration,
    grace: Duration,
}

impl Lifecycle {
    /// A life whose shutdown may take `grace`.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self::with_drain_delay(grace, Duration::ZERO)
    }

    /// The same, reporting "not ready" for `drain_delay` before work is refused.
    #[must_use]
    pub fn with_drain_delay(grace: Duration, drain_delay: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                tracker: TaskTracker::new(),
                draining: CancellationToken::new(),
                soft: CancellationToken::new(),
                hard: CancellationToken::new(),
                failed: AtomicBool::new(false),
                drain_delay,
                grace,
            }),
        }
    }

    /// Runs `task` until it ends; shutdown waits for it. A panic is logged, counted and ends the task alone: for work on
    /// one request or connection.
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = name.into();
        let span = tracing::info_span!(target: TASK_TARGET, parent: None, "task", task = %name);
        self.track(
            async move {
                if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                    log_panic(&name, &*panic);
                }
            }
            .instrument(span),
        )
    }

    /// Runs a task the process cannot do without: its end, error or panic before shutdown begins shuts the
    /// process down with exit code 1.
    pub fn spawn_critical<F, E>(&self, name: impl Into<Cow<'static, str>>, task: F) -> JoinHandle<()>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send,
    {
        let name = name.into();
        let this = self.clone();
        let span = tracing::info_span!(target: TASK_TARGET, parent: None, "task", task = %name);
        self.track(
            async move {
                match AssertUnwindSafe(task).catch_unwind().await {
                    Ok(Ok(())) if this.is_draining() => {}
                    Ok(Ok(())) => this.fail(&format!("{name} ended")),
                    Ok(Err(error)) => this.fail(&format!("{name} failed: {error}")),
                    Err(panic) => {
                        log_panic(&name, &*panic);
                        this.fail(&format!("{name} panicked"));
                    }
                }
            }
            .instrument(span),
        )
    }

    /// Runs work that must go on: when it panics it is started again, after a pause that grows while it keeps panicking,
    /// and counted (`aura_task_panics_total`). Its end is its end. What it owns is made anew by `start`, or lent by it.
    pub fn spawn_restarting<S, F>(&self, name: &'static str, mut start: S) -> JoinHandle<()>
    where
        S: FnMut() -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.inner.draining.clone();
        let span = tracing::info_span!(target: TASK_TARGET, parent: None, "task", task = name);
        let supervise = async move {
            let mut restarts = Restarts::default();
            loop {
                let began = tokio::time::Instant::now();
                // Making the task may panic like running it.
                let running = AssertUnwindSafe(async { start().await }).catch_unwind();
                let Err(panic) = running.await else { return };
                log_panic(name, &*panic);
                let pause = restarts.pause_after(began.elapsed());
                if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return;
                }
                tracing::warn!(task = name, "task starts again");
            }
        };
        self.track(supervise.instrument(span))
    }

    #[expect(clippy::disallowed_methods, reason = "this is Lifecycle::spawn")]
    fn track<F: Future<Output = ()> + Send + 'static>(&self, task: F) -> JoinHandle<()> {
        tokio::spawn(self.inner.tracker.track_future(task))
    }

    /// Cancelled when work should no longer be accepted and clients be moved.
    #[must_use]
    pub fn soft(&self) -> CancellationToken {
        self.inner.soft.clone()
    }

    /// Cancelled when everything should be dropped.
    #[must_use]
    pub fn hard(&self) -> CancellationToken {
        self.inner.hard.clone()
    }

    /// Whether shutdown has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.inner.draining.is_cancelled()
    }

    /// Begins shutdown.
    pub fn shutdown(&self, reason: &str) {
        if !self.is_draining() {
            tracing::info!(reason, "shutting down");
        }
        self.inner.draining.cancel();
    }

    /// Begins shutdown with exit code 1.
    pub fn fail(&self, reason: &str) {
        if !self.is_draining() {
            tracing::error!(reason, "cannot go on");
        }
        self.inner.failed.store(true, Ordering::Release);
        self.inner.draining.cancel();
    }

    /// Begins shutdown on SIGTERM or SIGINT; a second one ends the grace period.
    ///
    /// # Errors
    /// When the system refuses signal handlers.
    #[expect(clippy::disallowed_methods, reason = "outlives shutdown, so it must not be waited for")]
    pub fn listen_for_signals(&self) -> std::io::Result<()> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let this = self.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = term.recv() => "SIGTERM",
                    _ = int.recv() => "SIGINT",
                };
                if this.is_draining() {
                    tracing::warn!(signal = name, "second signal: ending the grace period");
                    this.inner.soft.cancel();
                    this.inner.hard.cancel();
                }
                this.shutdown(name);
            }
        });
        Ok(())
    }

    /// Waits for shutdown to begin, runs its stages, and returns the exit code: 0 when all tasks ended in
    /// time, 1 after [`Self::fail`], 2 when tasks had to be dropped.
    pub async fn wait(&self) -> u8 {
        let inner = &self.inner;
        inner.draining.cancelled().await;
        inner.tracker.close();
        tokio::select! {
            () = tokio::time::sleep(inner.drain_delay) => {}
            () = inner.hard.cancelled() => {}
        }
        inner.soft.cancel();
        let in_time = tokio::select! {
            () = inner.tracker.wait() => true,
            () = tokio::time::sleep(inner.grace) => false,
            () = inner.hard.cancelled() => false,
        };
        inner.hard.cancel();
        let dropped = if in_time {
            0
        } else {
            let _ = tokio::time::timeout(HARD_GRACE, inner.tracker.wait()).await;
            inner.tracker.len()
        };
        if dropped > 0 {
            tracing::warn!(tasks = dropped, "tasks did not end in time");
        }
        match (inner.failed.load(Ordering::Acquire), dropped) {
            (true, _) => 1,
            (false, 0) => 0,
            (false, _) => 2,
        }
    }
}

/// How long a task that panics waits before it starts again.
#[derive(Debug)]
struct Restarts {
    next: Duration,
}

impl Default for Restarts {
    fn default() -> Self {
        Self { next: FIRST_RESTART }
    }
}

impl Restarts {
    fn pause_after(&mut self, ran: Duration) -> Duration {
        if ran >= WELL_AFTER {
            self.next = FIRST_RESTART;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_RESTART);
        pause
    }
}

fn log_panic(task: &str, panic: &(dyn std::any::Any + Send)) {
    metrics::counter!(TASK_PANICS, "task" => task.to_owned()).increment(1);
    tracing::error!(task, panic = panic_message(panic), "task panicked");
}

/// The text of a panic.
#[must_use]
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn soft_comes_before_hard_and_waiting_ends_with_the_tasks() {
        let life = Lifecycle::with_drain_delay(Duration::from_secs(10), Duration::from_millis(30));
        let (soft, hard) = (life.soft(), life.hard());
        life.spawn("worker", async move { soft.cancelled().await });
        life.shutdown("test");
        assert!(life.is_draining());
        assert!(!life.soft().is_cancelled(), "the drain delay comes first");
        assert_eq!(life.wait().await, 0);
        assert!(hard.is_cancelled());
    }

    #[tokio::test]
    async fn a_task_that_ignores_soft_is_told_hard() {
        let life = Lifecycle::new(Duration::from_millis(30));
        let hard = life.hard();
        life.spawn("stubborn", async move { hard.cancelled().await });
        life.shutdown("test");
        assert_eq!(life.wait().await, 0);

        let life = Lifecycle::new(Duration::from_millis(30));
        life.spawn("deaf", std::future::pending());
        life.shutdown("test");
        assert_eq!(life.wait().await, 2);
    }

    #[tokio::test]
    async fn a_panic_ends_its_task_alone_unless_the_task_is_critical() {
        let life = Lifecycle::new(Duration::from_secs(5));
        life.spawn("bug", async { panic!("a bug") }).await.unwrap();
        assert!(!life.is_draining());
        life.spawn_critical("server", async { Err::<(), _>("port taken") });
        assert_eq!(life.wait().await, 1);

        let life = Lifecycle::new(Duration::from_secs(5));
        life.spawn_critical("server", async {
            bug();
            Ok::<_, String>(())
        });
        assert_eq!(life.wait().await, 1);
    }

    fn bug() {
        panic!("a bug");
    }

    #[test]
    fn a_task_that_keeps_panicking_starts_ever_more_patiently_and_after_a_good_run_soon_again() {
        let mut restarts = Restarts::default();
        let pauses: Vec<_> = (0..9).map(|_| restarts.pause_after(Duration::ZERO)).collect();
        assert_eq!(pauses[..3], [FIRST_RESTART, FIRST_RESTART * 2, FIRST_RESTART * 4]);
        assert!(pauses.is_sorted() && pauses[8] == LONGEST_RESTART, "{pauses:?}");
        assert_eq!(restarts.pause_after(WELL_AFTER), FIRST_RESTART);
        assert_eq!(restarts.pause_after(Duration::ZERO), FIRST_RESTART * 2);
    }

    #[tokio::test]
    async fn work_that_must_go_on_is_started_again_until_it_ends() {
        let life = Lifecycle::new(Duration::from_secs(5));
        let (sender, mut starts) = tokio::sync::mpsc::unbounded_channel();
        let mut runs = 0;
        let task = life.spawn_restarting("periodic", move || {
            runs += 1;
            let (sender, run) = (sender.clone(), runs);
            async move {
                sender.send(run).unwrap();
                if run < 3 {
                    bug();
                }
            }
        });
        task.await.unwrap();
        let started: Vec<_> = std::iter::from_fn(|| starts.try_recv().ok()).collect();
        assert_eq!(started, [1, 2, 3]);
        assert!(!life.is_draining());
    }

    #[tokio::test]
    async fn shutdown_does_not_wait_for_the_next_start() {
        let life = Lifecycle::new(Duration::from_secs(5));
        let (sender, mut started) = tokio::sync::mpsc::unbounded_channel();
        life.spawn_restarting("periodic", move || {
            let _ = sender.send(());
            async { bug() }
        });
        started.recv().await.unwrap();
        life.shutdown("test");
        assert_eq!(life.wait().await, 0);
    }
}
