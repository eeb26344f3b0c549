//! Timers of calls: whatever row is due gets its tick. No timer lives in memory, so a restart loses none.
//!
//! Before time decides, the SFU is asked who is there. While it is away an active call is left alone: not hearing
//! from the SFU is no evidence that somebody left.

use super::{Calls, Report};
use crate::engine::call::Status;
use crate::sfu::{RoomName, SfuError};
use crate::store::calls;
use aura_service::error::Result;
use aura_types::CallId;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Between tries while the database is away, or while a due call waits for the SFU.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl Calls {
    /// Runs until `stop`.
    pub(crate) async fn run_timers(self, stop: CancellationToken) {
        loop {
            let pause = match self.settle_due().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "call timers wait for the database");
                    RETRY_PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.0.deadline_moved.notified() => {}
            }
        }
    }

    /// Settles every due call; returns how long nothing will be due.
    async fn settle_due(&self) -> Result<Duration> {
        let mut tx = self.0.db.system().await?;
        let due = calls::due(&mut tx, crate::now(&self.0.clock)).await?;
        tx.rollback().await?;
        let mut waiting = false;
        for id in due {
            waiting |= !self.settle(id).await?;
        }
        if waiting {
            return Ok(RETRY_PAUSE);
        }
        let mut tx = self.0.db.system().await?;
        let next = calls::next_deadline(&mut tx).await?;
        tx.rollback().await?;
        let pause = next.map(|at| at - crate::now(&self.0.clock));
        Ok(pause.map_or(LONGEST_PAUSE, |pause| {
            Duration::try_from(pause).unwrap_or_default().clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
        }))
    }

    /// Applies the SFU's view and then the passing of time. False when the call must wait for the SFU.
    async fn settle(&self, id: CallId) -> Result<bool> {
        let view = self.view(id).await;
        let now = crate::now(&self.0.clock);
        let mut tx = self.0.db.system().await?;
        let Some(mut call) = calls::lock(&mut tx, id).await? else { return Ok(true) };
        let before = call.clone();
        match view {
            Ok(report) => {
                if let Some(fact) = report.fact(&call) {
                    call.observe(fact, now);
                }
            }
            Err(error) if call.status == Status::Active => {
                tracing::debug!(call.id = %id, %error, "an active call waits for the media server");
                return Ok(false);
            }
            Err(error) => tracing::debug!(call.id = %id, %error, "time decides without the media server"),
        }
        call.tick(now, &self.0.timings);
        let change = self.save(&mut tx, &before, &call, call.caller, now).await?;
        let row = super::find(&mut tx, id).await?;
        tx.commit().await?;
        self.after(change, &row);
        Ok(true)
    }

    /// Who the SFU sees in a call's room right now.
    async fn view(&self, id: CallId) -> std::result::Result<Report, SfuError> {
        Ok(Report::present(self.0.sfu.participants(&RoomName::Call(id).to_string()).await?))
    }
}
