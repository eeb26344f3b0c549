//! A whole process: arguments, signals, exit codes. The test binary runs itself as the service.

use std::process::Stdio;
use std::time::Duration;

use aura_service::config::{
    Environment, Faults, LogConfig, Secret, ServiceConfig, ShutdownConfig, TelemetryConfig,
};
use aura_service::{Lifecycle, Service, process};
use aura_testkit::{Launch, Signal};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Child;
use tokio::time::timeout;

use crate::SECRET;

const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    env: Environment,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    telemetry: TelemetryConfig,
    #[serde(default)]
    shutdown: ShutdownConfig,
    secret: Secret,
    /// What the sample service does.
    behave: String,
}

impl ServiceConfig for Config {
    fn environment(&self) -> Environment {
        self.env
    }
    fn log(&self) -> &LogConfig {
        &self.log
    }
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }
    fn check(&self, faults: &mut Faults) {
        faults.secret("secret", &self.secret, self.env);
    }
}

fn bug() {
    panic!("a bug");
}

async fn run(config: Config, lifecycle: Lifecycle) -> Result<(), String> {
    let (soft, hard) = (lifecycle.soft(), lifecycle.hard());
    match config.behave.as_str() {
        "refuse" => return Err("no database".to_owned()),
        "crash" => drop(lifecycle.spawn_critical("worker", async { Err("broke") })),
        "panic" => drop(lifecycle.spawn_critical("worker", async {
            bug();
            Ok::<_, String>(())
        })),
        "stubborn" => drop(lifecycle.spawn("worker", async move { hard.cancelled().await })),
        _ => drop(lifecycle.spawn("worker", async move { soft.cancelled().await })),
    }
    Ok(())
}

/// Not a test of its own: the service the tests below start. Without the variable it does nothing.
#[test]
fn sample_service() {
    let Ok(args) = std::env::var("SAMPLE_SERVICE_ARGS") else { return };
    let service = Service {
        name: "sample",
        version: "1.2.3",
        env_prefix: "AURA_SAMPLE",
        defaults: "env = \"production\"\nbehave = \"well\"\n",
    };
    let args = std::iter::once("sample").chain(args.split_whitespace()).map(Into::into);
    std::process::exit(process::main_with_args(service, args, run).into());
}

fn start(args: &str, env: &[(&str, &str)]) -> Child {
    Launch::new("sample", std::env::current_exe().unwrap())
        .args(["--exact", "process::sample_service", "--nocapture"])
        .envs([("SAMPLE_SERVICE_ARGS", args)])
        .envs(env.iter().copied())
        .command()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Reads log lines until one says `message`.
async fn until(lines: &mut (impl tokio::io::AsyncBufRead + Unpin), message: &str) -> Value {
    let read = async {
        loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).await.unwrap(), 0, "ended before {message:?}");
            if let Ok(json) = serde_json::from_str::<Value>(&line)
                && json["message"] == message
            {
                return json;
            }
        }
    };
    timeout(LIMIT, read).await.unwrap_or_else(|_| panic!("{message:?} was not logged"))
}

async fn code(child: &mut Child) -> i32 {
    timeout(LIMIT, child.wait()).await.expect("the process ends").unwrap().code().expect("not by a signal")
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id().expect("still running")).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

#[tokio::test]
async fn a_signal_ends_it_in_order() {
    for stop in [Signal::SIGTERM, Signal::SIGINT] {
        let mut child = start("", &[("AURA_SAMPLE__SECRET", SECRET)]);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        until(&mut lines, "started").await;
        signal(&child, stop);
        assert_eq!(until(&mut lines, "shutting down").await["reason"], stop.as_str());
        assert_eq!(until(&mut lines, "stopped").await["code"], 0);
        assert_eq!(code(&mut child).await, 0);
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_grace_period() {
    let mut child = start("", &[("AURA_SAMPLE__SECRET", SECRET), ("AURA_SAMPLE__BEHAVE", "stubborn")]);
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    until(&mut lines, "started").await;
    signal(&child, Signal::SIGTERM);
    until(&mut lines, "shutting down").await;
    signal(&child, Signal::SIGTERM);
    until(&mut lines, "second signal: ending the grace period").await;
    // The worker heeds the hard token, so nothing is dropped.
    assert_eq!(code(&mut child).await, 0);
}

#[tokio::test]
async fn what_it_cannot_do_without_ends_it_with_code_1() {
    for (behave, reason) in
        [("refuse", "no database"), ("crash", "worker failed: broke"), ("panic", "worker panicked")]
    {
        let mut child = start("", &[("AURA_SAMPLE__SECRET", SECRET), ("AURA_SAMPLE__BEHAVE", behave)]);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        assert_eq!(until(&mut lines, "cannot go on").await["reason"], reason);
        assert_eq!(code(&mut child).await, 1, "{behave}");
    }
}

#[tokio::test]
async fn configuration_is_checked_before_anything_starts() {
    let mut child = start("", &[("AURA_SAMPLE__SECRET", "short"), ("AURA_SAMPLE__TYPO", "1")]);
    assert_eq!(code(&mut child).await, 2);
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).await.unwrap();
    assert!(errors.contains("typo") && errors.contains("secret: is shorter"), "{errors}");

    let mut child = start("--check-config", &[("AURA_SAMPLE__SECRET", SECRET)]);
    assert_eq!(code(&mut child).await, 0);
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).await.unwrap();
    assert!(printed.contains("[redacted]") && !printed.contains(SECRET), "{printed}");
}
