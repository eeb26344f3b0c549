//! Forgets what has expired or was kept long enough: logins, event ids, tombstones, guests, dead links, and messages
//! and calls if so configured; and bytes without a row.

use crate::app::App;
use crate::store::retention::{self, Rule};
use aura_service::error::Result;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// After a start, so that it does not compete with what people wait for.
const FIRST: Duration = Duration::from_secs(60);
const KEEP_DAYS: u32 = 7;
/// Rows deleted in one transaction, and transactions in one run; what is left waits for the next.
const BATCH: u32 = 1_000;
const MAX_BATCHES: u32 = 200;

/// How many days things are kept; zero is for ever.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    pub messages_days: u32,
    /// After their end.
    pub calls_days: u32,
    /// Invitations and share links, after they have stopped working.
    pub dead_links_days: u32,
}

impl RetentionConfig {
    fn rules(&self) -> impl Iterator<Item = (Rule, u32)> {
        [
            (retention::MESSAGES, self.messages_days),
            (retention::CALLS, self.calls_days),
            (retention::SHARES, self.dead_links_days),
            (retention::INVITES, self.dead_links_days),
        ]
        .into_iter()
        .filter(|(_, days)| *days > 0)
        .chain([
            (retention::LOGINS, 0),
            (retention::EVENTS, KEEP_DAYS),
            (retention::TOMBSTONES, KEEP_DAYS),
            (retention::GUESTS, KEEP_DAYS),
            (retention::REMOVED_GUESTS, KEEP_DAYS),
        ])
    }
}

/// Runs until `stop`.
pub(crate) async fn run(app: App, keep: RetentionConfig, every: Duration, stop: CancellationToken) {
    let mut pause = every.min(FIRST);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = every;
        if let Err(error) = clean(&app, keep, &stop).await {
            tracing::warn!(%error, "housekeeping will be tried again");
        }
    }
}

async fn clean(app: &App, keep: RetentionConfig, stop: &CancellationToken) -> Result<()> {
    for (rule, days) in keep.rules() {
        let removed = forget(app, rule, days, stop).await?;
        if removed > 0 {
            metrics::counter!("aura_dashboard_forgotten_total", "what" => rule.what).increment(removed);
            tracing::info!(what = rule.what, removed, "forgotten");
        }
    }
    let files = app.files.sweep(&app.db, app.now().into()).await?;
    tracing::info!(files, "housekeeping done");
    Ok(())
}

async fn forget(app: &App, rule: Rule, days: u32, stop: &CancellationToken) -> Result<u64> {
    // Longer ago than time goes back: nothing is that old.
    let Some(before) = app.now().checked_sub(time::Duration::days(days.into())) else { return Ok(0) };
    let mut removed = 0;
    for _ in 0..MAX_BATCHES {
        let mut tx = app.db.system().await?;
        let batch = retention::forget(&mut tx, rule, before, BATCH.into()).await?;
        tx.commit().await?;
        removed += batch;
        if batch < u64::from(BATCH) || stop.is_cancelled() {
            break;
        }
    }
    Ok(removed)
}
