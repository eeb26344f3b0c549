//! The folder a local stack lives in, and the lock that keeps two stacks out of it.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt;
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

    /// Creates a folder inside that nobody else can enter, and answers its full path.
    pub(crate) fn private_folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = std::path::absolute(self.join(name)).context("the data folder has no path")?;
        create_folder(&path, 0o700)?;
        Ok(path)
    }

    /// Creates the folder and takes it for this process; released when the returned file is closed.
    pub(crate) fn lock(&self) -> anyhow::Result<File> {
        // PostgreSQL's account may have to pass through; only we list.
        create_folder(&self.path, 0o711)?;
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

fn create_folder(path: &Path, mode: u32) -> anyhow::Result<()> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .with_context(|| format!("cannot create {}", path.display()))
}
