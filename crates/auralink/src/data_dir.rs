//! The folder a local stack lives in, and the lock that keeps two stacks out of it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

/// Where the local stack keeps its data and secrets.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataDir {
    /// Folder of the local stack: databases, uploaded files, secrets.
    #[arg(long = "data-dir", value_name = "PATH", env = "AURALINK_DATA_DIR", default_value = ".auralink")]
    path: PathBuf,
}

impl DataDir {
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the folder and takes it for this process; released when the returned file is closed.
    pub(crate) fn lock(&self) -> anyhow::Result<File> {
        fs::create_dir_all(&self.path).with_context(|| format!("cannot create {}", self.path.display()))?;
        let path = self.join("lock");
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                bail!("another `auralink up` already uses {}", self.path.display())
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}
