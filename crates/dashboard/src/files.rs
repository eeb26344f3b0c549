//! Bytes of uploaded files: streamed to disk under generated names, hashed and sniffed on the way.
//!
//! A file becomes visible by its row. Bytes without a row (a crash between the two) are swept; a row whose bytes
//! are missing is a fault and reported as one.

mod receive;
mod slots;
mod sweep;

pub(crate) use receive::{Received, UploadError};
pub(crate) use slots::{Busy, Slot};

use crate::engine::quota::Quotas;
use aura_types::UserId;
use serde::{Deserialize, Serialize};
use slots::Slots;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// Where files lie, how large one may be, and all of somebody's, and how many may be on their way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    pub dir: PathBuf,
    pub max_bytes: u64,
    pub user_bytes: u64,
    pub room_bytes: u64,
    pub uploads_per_user: usize,
    pub uploads_per_owner: usize,
}

#[derive(Clone)]
pub(crate) struct FileStore {
    config: Arc<FileConfig>,
    turns: Arc<Semaphore>,
    slots: Slots,
}

impl FileStore {
    /// Makes sure the folders exist and can be written.
    pub(crate) async fn open(config: FileConfig) -> io::Result<Self> {
        let store = Self::new(config);
        tokio::fs::create_dir_all(store.incoming_dir()).await?;
        sync_dir(store.dir()).await?;
        Ok(store)
    }

    fn new(config: FileConfig) -> Self {
        let slots = Slots::new(config.uploads_per_user, config.uploads_per_owner);
        Self { config: Arc::new(config), turns: Arc::new(Semaphore::new(1)), slots }
    }

    pub(crate) fn quotas(&self) -> Quotas {
        Quotas { user_bytes: self.config.user_bytes, room_bytes: self.config.room_bytes }
    }

    /// A place among the uploads that run at the same time.
    pub(crate) fn slot(&self, sender: UserId, owner: UserId) -> Result<Slot, Busy> {
        self.slots.take(sender, owner)
    }

    /// One upload at a time is counted and entered. Waiting here holds no connection to the database, of which logins
    /// need some too.
    pub(crate) async fn turn(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.turns).acquire_owned().await.expect("the semaphore is never closed")
    }

    pub(crate) async fn read(&self, key: &str) -> io::Result<tokio::fs::File> {
        tokio::fs::File::open(self.path(key)?).await
    }

    /// Removes bytes whose row is gone; what cannot be removed now is swept later.
    pub(crate) async fn remove(&self, keys: &[String]) {
        for key in keys {
            let removed = match self.path(key) {
                Ok(path) => tokio::fs::remove_file(path).await,
                Err(error) => Err(error),
            };
            if let Err(error) = removed
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, key, "a deleted file's bytes are left for the sweep");
            }
        }
    }

    /// `ab/ab12…`: two levels keep folders small. Keys are ours, yet checked: nothing else becomes a path.
    fn path(&self, key: &str) -> io::Result<PathBuf> {
        if key.len() != 32 || !key.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a storage key"));
        }
        Ok(self.config.dir.join(&key[..2]).join(key))
    }

    fn incoming_dir(&self) -> PathBuf {
        self.config.dir.join("incoming")
    }

    fn dir(&self) -> &Path {
        &self.config.dir
    }

    fn max_bytes(&self) -> u64 {
        self.config.max_bytes
    }
}

/// What a folder lists is on disk once the folder is: a file's own bytes are not enough.
async fn sync_dir(dir: &Path) -> io::Result<()> {
    tokio::fs::File::open(dir).await?.sync_all().await
}

fn new_key() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_become_paths() {
        let store = FileStore::new(FileConfig {
            dir: "/data".into(),
            max_bytes: 1,
            user_bytes: 0,
            room_bytes: 0,
            uploads_per_user: 1,
            uploads_per_owner: 1,
        });
        for bad in ["../../../../../../../../../etc/passwd", "", "ab", "g0000000000000000000000000000000"] {
            assert!(store.path(bad).is_err(), "{bad}");
        }
        let key = new_key();
        assert_eq!(store.path(&key).unwrap(), Path::new("/data").join(&key[..2]).join(&key));
    }
}
