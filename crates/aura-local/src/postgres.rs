//! A private PostgreSQL: `initdb` on first use, then `postgres` on loopback with password login only.
//!
//! PostgreSQL refuses to run as root, so root runs it under the account `postgres`; if that account cannot
//! reach the folder (a home directory is often closed), the data live in /var/lib/auralink and a link
//! `data` in the folder points there.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User, chown, mkdtemp};
use tokio::time::sleep;

use crate::process::{Account, Launch, Process, create_folder, run, tail, write_private};
use crate::{LocalError, find_program, free_port};

const READY: Duration = Duration::from_secs(60);
const SUPERUSER: &str = "postgres";
const FAR_FROM_HOME: &str = "/var/lib/auralink";

/// How a private PostgreSQL is to run.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Folder for data and log; created when absent, reused when it already holds a cluster.
    pub dir: PathBuf,
    /// Loopback port; a free one when `None`.
    pub port: Option<u16>,
    /// Password of the superuser `postgres`, URL-safe; fixed when the cluster is created.
    pub password: String,
    /// Whether data must survive a power cut. Without it commits are not flushed to disk, but a killed
    /// server still loses nothing.
    pub durable: bool,
    /// Folder of `postgres` and `initdb`, which the account `postgres` must be able to read; this machine's newest
    /// when `None`.
    pub programs: Option<PathBuf>,
}

/// A running private PostgreSQL; ends with this value.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    options: PostgresOptions,
}

impl Postgres {
    /// Creates the cluster if there is none, starts the server and waits until it accepts connections.
    pub async fn start(options: PostgresOptions) -> Result<Self, LocalError> {
        let server = server_program(&options, "postgres")?;
        create_folder(&options.dir)?;
        let account = unprivileged_account()?;
        let data = data_folder(&options.dir, account)?;
        if !data.join("PG_VERSION").exists() {
            create_cluster(&options, &data, account).await?;
        }
        let port = options.port.unwrap_or_else(free_port);
        let mut settings = vec![
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "dynamic_shared_memory_type=mmap".to_owned(),
            "shared_buffers=32MB".to_owned(),
            "max_connections=200".to_owned(),
        ];
        if !options.durable {
            settings.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
        }
        let mut args = vec!["-D".to_owned(), data.display().to_string()];
        args.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let process = launch(&server, &args, account, &options, port).await?;
        Ok(Self { process, port, options })
    }

    /// The loopback port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id of the postmaster, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Connection URL of the superuser for `database`.
    pub fn url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, &self.options.password, database)
    }

    /// Connection URL of another role; user and password must be URL-safe.
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&log_path(&self.options.dir), lines)
    }

    /// Kills the server as a crash would (SIGKILL); `restart` brings it back with its data.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again on the same port and data, killing it first if it still runs.
    pub async fn restart(&mut self) -> Result<(), LocalError> {
        self.process.kill().await;
        let options = PostgresOptions { port: Some(self.port), ..self.options.clone() };
        let fresh = Self::start(options).await?;
        self.process = fresh.process;
        Ok(())
    }

    /// Fast shutdown: open sessions are ended, everything committed is kept.
    pub async fn stop(mut self) {
        self.process.stop(Signal::SIGINT).await;
    }
}

/// After a crash the old backends hold the cluster for a moment, and the new server refuses to start; hence tries.
async fn launch(
    server: &Path,
    args: &[String],
    account: Option<Account>,
    options: &PostgresOptions,
    port: u16,
) -> Result<Process, LocalError> {
    let is_ready = program("pg_isready")?;
    let probe = ["-q", "-h", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned);
    let mut tries = 20;
    loop {
        // SIGQUIT is "immediate shutdown": unlike SIGKILL it removes shared memory.
        let log = log_path(&options.dir);
        let mut process = Launch::new("postgres", server)
            .args(args.to_vec())
            .account(account)
            .on_drop(Signal::SIGQUIT)
            .spawn(log)?;
        let outcome =
            process.ready(READY, || async { run("pg_isready", &is_ready, &probe, None).await.is_ok() }).await;
        match outcome {
            Ok(()) => return Ok(process),
            Err(LocalError::Failed { log, .. }) if tries > 0 && log.contains("still in use") => {
                tries -= 1;
                sleep(Duration::from_millis(250)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn create_cluster(
    options: &PostgresOptions,
    data: &Path,
    account: Option<Account>,
) -> Result<(), LocalError> {
    let initdb = server_program(options, "initdb")?;
    // In the data folder's parent: the account that runs initdb can read it there.
    let password_file = data.with_extension("password");
    write_private(&password_file, &options.password)?;
    give(&password_file, account)?;
    let mut args =
        vec![format!("--pgdata={}", data.display()), format!("--pwfile={}", password_file.display())];
    args.extend(
        ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"].map(str::to_owned),
    );
    if !options.durable {
        args.push("--no-sync".to_owned());
    }
    let outcome = run("initdb", &initdb, &args, account).await;
    fs::remove_file(&password_file).map_err(LocalError::file(&password_file))?;
    outcome
}

fn program(name: &'static str) -> Result<PathBuf, LocalError> {
    find_program(name).ok_or(LocalError::Missing { program: name, package: "postgresql" })
}

fn server_program(options: &PostgresOptions, name: &'static str) -> Result<PathBuf, LocalError> {
    options.programs.as_ref().map_or_else(|| program(name), |folder| Ok(folder.join(name)))
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("postgres.log")
}

fn unprivileged_account() -> Result<Option<Account>, LocalError> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres").ok().flatten().ok_or(LocalError::NoPostgresUser)?;
    Ok(Some(Account { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
}

/// The cluster's folder: `dir/data`, or, where the account cannot reach that, a folder it links to.
fn data_folder(dir: &Path, account: Option<Account>) -> Result<PathBuf, LocalError> {
    let dir = fs::canonicalize(dir).map_err(LocalError::file(dir))?;
    let data = dir.join("data");
    if data.exists() {
        return fs::canonicalize(&data).map_err(LocalError::file(&data));
    }
    let Some(account) = account else {
        create_folder(&data)?;
        return Ok(data);
    };
    if is_reachable(&dir, account) {
        create_folder(&data)?;
        give(&data, Some(account))?;
        return Ok(data);
    }
    let far = PathBuf::from(FAR_FROM_HOME);
    create_folder(&far)?;
    let parent = mkdtemp(&far.join("postgres-XXXXXX"))
        .map_err(|errno| LocalError::File { path: far, source: errno.into() })?;
    give(&parent, Some(account))?;
    let home = parent.join("data");
    create_folder(&home)?;
    give(&home, Some(account))?;
    // A link whose target is gone is replaced.
    if data.is_symlink() {
        fs::remove_file(&data).map_err(LocalError::file(&data))?;
    }
    symlink(&home, &data).map_err(LocalError::file(&data))?;
    Ok(home)
}

fn is_reachable(dir: &Path, account: Account) -> bool {
    dir.ancestors().all(|folder| {
        fs::metadata(folder).is_ok_and(|meta| {
            let bit = if meta.uid() == account.uid { 0o100 } else { 0o001 };
            meta.mode() & bit != 0
        })
    })
}

fn give(path: &Path, account: Option<Account>) -> Result<(), LocalError> {
    let Some(account) = account else { return Ok(()) };
    chown(path, Some(account.uid.into()), Some(account.gid.into()))
        .map_err(|errno| LocalError::File { path: path.to_owned(), source: errno.into() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_closed_home_is_not_reachable_for_another_account() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("project");
        fs::create_dir(&inner).unwrap();
        let stranger = Account { uid: 54_321, gid: 54_321 };
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(is_reachable(&inner, stranger));
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!is_reachable(&inner, stranger));
    }
}
