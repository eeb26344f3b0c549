//! Reconciliation: what events may have missed is asked for, and what was promised to the SFU is delivered. Two
//! questions to the SFU, however much is open: which rooms are live, and who is in the calls'.
//!
//! Runs at start, whenever the bus reconnects, when a room has to end, and periodically while calls are open.

use super::Calls;
use super::Report;
use crate::sfu::{RoomName, Sfu};
use crate::store::{calls, deletions};
use aura_service::error::Result;
use aura_types::{CallId, ErrorCode};
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
        let live = self.0.sfu.every_live_room().await?;
        let mut tx = self.0.db.system().await?;
        // Who enters with a token from before does not bring a deleted room back.
        deletions::reopen(&mut tx, &live).await?;
        let rooms = deletions::open(&mut tx, DELETIONS_PER_PASS).await?;
        let open = calls::open(&mut tx).await?;
        tx.commit().await?;
        for room in &rooms {
            stop_if_away(self.close_room(room).await, room)?;
        }
        for batch in open.chunks(Sfu::ROOMS_AT_ONCE) {
            self.reconcile_calls(batch).await?;
        }
        Ok(rooms.len() + open.len())
    }

    async fn reconcile_calls(&self, ids: &[CallId]) -> Result<()> {
        let room = |id: CallId| RoomName::Call(id).to_string();
        let mut everyone = self.0.sfu.occupants(ids.iter().map(|id| room(*id)).collect()).await?;
        let asked_at = crate::now(&self.0.clock);
        for id in ids {
            let report = Report::present(everyone.remove(&room(*id)).unwrap_or_default());
            stop_if_away(self.observe(*id, &report, asked_at, None).await, id)?;
        }
        Ok(())
    }
}

/// One that cannot be reconciled does not keep the others waiting; a dependency that is away does.
fn stop_if_away(outcome: Result<()>, what: impl std::fmt::Display) -> Result<()> {
    match outcome {
        Err(error) if matches!(error.code(), ErrorCode::Unavailable | ErrorCode::DeadlineExceeded) => {
            Err(error)
        }
        Err(error) => {
            tracing::error!(%error, %what, "cannot be reconciled");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
