//! One service under test: started from this build, killed and brought back at will.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use aura_local::{Launch, Process, Signal};
use reqwest::Client;

use crate::fixture;

const READY: Duration = Duration::from_secs(60);

pub(crate) struct Service {
    name: &'static str,
    launch: Launch,
    ready_url: String,
    log: PathBuf,
    process: Process,
}

impl Service {
    pub(crate) async fn start(
        name: &'static str,
        env: Vec<(&'static str, String)>,
        ready_url: String,
    ) -> anyhow::Result<Self> {
        let launch = Launch::new(name, fixture::binary(name)?)
            .envs([("LOG_FORMAT", "text"), ("LOG_LEVEL", "info"), ("AURALINK_ENV", "production")])
            .envs(env);
        let log = fixture::log(name);
        let process = launch.clone().spawn(&log)?;
        let mut service = Self { name, launch, ready_url, log, process };
        service.wait_until_ready().await?;
        Ok(service)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        !self.process.has_ended()
    }

    /// SIGKILL, as a crash would.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again after `kill`, and waits until it is ready.
    pub(crate) async fn restart(&mut self) -> anyhow::Result<()> {
        self.process = self.launch.clone().spawn(&self.log)?;
        self.wait_until_ready().await
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn terminate(&mut self) {
        self.process.stop(Signal::SIGTERM).await;
    }

    pub(crate) fn log_tail(&self, lines: usize) -> String {
        self.process.log_tail(lines)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let client = Client::new();
        let ready_url = self.ready_url.clone();
        let answer = || async {
            let reply = client.get(&ready_url).timeout(Duration::from_secs(2)).send().await;
            reply.is_ok_and(|reply| reply.status().is_success())
        };
        self.process.ready(READY, answer).await.with_context(|| format!("{} does not start", self.name))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- {} said last ({}):\n{}", self.name, self.log.display(), self.log_tail(80));
        }
    }
}
