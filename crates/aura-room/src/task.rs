//! The tasks of one room: all end when the room does, and a panic is logged, not lost.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    pub(crate) cancelled: CancellationToken,
}

impl Tasks {
    /// Runs until it is done or the room is.
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let cancelled = self.cancelled.clone();
        self.spawn_uncancelled(name, async move {
            cancelled.run_until_cancelled_owned(task).await;
        });
    }

    /// For a task that watches the cancellation itself.
    pub(crate) fn spawn_uncancelled(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tracker.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!(task = name, "task panicked");
            }
        });
    }

    /// Waits until every task is gone; they must have been told.
    pub(crate) async fn finished(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
