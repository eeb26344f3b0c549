//! One child process with a log file: started in its own process group, stopped by a signal, then by force.

use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::{LocalError, find_program};

const POLL: Duration = Duration::from_millis(30);
const STOP: Duration = Duration::from_secs(15);

/// The account a child runs under, when it is not ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    log: PathBuf,
    child: Child,
    /// Sent on drop: must end the server at once and still let it release what the kernel would keep.
    drop_signal: Signal,
}

impl Process {
    /// Starts `command` with its output appended to `log`. If our process dies, the child gets `drop_signal`.
    pub(crate) fn spawn(
        name: &'static str,
        program: &Path,
        args: &[String],
        account: Option<Account>,
        log: PathBuf,
        drop_signal: Signal,
    ) -> Result<Self, LocalError> {
        let out = OpenOptions::new().create(true).append(true).open(&log).map_err(LocalError::file(&log))?;
        let err = out.try_clone().map_err(LocalError::file(&log))?;
        let mut command = match find_program("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.arg("--pdeathsig").arg(&drop_signal.as_str()[3..]).arg("--").arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(args).current_dir("/").stdin(Stdio::null()).stdout(out).stderr(err);
        // Its own group: Ctrl-C in the terminal must reach the owner, which then stops servers last.
        command.process_group(0);
        if let Some(account) = account {
            command.uid(account.uid).gid(account.gid);
        }
        let child = command.spawn().map_err(|source| LocalError::Run { program: name.to_owned(), source })?;
        Ok(Self { name, log, child, drop_signal })
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Polls `is_ready` until it holds, the process ends, or `limit` passes.
    pub(crate) async fn ready<F>(
        &mut self,
        limit: Duration,
        is_ready: impl Fn() -> F,
    ) -> Result<(), LocalError>
    where
        F: Future<Output = bool>,
    {
        let program = self.name.to_owned();
        let watch = async {
            loop {
                if is_ready().await {
                    return Ok(());
                }
                if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                    return Err(LocalError::Failed { program: program.clone(), log: tail(&self.log, 15) });
                }
                sleep(POLL).await;
            }
        };
        match timeout(limit, watch).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Err(LocalError::NotReady { program, seconds: limit.as_secs(), log: tail(&self.log, 15) })
            }
        }
    }

    /// Asks with `signal`, waits, and kills what has not ended by then.
    pub(crate) async fn stop(&mut self, signal: Signal) {
        self.signal(signal);
        if timeout(STOP, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// SIGKILL, as a crash would.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        let _: Result<ExitStatus, _> = self.child.wait().await;
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // It may have ended by itself meanwhile; then there is nothing to signal.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(self.drop_signal);
        }
    }
}

/// Runs a program to its end; its output becomes the error when it fails.
pub(crate) async fn run(
    name: &'static str,
    program: &Path,
    args: &[String],
    account: Option<Account>,
) -> Result<(), LocalError> {
    let mut command = Command::new(program);
    command.args(args).current_dir("/").stdin(Stdio::null());
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    let output =
        command.output().await.map_err(|source| LocalError::Run { program: name.to_owned(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let log =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(LocalError::Failed { program: name.to_owned(), log })
}

/// The last `lines` lines of a log file, for error reports; empty when it cannot be read.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Creates `path` and its parents; readable by others only where a foreign account must pass through.
pub(crate) fn create_folder(path: &Path) -> Result<(), LocalError> {
    fs::create_dir_all(path).map_err(LocalError::file(path))
}

/// Writes a file only the owner can read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), LocalError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let open = |path: &Path| -> std::io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
    };
    open(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(LocalError::file(path))
}
