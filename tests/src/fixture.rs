//! Where the tests find their scripts, tools and folders.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, bail};
use aura_local::find_program;
use tokio::sync::{Mutex, MutexGuard};

/// A file of the folder tests/.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A fresh log file of this test process, kept for reading after a failure.
pub fn log(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = env::temp_dir().join(format!("auralink-tests-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    folder.join(format!("{name}-{}.log", NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Node, with the scripts' packages installed.
pub fn node() -> anyhow::Result<PathBuf> {
    for project in ["browser", "interop/node"] {
        if !path(project).join("node_modules").is_dir() {
            bail!("tests/{project} has no node_modules; run: make setup");
        }
    }
    find_program("node").context("node is not installed; run: make setup")
}

/// Python with the LiveKit client.
pub fn python() -> anyhow::Result<PathBuf> {
    let home = env::var_os("AURALINK_VENV").map_or_else(|| path("interop/python/.venv"), PathBuf::from);
    let python = home.join("bin/python");
    if !python.is_file() {
        bail!("{} is missing; run: make setup (or set AURALINK_VENV)", python.display());
    }
    Ok(python)
}

/// A program of this workspace, from the folder the running one was built into.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let own = env::current_exe().context("a program knows its own path")?;
    // Tests are in target/PROFILE/deps, programs in target/PROFILE.
    let folder =
        own.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).context("it is in a folder")?;
    let binary = folder.join(name);
    if !binary.is_file() {
        bail!("{} is missing; run: cargo build --workspace --bins", binary.display());
    }
    Ok(binary)
}

/// Turns for tests that keep a core busy: two encoders at once would measure each other. Hold it to the end.
pub async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}
