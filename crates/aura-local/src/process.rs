//! One child process with a log file: started in its own process group, stopped by a signal, then by force.
//! It never outlives the thread that started it (`setpriv --pdeathsig`), so start what is shared from a lasting one.

use std::fs::{self, File, OpenOptions};
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

/// A program about to be started.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    account: Option<Account>,
    drop_signal: Signal,
}

impl Launch {
    /// `name` is for error reports.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            account: None,
            drop_signal: Signal::SIGKILL,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds to the environment the child inherits.
    #[must_use]
    pub fn envs<N: Into<String>, V: Into<String>>(mut self, env: impl IntoIterator<Item = (N, V)>) -> Self {
        self.env.extend(env.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// What the child gets when its `Process` is dropped and when the thread that started it ends, however that
    /// happens. SIGKILL unless set.
    #[must_use]
    pub fn on_drop(mut self, signal: Signal) -> Self {
        self.drop_signal = signal;
        self
    }

    pub(crate) fn account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    /// Starts it with its output appended to the file `log`.
    pub fn spawn(self, log: impl Into<PathBuf>) -> Result<Process, LocalError> {
        let log = log.into();
        let out = OpenOptions::new().create(true).append(true).open(&log).map_err(LocalError::file(&log))?;
        let err = out.try_clone().map_err(LocalError::file(&log))?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child =
            command.spawn().map_err(|source| LocalError::Run { program: self.name.clone(), source })?;
        Ok(Process { name: self.name, log, child, drop_signal: self.drop_signal })
    }

    /// The command alone, for who wants its own pipes: own process group, same end as its parent.
    pub fn command(&self) -> Command {
        let mut command = match find_program("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.arg("--pdeathsig").arg(&self.drop_signal.as_str()[3..]).arg("--").arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value))).current_dir("/");
        // Its own group: Ctrl-C in the terminal must reach the owner, which then stops servers last.
        command.process_group(0);
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }
}

/// A running child process; gets its `on_drop` signal when this value goes.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
    drop_signal: Signal,
}

impl Process {
    /// Process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// Polls `is_ready` until it holds, the process ends, or `limit` passes.
    pub async fn ready<F>(&mut self, limit: Duration, is_ready: impl Fn() -> F) -> Result<(), LocalError>
    where
        F: Future<Output = bool>,
    {
        let program = self.name.clone();
        let watch = async {
            loop {
                if is_ready().await {
                    return Ok(());
                }
                if self.has_ended() {
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
    pub async fn stop(&mut self, signal: Signal) {
        self.signal(signal);
        if timeout(STOP, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// SIGKILL, as a crash would.
    pub async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        let _: Result<ExitStatus, _> = self.child.wait().await;
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.child.id() {
            send_signal(id, signal);
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

/// Sends a signal; a process that has ended meanwhile needs none.
pub fn send_signal(id: u32, signal: Signal) {
    if let Ok(id) = i32::try_from(id) {
        let _ = kill(Pid::from_raw(id), signal);
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
