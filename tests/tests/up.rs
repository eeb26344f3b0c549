//! `auralink up`: from nothing to a working stack, through a crash of one service, to an orderly end.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use aura_local::{Launch, Signal, find_program, free_ports, send_signal};
use auralink_tests::rest::Api;
use auralink_tests::{Outcome, fixture, wait};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const START: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(40);

struct Up {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
    url: String,
}

/// As many as `Up::start` names, the last of them once for every core.
fn ports() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    free_ports(9 + u16::try_from(cores.min(50)).unwrap_or(50))
}

impl Up {
    fn start(data: &Path, ports: u16) -> anyhow::Result<Self> {
        let options = [
            "--http-port",
            "--sfu-port",
            "--ice-tcp-port",
            "--sfu-grpc-port",
            "--dashboard-grpc-port",
            "--sfu-admin-port",
            "--dashboard-admin-port",
            "--aic-grpc-port",
            "--aic-admin-port",
            "--ice-udp-port",
        ];
        let numbers = (ports..).map(|port| port.to_string());
        let args =
            options.into_iter().map(str::to_owned).zip(numbers).flat_map(|(option, port)| [option, port]);
        let launch = Launch::new("auralink", fixture::binary("auralink")?)
            .args(["up".to_owned(), "--data-dir".to_owned(), data.display().to_string()])
            .args(args);
        let mut command = launch.command();
        for name in ["DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "LIVEKIT_KEYS"] {
            command.env_remove(name);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output = child.stdout.take().context("the output is piped")?;
        let lines = BufReader::new(output).lines();
        Ok(Self { child, lines, said: Vec::new(), url: format!("http://127.0.0.1:{ports}") })
    }

    /// Reads on until a line holds `text`, and answers that line.
    async fn says(&mut self, text: &str) -> String {
        let found = timeout(START, async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                self.said.push(line.clone());
                if line.contains(text) {
                    return Some(line);
                }
            }
            None
        })
        .await;
        match found {
            Ok(Some(line)) => line,
            _ => panic!("never said {text:?}:\n{}", self.said.join("\n")),
        }
    }

    /// Address of the private PostgreSQL.
    async fn database(&mut self) -> String {
        let line = self.says("PostgreSQL listens on").await;
        line.rsplit(' ').next().unwrap_or_default().to_owned()
    }

    async fn stop(mut self) -> anyhow::Result<(std::process::ExitStatus, String)> {
        let id = self.child.id().context("it still runs")?;
        send_signal(id, Signal::SIGTERM);
        let reading = async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                self.said.push(line);
            }
        };
        timeout(STOP, reading).await.context("it does not stop")?;
        Ok((self.child.wait().await?, self.said.join("\n")))
    }
}

const SERVICE_ROLES: [&str; 4] = ["dashboard_app", "dashboard_system", "aic_app", "aic_system"];

/// Makes the stack look like one of an older version, whose services shared a login and a password.
async fn age(folder: &Path, database: &str) -> anyhow::Result<()> {
    let file = folder.join("secrets.toml");
    let secrets = std::fs::read_to_string(&file)?;
    let superuser = secrets
        .lines()
        .find_map(|line| line.strip_prefix("postgres_password = \"")?.strip_suffix('"'))
        .context("the stack keeps the superuser's password")?;
    let make =
        format!("create role auralink login password 'old'; grant {} to auralink", SERVICE_ROLES.join(", "));
    psql(&format!("postgres://postgres:{superuser}@{database}/auralink"), &make).await?;
    let shared = format!("postgres://auralink:old@{database}/auralink");
    for role in SERVICE_ROLES {
        assert_eq!(psql(&shared, &format!("set role {role}")).await?, "SET\n");
    }
    let mut old: Vec<&str> = secrets.lines().filter(|line| !line.contains("_database_password")).collect();
    old.push("database_password = \"old\"");
    Ok(std::fs::write(file, old.join("\n") + "\n")?)
}

/// What psql prints, errors included.
async fn psql(url: &str, sql: &str) -> anyhow::Result<String> {
    let psql = find_program("psql").context("psql is not installed; run: make setup")?;
    let output = Command::new(psql).args(["-X", "-c", sql, url]).output().await?;
    let texts = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    Ok(texts.concat())
}

async fn log_in(url: &str, email: &str, password: &str) -> anyhow::Result<StatusCode> {
    let body = json!({ "email": email, "password": password });
    Ok(Api::new(url).send(Method::POST, "/auth/login", None, Some(&body)).await?.0)
}

/// SIGKILL for the child of `parent` that runs `executable`.
fn kill_child(parent: u32, executable: &Path) -> anyhow::Result<()> {
    // A child belongs to the thread that started it.
    for task in std::fs::read_dir(format!("/proc/{parent}/task"))? {
        let children = std::fs::read_to_string(task?.path().join("children"))?;
        for pid in children.split_whitespace() {
            if std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == executable) {
                send_signal(pid.parse()?, Signal::SIGKILL);
                return Ok(());
            }
        }
    }
    anyhow::bail!("{parent} has no child that runs {}", executable.display())
}

/// The command lines of running processes that name `text`.
fn left_over(text: &str) -> anyhow::Result<Vec<String>> {
    let lines = std::fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    Ok(lines.filter(|line| line.contains(text)).collect())
}

#[tokio::test]
async fn up_serves_survives_a_crash_and_stops() -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let _turn = fixture::turn().await;
    let folder = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o755))
        .prefix("aura-up-")
        .tempdir()?;
    let chosen = ports();

    let mut up = Up::start(folder.path(), chosen)?;
    let database = up.database().await;
    up.says("AuraLink is ready").await;
    let account = up.says("account:").await;
    let mut words = account.split_whitespace().skip_while(|word| *word != "account:").skip(1);
    let email = words.next().context("the account line names an address")?.to_owned();
    let password = words.nth(1).context("the account line names a password")?.to_owned();
    assert_eq!(log_in(&up.url, &email, &password).await?, StatusCode::OK);
    assert_eq!(log_in(&up.url, &email, "something else").await?, StatusCode::UNAUTHORIZED);
    let page = reqwest::get(&up.url).await?;
    assert!(page.status().is_success() && page.text().await?.contains("<!doctype html>"), "no web app");

    let mut second = Up::start(folder.path(), ports())?;
    let refused = timeout(START, second.child.wait()).await??;
    assert!(!refused.success(), "two stacks in one folder");

    kill_child(up.child.id().context("it runs")?, &fixture::binary("dashboard")?)?;
    up.says("dashboard ended").await;
    wait::until("the dashboard is back", START, || async {
        match log_in(&up.url, &email, &password).await {
            Ok(StatusCode::OK) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    age(folder.path(), &database).await?;
    let url = up.url.clone();
    let (status, said) = up.stop().await?;
    assert!(status.success(), "{status}:\n{said}");
    assert!(!said.contains("is killed"), "a service did not stop by itself:\n{said}");
    let folder_name = folder.path().display().to_string();
    wait::until("nothing is left over", STOP, || async {
        match left_over(&folder_name) {
            Ok(processes) if processes.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(reqwest::get(&url).await.is_err(), "something still answers");

    let mut again = Up::start(folder.path(), chosen)?;
    let database = again.database().await;
    again.says("AuraLink is ready").await;
    let account = again.says("account:").await;
    assert!(account.contains(&password), "the accounts changed: {account}");
    assert_eq!(log_in(&url, &email, &password).await?, StatusCode::OK);
    let shared = format!("postgres://auralink:old@{database}/auralink");
    for role in SERVICE_ROLES {
        let refused = psql(&shared, &format!("set role {role}")).await?;
        assert!(refused.contains("permission denied"), "{role}: {refused}");
    }
    again.stop().await?;
    Ok(())
}
