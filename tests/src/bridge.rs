//! A foreign client as a child process: requests and replies are JSON lines on its standard input and output.
//!
//! Requests may overlap. What the child writes to standard error goes to a log file; its end is printed when a
//! test fails.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use aura_local::{Launch, tail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a request may take when the test does not say.
pub const LIMIT: Duration = Duration::from_secs(30);
const START: Duration = Duration::from_secs(60);

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Value, String>>>>>;

/// The child and the requests it has not answered.
pub struct Bridge {
    name: &'static str,
    log: PathBuf,
    input: tokio::sync::Mutex<ChildStdin>,
    pending: Pending,
    next: AtomicU64,
    child: Mutex<Child>,
    _reader: JoinSet<()>,
}

impl Bridge {
    /// Starts `program` and waits for its first line, the reply with id 0.
    pub async fn start(
        name: &'static str,
        program: &Path,
        args: &[&Path],
        env: &[(&str, &str)],
        log: PathBuf,
    ) -> anyhow::Result<Self> {
        let launch = Launch::new(name, program)
            .args(args.iter().map(|arg| arg.display().to_string()))
            .envs(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let errors = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = launch.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{name} has no pipes");
        };
        let pending = Pending::default();
        let (ready, is_ready) = oneshot::channel();
        insert(&pending, 0, ready);
        let mut reader = JoinSet::new();
        reader.spawn(read(output, Arc::clone(&pending)));
        let bridge = Self {
            name,
            log,
            input: tokio::sync::Mutex::new(input),
            pending,
            next: AtomicU64::new(1),
            child: Mutex::new(child),
            _reader: reader,
        };
        match timeout(START, is_ready).await {
            Ok(Ok(Ok(_))) => Ok(bridge),
            _ => bail!("{name} does not start:\n{}", tail(&bridge.log, 40)),
        }
    }

    /// Asks, and waits for the reply.
    pub async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.call_within(LIMIT, method, params).await
    }

    /// Asks, and waits that long for the reply.
    pub async fn call_within(&self, limit: Duration, method: &str, params: Value) -> anyhow::Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, reply) = oneshot::channel();
        insert(&self.pending, id, sender);
        let line = format!("{}\n", json!({ "id": id, "method": method, "params": params }));
        self.input.lock().await.write_all(line.as_bytes()).await.map_err(|_| self.gone(method))?;
        match timeout(limit, reply).await {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(message))) => Err(anyhow!(message).context(format!("{}: {method}", self.name))),
            Ok(Err(_)) => Err(self.gone(method)),
            Err(_) => bail!("{}: {method} took longer than {limit:?}", self.name),
        }
    }

    fn gone(&self, method: &str) -> anyhow::Error {
        anyhow!("{} ended before it answered {method}:\n{}", self.name, tail(&self.log, 40))
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- {} said last:\n{}", self.name, tail(&self.log, 120));
        }
        if let Ok(mut child) = self.child.lock() {
            // It may have ended by itself; then there is nothing to kill.
            let _ = child.start_kill();
        }
    }
}

fn insert(pending: &Pending, id: u64, sender: oneshot::Sender<Result<Value, String>>) {
    pending.lock().expect("no holder panics").insert(id, sender);
}

/// Hands every reply to its request until the child closes its output; then all that still wait learn it.
async fn read(output: ChildStdout, pending: Pending) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(mut message) = serde_json::from_str::<Value>(&line) else { continue };
        let Some(id) = message["id"].as_u64() else { continue };
        let Some(waiting) = pending.lock().expect("no holder panics").remove(&id) else { continue };
        let result = match message.get("error") {
            Some(error) => Err(error.as_str().map_or_else(|| error.to_string(), str::to_owned)),
            None => Ok(message["result"].take()),
        };
        // The test may have stopped waiting.
        let _ = waiting.send(result);
    }
    pending.lock().expect("no holder panics").clear();
}
