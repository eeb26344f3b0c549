//! Carries measurements from streams to the database, metrics and alerts, without ever holding a stream up.
//!
//! Streams hand over an interval every few seconds; a full queue drops it and counts the loss. While Postgres is away
//! rows wait, the oldest giving way; what waited is written when it is back, each interval once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aura_store::{Database, StoreError};
use aura_types::SharedClock;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::engine::alert::{AlertBook, Event, Rule, Step};
use super::engine::usage::Usage;
use super::store::alerts::AlertRow;
use super::store::reports::{Report, SessionFacts};
use super::store::{alerts, performance, reports};
use super::telemetry;

/// Intervals between streams and this task.
const QUEUE: usize = 4_096;
const WRITE_EVERY: Duration = Duration::from_secs(1);
const JUDGE_EVERY: Duration = Duration::from_secs(10);
/// Any model but ours.
const OTHER_MODEL: &str = "other";
/// Rows in one transaction.
const BATCH: usize = 500;
/// What is left at shutdown gets this long.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What [`Recorder`]s and the service share.
#[derive(Debug)]
struct Shared {
    db: Database,
    /// What runs here.
    model: String,
    /// p95 of codec time (µs) and fault share (millionths) over the last minute.
    inference_us: AtomicU64,
    fault_ppm: AtomicU64,
    database: AtomicBool,
}

#[derive(Debug)]
enum Handed {
    New(Report),
    Stored(Report),
}

/// Hands intervals over.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Handed>,
    shared: Arc<Shared>,
}

impl Recorder {
    /// Takes an interval, unless too many wait.
    pub(crate) fn record(&self, report: Report) {
        telemetry::interval(&report);
        if self.queue.try_send(Handed::New(report)).is_err() {
            telemetry::error("measurements_dropped", 1);
        }
    }

    /// Stores a client's report at once, so that its sender knows; alerts hear of it as of our own.
    ///
    /// # Errors
    /// When the database is away or refuses.
    pub(crate) async fn write_now(&self, report: Report) -> Result<(), StoreError> {
        let new = write_batch(&self.shared, std::iter::once(&report)).await?;
        if new > 0 {
            telemetry::interval(&report);
            // Only watched, not written again: a full queue costs an alert a few seconds of data.
            let _ = self.queue.try_send(Handed::Stored(report));
        }
        Ok(())
    }

    /// p95 of codec time in ms and share of fault fallbacks, of the last minute.
    pub(crate) fn last_minute(&self) -> (f64, f64) {
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed) as f64;
        (read(&self.shared.inference_us) / 1e3, read(&self.shared.fault_ppm) / 1e6)
    }

    /// Whether the last write reached the database.
    pub(crate) fn database_answers(&self) -> bool {
        self.shared.database.load(Ordering::Relaxed)
    }
}

/// The task behind [`Recorder`].
pub(crate) struct Recording {
    db: Database,
    clock: SharedClock,
    instance: String,
    queue: mpsc::Receiver<Handed>,
    shared: Arc<Shared>,
    backlog: VecDeque<Report>,
    max_backlog: usize,
    alerts: AlertBook,
    firing: BTreeMap<(Uuid, Rule), AlertRow>,
    unsaved_alerts: BTreeMap<(Uuid, Uuid), AlertRow>,
}

impl Recorder {
    /// A recorder and its task: run [`Recording::run`].
    pub(crate) fn new(
        db: Database,
        clock: SharedClock,
        instance: String,
        model: &str,
        max_backlog: usize,
    ) -> (Self, Recording) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            db: db.clone(),
            model: model.to_owned(),
            inference_us: AtomicU64::default(),
            fault_ppm: AtomicU64::default(),
            database: AtomicBool::default(),
        });
        let recording = Recording {
            db,
            clock,
            instance,
            queue,
            shared: Arc::clone(&shared),
            backlog: VecDeque::new(),
            max_backlog,
            alerts: AlertBook::default(),
            firing: BTreeMap::new(),
            unsaved_alerts: BTreeMap::new(),
        };
        (Self { queue: sender, shared }, recording)
    }
}

impl Recording {
    /// Runs until `stop`, when no stream is open any more, and then writes what is left.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut write = tokio::time::interval(WRITE_EVERY);
        let mut judge = tokio::time::interval(JUDGE_EVERY);
        write.set_missed_tick_behavior(MissedTickBehavior::Delay);
        judge.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                report = self.queue.recv() => match report {
                    Some(report) => self.take(report),
                    None => break,
                },
                _ = write.tick() => self.write_logged().await,
                _ = judge.tick() => self.judge(),
                () = &mut stop => break,
            }
        }
        // Streams hand over their last interval before they end; they have ended.
        while let Ok(report) = self.queue.try_recv() {
            self.take(report);
        }
        if tokio::time::timeout(LAST_WORDS, self.write_logged()).await.is_err() || !self.backlog.is_empty() {
            tracing::warn!(rows = self.backlog.len(), "measurements are lost: the database is away");
        }
    }

    fn take(&mut self, handed: Handed) {
        let (Handed::New(report) | Handed::Stored(report)) = &handed;
        self.alerts.observe(self.clock.monotonic(), report.session.user, &report.usage);
        let Handed::New(report) = handed else { return };
        if self.backlog.len() >= self.max_backlog {
            self.backlog.pop_front();
            telemetry::error("measurements_dropped", 1);
        }
        self.backlog.push_back(report);
    }

    async fn write_logged(&mut self) {
        let was_away = !self.shared.database.load(Ordering::Relaxed);
        let had_work = !self.backlog.is_empty() || !self.unsaved_alerts.is_empty();
        match self.write().await {
            Ok(()) if !had_work => {}
            Ok(()) => {
                self.shared.database.store(true, Ordering::Relaxed);
                if was_away {
                    tracing::info!("measurements are being stored");
                }
            }
            Err(error) => {
                self.shared.database.store(false, Ordering::Relaxed);
                telemetry::error("database", 1);
                if !was_away {
                    tracing::warn!(%error, rows = self.backlog.len(), "measurements wait for the database");
                }
            }
        }
        metrics::gauge!("aic_measurements_waiting").set(self.backlog.len() as f64);
    }

    /// Writes everything that waits, in batches; stops at the first that fails.
    async fn write(&mut self) -> Result<(), StoreError> {
        while !self.backlog.is_empty() {
            let count = self.backlog.len().min(BATCH);
            match write_batch(&self.shared, self.backlog.iter().take(count)).await {
                Ok(_) => drop(self.backlog.drain(..count)),
                Err(error) if is_refusal(&error) => {
                    // One bad row must not hold the others for ever: each alone, and the refused are dropped.
                    for _ in 0..count {
                        let Some(report) = self.backlog.front() else { break };
                        match write_batch(&self.shared, std::iter::once(report)).await {
                            Err(error) if !is_refusal(&error) => return Err(error),
                            Err(error) => {
                                tracing::error!(%error, session = %report.session.id, "a measurement was refused");
                                telemetry::error("measurement_refused", 1);
                            }
                            Ok(_) => {}
                        }
                        self.backlog.pop_front();
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if self.unsaved_alerts.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.system().await?;
        for alert in self.unsaved_alerts.values() {
            alerts::put(&mut tx, alert).await?;
        }
        tx.commit().await?;
        self.unsaved_alerts.clear();
        Ok(())
    }

    fn judge(&mut self) {
        let (now, wall) = (self.clock.monotonic(), self.clock.now());
        for event in self.alerts.evaluate(now) {
            let since = match event.step {
                Step::Fired { since } => wall - now.saturating_duration_since(since),
                Step::Holds | Step::Resolved => wall,
            };
            self.apply(event, since, wall);
        }
        let (p95, faults) = self.alerts.replica();
        self.shared.inference_us.store((p95 * 1e3) as u64, Ordering::Relaxed);
        self.shared.fault_ppm.store((faults * 1e6) as u64, Ordering::Relaxed);
        for rule in Rule::ALL {
            let count = self.firing.keys().filter(|(_, firing)| *firing == rule).count();
            metrics::gauge!("aic_alerts_firing", "rule" => rule.as_str()).set(count as f64);
        }
    }

    fn apply(&mut self, event: Event, since: OffsetDateTime, now: OffsetDateTime) {
        let key = (event.scope, event.rule);
        if let Step::Fired { .. } = event.step {
            tracing::warn!(rule = event.rule.as_str(), scope = %event.scope, value = event.worst, "alert");
            self.firing.insert(
                key,
                AlertRow {
                    user_id: event.scope,
                    id: Uuid::now_v7(),
                    rule: event.rule.as_str().to_owned(),
                    instance: self.instance.clone(),
                    value: event.worst,
                    threshold: event.rule.threshold(),
                    started_at: since,
                    fired_at: now,
                    seen_at: now,
                    resolved_at: None,
                },
            );
        }
        let Some(row) = self.firing.get_mut(&key) else { return };
        row.value = event.worst;
        row.seen_at = now;
        if event.step == Step::Resolved {
            row.resolved_at = Some(now);
            tracing::info!(rule = event.rule.as_str(), scope = %event.scope, "alert resolved");
        }
        if self.unsaved_alerts.len() < self.max_backlog {
            self.unsaved_alerts.insert((row.user_id, row.id), row.clone());
        }
        if event.step == Step::Resolved {
            self.firing.remove(&key);
        }
    }
}

/// Whether the database took the statement and refused what it says: trying again cannot help.
fn is_refusal(error: &StoreError) -> bool {
    matches!(error, StoreError::Check { .. } | StoreError::Internal(_) | StoreError::AlreadyExists { .. })
}

/// Counts reports in one transaction, and adds what was new to the models' hours. Answers how many were new.
async fn write_batch<'a>(
    shared: &Shared,
    batch: impl Iterator<Item = &'a Report>,
) -> Result<usize, StoreError> {
    let mut tx = shared.db.system().await?;
    let mut new = 0;
    let mut hours: BTreeMap<(OffsetDateTime, &str, &str), Usage> = BTreeMap::new();
    for report in batch {
        if reports::count(&mut tx, report).await? {
            new += 1;
            let session: &SessionFacts = &report.session;
            let hour = report
                .at
                .replace_time(time::Time::from_hms(report.at.hour(), 0, 0).unwrap_or(time::Time::MIDNIGHT));
            // Everybody reads these rows: a client's own words are not to be among them.
            let model = if session.model == shared.model { &session.model } else { OTHER_MODEL };
            hours.entry((hour, model, session.backend)).or_default().merge(&report.usage);
        }
    }
    for ((hour, model, backend), usage) in &hours {
        performance::add(&mut tx, *hour, model, backend, usage).await?;
    }
    tx.commit().await?;
    Ok(new)
}
