//! One supervised child: started, watched until ready, started again when it ends, stopped in two stages.
//!
//! Invariant: a child never outlives this process, whatever ends it.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use aura_local::{Launch, Signal, send_signal};
use aura_types::SharedClock;
use reqwest::Client;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::up::backoff::Backoff;
use crate::up::console::{Prefix, copy, say};
use crate::up::plan::ServicePlan;
use crate::up::stop::{Stage, Stop};

const POLL: Duration = Duration::from_millis(100);
/// A service that has never been ready and ended this often will not come up by itself.
const FIRST_TRIES: u32 = 3;
/// Longer than the services' own grace, so that theirs decides.
const GRACE: Duration = Duration::from_secs(25);

pub(crate) struct Service {
    pub(crate) plan: ServicePlan,
    pub(crate) program: PathBuf,
    pub(crate) prefix: Prefix,
    pub(crate) clock: SharedClock,
    pub(crate) stop: Stop,
    /// Set to true the first time the service is ready.
    pub(crate) is_ready: watch::Sender<bool>,
}

impl Service {
    /// Runs until the stack stops; an error means the service cannot be brought up at all.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut backoff = Backoff::new();
        let mut failures = 0;
        loop {
            let started = self.clock.monotonic();
            let (mut child, mut output) = self.spawn()?;
            let mut stop = self.stop.clone();
            let ended = tokio::select! {
                ended = self.attend(&mut child) => ended,
                () = stop.reached(Stage::Drain) => {
                    self.end(&mut child).await;
                    drain(&mut output).await;
                    return Ok(());
                }
            };
            drain(&mut output).await;
            let name = self.plan.name;
            if !*self.is_ready.borrow() {
                failures += 1;
                if failures == FIRST_TRIES {
                    bail!("{name} does not start ({ended}); its last lines are above");
                }
            }
            let pause = backoff.after(self.clock.monotonic().saturating_duration_since(started));
            say(&format!("{name} ended ({ended}); starting it again in {} ms", pause.as_millis()));
            tokio::select! {
                () = sleep(pause) => {}
                () = self.stop.reached(Stage::Drain) => return Ok(()),
            }
        }
    }

    fn spawn(&self) -> anyhow::Result<(Child, JoinSet<()>)> {
        // Its own group: Ctrl-C reaches the supervisor alone, which passes it on in order.
        let mut command = Launch::new(self.plan.name, &self.program).envs(self.plan.env.clone()).command();
        for (name, value) in [("AURALINK_ENV", "development"), ("LOG_FORMAT", "text")] {
            if std::env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
        // The supervisor's own way into the database is for no service.
        for name in ["DATABASE_OWNER_URL", "DATABASE_URL"] {
            if !self.plan.env.iter().any(|(given, _)| *given == name) {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {}", self.program.display()))?;
        let mut output = JoinSet::new();
        if let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) {
            output.spawn(copy(self.prefix.clone(), out));
            output.spawn(copy(self.prefix.clone(), err));
        }
        Ok((child, output))
    }

    /// Waits for readiness, then for the end.
    async fn attend(&self, child: &mut Child) -> String {
        let client = Client::new();
        let ready = async {
            loop {
                let reply = client.get(&self.plan.ready_url).timeout(Duration::from_secs(2)).send().await;
                if reply.is_ok_and(|reply| reply.status().is_success()) {
                    self.is_ready.send_replace(true);
                    break;
                }
                sleep(POLL).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = child.wait() => describe(ended),
            () = ready => unreachable!("the readiness watch never ends by itself"),
        }
    }

    /// SIGTERM and time to drain; SIGKILL when that has passed or the user asks again.
    async fn end(&mut self, child: &mut Child) {
        if let Some(id) = child.id() {
            send_signal(id, Signal::SIGTERM);
        }
        tokio::select! {
            outcome = timeout(GRACE, child.wait()) => if outcome.is_ok() { return },
            () = self.stop.reached(Stage::Now) => {}
        }
        say(&format!("{} is killed", self.plan.name));
        if let Err(error) = child.kill().await {
            say(&format!("{} cannot be killed: {error}", self.plan.name));
        }
    }
}

/// The pipes close when the child does; a grandchild that kept them open is not waited for.
async fn drain(output: &mut JoinSet<()>) {
    let all = async { while output.join_next().await.is_some() {} };
    if timeout(Duration::from_secs(1), all).await.is_err() {
        output.abort_all();
    }
}

fn describe(ended: std::io::Result<ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// The executable `name` next to this one: they are built and shipped together.
pub(crate) fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where auralink is installed")?;
    let path = own.parent().unwrap_or(Path::new("/")).join(name);
    if !path.is_file() {
        bail!("{} is missing; build it with: cargo build -p {name}", path.display());
    }
    Ok(path)
}
