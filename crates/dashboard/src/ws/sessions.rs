//! Reconciliation of open sockets with the logins they belong to: an end is heard of at once over the bus; what the
//! bus lost, the database tells.

use crate::app::App;
use crate::store::sessions;
use aura_service::error::Result;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const BATCH: usize = 1_000;

/// Runs until `stop`; asks every `every`, and whenever the hub is told that it may have missed something.
pub(crate) async fn watch(app: App, every: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
            () = app.hub.check_wanted() => {}
        }
        if let Err(error) = check(&app).await {
            tracing::warn!(%error, "which logins are over will be asked again");
        }
    }
}

async fn check(app: &App) -> Result<()> {
    for batch in app.hub.sessions().chunks(BATCH) {
        let mut tx = app.db.system().await?;
        let ended = sessions::ended_among(&mut tx, batch, app.now()).await?;
        tx.rollback().await?;
        for (user, session) in ended {
            app.hub.end_session(user, session);
        }
    }
    Ok(())
}
