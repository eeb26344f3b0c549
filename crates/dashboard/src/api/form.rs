//! `multipart/form-data` whose parts have short heads. What reads a head keeps all that has come of it and searches it
//! anew with every piece, so a long one would cost more than any file.

use crate::app::App;
use crate::files::UploadError;
use aura_service::{Result, ServiceError};
use aura_types::ErrorCode;
use axum::body::Body;
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{FromRequest, Request};
use futures_util::StreamExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may come before and within the head of a part: a file's name is in it, at most 255 bytes in file systems.
const HEAD_BYTES: usize = 16 * 1024;

/// A form, read part by part.
pub(super) struct Form {
    multipart: Multipart,
    /// What may still come before the next part's content.
    left: Arc<AtomicUsize>,
}

impl Form {
    /// The next part, whose content is to be read before the one after it.
    pub(super) async fn next_field(&mut self) -> Result<Option<Field<'_>>> {
        self.left.store(HEAD_BYTES, Ordering::Relaxed);
        let field = self.multipart.next_field().await;
        let left = self.left.swap(usize::MAX, Ordering::Relaxed);
        field.map_err(|error| match left {
            0 => {
                ServiceError::invalid("file", format!("the head of a part is longer than {HEAD_BYTES} bytes"))
            }
            _ => UploadError::Broken(error).into(),
        })
    }
}

impl FromRequest<App> for Form {
    type Rejection = ServiceError;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        let budget = Arc::clone(&left);
        let request = request.map(|body| {
            Body::from_stream(body.into_data_stream().map(move |piece| {
                let piece = piece?;
                // The piece with which a head ends may be longer: it holds content, too.
                let left = budget.load(Ordering::Relaxed);
                if left == 0 {
                    return Err(axum::Error::new(HeadTooLong));
                }
                budget.store(left.saturating_sub(piece.len()), Ordering::Relaxed);
                Ok(piece)
            }))
        });
        let multipart = Multipart::from_request(request, app).await.map_err(|_| {
            ServiceError::new(ErrorCode::UnsupportedMediaType, "the body must be multipart/form-data")
        })?;
        Ok(Self { multipart, left })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the head of a part is too long")]
struct HeadTooLong;
