//! Receiving one upload: chunk by chunk to a file in `incoming`, then moved to its place.
//!
//! Memory stays flat whatever the size. The caps, of one file and of what is left of a quota, count what arrives, not what
//! a header claims. Dropping the future (the client went away) removes the partial file.

use super::{FileStore, new_key, sync_dir};
use crate::engine::quota::{Full, Wanted};
use aura_types::{Coded, ErrorCode};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::PathBuf;
use tokio::io::AsyncWriteExt as _;

/// How much of the start is kept to tell the type.
const SNIFF_BYTES: usize = 8 * 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    #[error(transparent)]
    Full(#[from] Full),
    #[error("the upload broke off")]
    Broken(#[source] axum::extract::multipart::MultipartError),
    #[error("the file could not be stored")]
    Disk(#[from] io::Error),
}

impl Coded for UploadError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge(_) => ErrorCode::PayloadTooLarge,
            Self::Full(full) => full.code(),
            Self::Broken(error) if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE => {
                ErrorCode::PayloadTooLarge
            }
            Self::Broken(_) => ErrorCode::InvalidArgument,
            Self::Disk(_) => ErrorCode::Internal,
        }
    }

    fn safe_message(&self) -> String {
        self.to_string()
    }

    fn field(&self) -> Option<&str> {
        matches!(self.code(), ErrorCode::InvalidArgument | ErrorCode::FailedPrecondition).then_some("file")
    }
}

/// An upload in its place on disk, not yet known to anyone.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) storage_key: String,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) content_type: &'static str,
}

impl FileStore {
    /// Receives as long as what has come `fits`.
    pub(crate) async fn receive(
        &self,
        fits: impl Fn(Wanted) -> Result<(), Full>,
        mut chunks: impl Stream<Item = Result<Bytes, axum::extract::multipart::MultipartError>> + Unpin,
    ) -> Result<Received, UploadError> {
        let key = new_key();
        let partial = Partial(self.incoming_dir().join(&key));
        let mut file = tokio::fs::File::create_new(&partial.0).await?;
        let (mut size_bytes, mut hash, mut start) = (0u64, Sha256::new(), Vec::new());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(UploadError::Broken)?;
            size_bytes += chunk.len() as u64;
            if size_bytes > self.max_bytes() {
                return Err(UploadError::TooLarge(self.max_bytes()));
            }
            fits(Wanted::AtLeast(size_bytes))?;
            let wanted = (SNIFF_BYTES - start.len()).min(chunk.len());
            start.extend_from_slice(&chunk[..wanted]);
            hash.update(&chunk);
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        // Acknowledged means kept: on disk before the row says so.
        file.sync_all().await?;
        self.settle(&partial, &key).await?;
        Ok(Received {
            storage_key: key,
            size_bytes,
            sha256: hash.finalize().into(),
            content_type: sniff(&start),
        })
    }
}

impl FileStore {
    /// Moves a whole file to its place, and sees that the folders on the way say so on disk as well.
    async fn settle(&self, partial: &Partial, key: &str) -> io::Result<()> {
        let path = self.path(key)?;
        let folder = path.parent().unwrap_or_else(|| self.dir());
        match tokio::fs::create_dir(folder).await {
            Ok(()) => sync_dir(self.dir()).await?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        tokio::fs::rename(&partial.0, &path).await?;
        sync_dir(folder).await
    }
}

/// The type the content shows; what could run in a browser is plain bytes.
fn sniff(start: &[u8]) -> &'static str {
    if let Some(kind) = infer::get(start) {
        return match kind.mime_type() {
            "text/html" | "text/xml" | "image/svg+xml" => "application/octet-stream",
            known => known,
        };
    }
    let text = match std::str::from_utf8(start) {
        Ok(_) => true,
        // A character cut by the end of what we kept.
        Err(error) => error.error_len().is_none() && start.len() == SNIFF_BYTES,
    };
    if text && !start.is_empty() && !start.contains(&0) { "text/plain" } else { "application/octet-stream" }
}

/// Removes the file it names, unless that was moved away.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_come_from_content() {
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "image/png");
        assert_eq!(sniff(b"%PDF-1.7 "), "application/pdf");
        assert_eq!(sniff("Grüße".as_bytes()), "text/plain");
        assert_eq!(sniff(b"<!DOCTYPE html><script>alert(1)</script>"), "application/octet-stream");
        assert_eq!(sniff(b"\0\x01\x02"), "application/octet-stream");
        assert_eq!(sniff(b""), "application/octet-stream");
    }
}
