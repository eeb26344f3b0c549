//! The two-stage stop: the first Ctrl-C or SIGTERM drains, the second ends everything at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How far the stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Run,
    Drain,
    Now,
}

#[derive(Debug, Clone)]
pub(crate) struct Stop {
    stage: watch::Receiver<Stage>,
}

impl Stop {
    pub(crate) fn new() -> (watch::Sender<Stage>, Self) {
        let (sender, stage) = watch::channel(Stage::Run);
        (sender, Self { stage })
    }

    /// Returns once the stop has come to `stage`; never, if it will not.
    pub(crate) async fn reached(&mut self, stage: Stage) {
        if self.stage.wait_for(|now| *now >= stage).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Moves the stage one on with every SIGINT or SIGTERM; runs for ever.
pub(crate) async fn on_signals(stage: &watch::Sender<Stage>) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        match *stage.borrow() {
            Stage::Run => crate::up::console::say("stopping; Ctrl-C again ends everything at once"),
            Stage::Drain | Stage::Now => crate::up::console::say("ending everything at once"),
        }
        stage.send_modify(|now| *now = if *now == Stage::Run { Stage::Drain } else { Stage::Now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_later_stage_satisfies_an_earlier_wait() {
        let (sender, mut stop) = Stop::new();
        sender.send_replace(Stage::Now);
        stop.reached(Stage::Drain).await;
        assert!(Stage::Run < Stage::Drain && Stage::Drain < Stage::Now);
    }
}
