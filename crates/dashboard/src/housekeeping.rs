//! Forgets what has expired: logins, event ids, tombstones, guests, bytes without a row.

use crate::app::App;
use crate::store::{deletions, events, guests, sessions};
use aura_service::error::Result;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// After a start, so that it does not compete with what people wait for.
const FIRST: Duration = Duration::from_secs(60);
const KEEP_DAYS: i64 = 7;

/// Runs until `stop`.
pub(crate) async fn run(app: App, every: Duration, stop: CancellationToken) {
    let mut pause = every.min(FIRST);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = every;
        if let Err(error) = clean(&app).await {
            tracing::warn!(%error, "housekeeping will be tried again");
        }
    }
}

async fn clean(app: &App) -> Result<()> {
    let now = app.now();
    let old = now - time::Duration::days(KEEP_DAYS);
    let mut tx = app.db.system().await?;
    let logins = sessions::delete_expired(&mut tx, now).await?;
    let event_ids = events::delete_old(&mut tx, old).await?;
    let tombstones = deletions::delete_old(&mut tx, old).await?;
    let guests = guests::delete_expired(&mut tx, old).await?;
    tx.commit().await?;
    let files = app.files.sweep(&app.db, now.into()).await?;
    tracing::info!(logins, event_ids, tombstones, guests, files, "housekeeping done");
    Ok(())
}
