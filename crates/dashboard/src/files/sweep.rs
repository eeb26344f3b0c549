//! Removes bytes no row names: leftovers of crashes between disk and database.

use super::FileStore;
use crate::store;
use aura_service::error::Result;
use aura_service::error::ServiceError;
use aura_store::Database;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Younger files may belong to an upload in progress.
const MIN_AGE: Duration = Duration::from_secs(6 * 3600);
const BATCH: usize = 200;

impl FileStore {
    /// One pass over the folder; returns how many files were removed.
    pub(crate) async fn sweep(&self, db: &Database, now: SystemTime) -> Result<usize> {
        let dir = self.dir().to_owned();
        let old = tokio::task::spawn_blocking(move || old_files(dir, now))
            .await
            .map_err(ServiceError::internal)?
            .map_err(ServiceError::internal)?;
        let mut removed = 0;
        for batch in old.chunks(BATCH) {
            let keys: Vec<String> = batch.iter().map(|(key, _)| key.clone()).collect();
            let mut tx = db.system().await?;
            let known = store::files::known_keys(&mut tx, &keys).await?;
            tx.rollback().await?;
            for (_, path) in batch.iter().filter(|(key, _)| !known.contains(key)) {
                match tokio::fs::remove_file(path).await {
                    Ok(()) => removed += 1,
                    Err(error) => tracing::warn!(%error, path = %path.display(), "cannot sweep"),
                }
            }
        }
        Ok(removed)
    }
}

/// Files old enough to judge: (name, path).
fn old_files(dir: PathBuf, now: SystemTime) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(dir)? {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(folder.path())? {
            let file = file?;
            let age = file.metadata()?.modified()?;
            if now.duration_since(age).is_ok_and(|age| age >= MIN_AGE)
                && let Some(name) = file.file_name().to_str()
            {
                found.push((name.to_owned(), file.path()));
            }
        }
    }
    Ok(found)
}
