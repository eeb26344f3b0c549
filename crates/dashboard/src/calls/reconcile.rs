//! Reconciliation: what events may have missed is asked for, and what was promised to the SFU is delivered.
//!
//! Runs at start, whenever the bus reconnects, when a room has to end, and periodically while calls are open.

use super::Calls;
use crate::store::{calls, deletions};
use aura_service::error::Result;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const DELETIONS_PER_PASS: i64 = 100;

impl Calls {
    /// Runs until `stop`; a pass at least every `interval` while anything is open, and once a minute otherwise.
    pub(crate) async fn run_reconciler(self, interval: Duration, stop: CancellationToken) {
        loop {
            let pause = match self.reconcile().await {
                Ok(0) => Duration::from_secs(60).max(interval),
                Ok(_) => interval,
                Err(error) => {
                    tracing::info!(%error, "reconciliation will be tried again");
                    interval.min(Duration::from_secs(2))
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.0.reconcile_wanted.notified() => {}
            }
        }
    }

    /// One pass; returns how many calls and deletions are open. Stops at the first sign that somebody is away.
    async fn reconcile(&self) -> Result<usize> {
        let mut tx = self.0.db.system().await?;
        let rooms = deletions::open(&mut tx, DELETIONS_PER_PASS).await?;
        let open = calls::open(&mut tx).await?;
        tx.rollback().await?;
        for room in &rooms {
            self.close_room(room).await?;
        }
        for id in &open {
            let report = self.view(*id).await?;
            self.observe(*id, &report, crate::now(&self.0.clock), None).await?;
        }
        Ok(rooms.len() + open.len())
    }
}
