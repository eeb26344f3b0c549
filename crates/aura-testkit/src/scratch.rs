//! Folders that go away: with their value, or, for servers that live as long as the process, at the next
//! test run, recognised by the id of a process that is no more.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A new folder, removed on drop.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A folder whose name starts with `what`. Also removes what dead test processes left.
    #[must_use]
    pub fn new(what: &str) -> Self {
        let root = root();
        fs::create_dir_all(&root).expect("the temporary folder can be written");
        sweep(&root);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = root.join(format!("{}-{number}-{what}", std::process::id()));
        fs::create_dir(&path).expect("the name is new: it has our process id and a number");
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn root() -> PathBuf {
    std::env::temp_dir().join("auralink-test")
}

fn sweep(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner =
            name.to_str().and_then(|name| name.split('-').next()).and_then(|pid| pid.parse::<i32>().ok());
        if owner.is_some_and(|pid| kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_process_leaves_nothing() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        let left = root().join(format!("{dead}-0-test"));
        fs::create_dir_all(&left).unwrap();
        let ours = Scratch::new("x");
        assert!(!left.exists());
        assert!(ours.path().exists());
        let path = ours.path().to_owned();
        drop(ours);
        assert!(!path.exists());
    }
}
