//! `multipart/form-data` whose parts have short heads. What reads a head keeps all that has come of it and searches it
//! anew with every piece, so a long one would cost more than any file.

use crate::files::UploadError;
use aura_service::{Result, ServiceError};
use aura_types::ErrorCode;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{FromRequest, Request};
use futures_util::{Stream, StreamExt as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

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

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ServiceError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        let pieces =
            |body: Body| Pieces { body: body.into_data_stream(), left: Arc::clone(&left), given: false };
        let request = request.map(|body| Body::from_stream(pieces(body)));
        let multipart = Multipart::from_request(request, state).await.map_err(|_| {
            ServiceError::new(ErrorCode::UnsupportedMediaType, "the body must be multipart/form-data")
        })?;
        Ok(Self { multipart, left })
    }
}

/// The body. While a head is read it comes piece by piece: the reader takes all there is before it looks for the head's end,
/// and the piece in which that is may hold content, too.
struct Pieces {
    body: BodyDataStream,
    left: Arc<AtomicUsize>,
    /// The reader has a piece it has not looked at.
    given: bool,
}

impl Stream for Pieces {
    type Item = std::result::Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let left = self.left.load(Ordering::Relaxed);
        let is_head = left <= HEAD_BYTES;
        if std::mem::take(&mut self.given) && is_head {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = ready!(self.body.poll_next_unpin(cx));
        if let Some(Ok(piece)) = &piece
            && is_head
        {
            if left == 0 {
                return Poll::Ready(Some(Err(axum::Error::new(HeadTooLong))));
            }
            self.left.store(left.saturating_sub(piece.len()), Ordering::Relaxed);
            self.given = true;
        }
        Poll::Ready(piece)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the head of a part is too long")]
struct HeadTooLong;

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    /// A form of one file, all of which has come: in pieces of these sizes. How many of them were taken, too.
    async fn read(name: &str, content: usize, piece: usize) -> (Result<usize>, usize) {
        let head =
            format!("--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        let body = [head.as_bytes(), &vec![7; content], b"\r\n--x--\r\n"].concat();
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        let pieces: Vec<_> = body.chunks(piece).map(Bytes::copy_from_slice).collect();
        let pieces = stream::iter(pieces).map(move |piece| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(piece)
        });
        let request = Request::builder()
            .header("content-type", "multipart/form-data; boundary=x")
            .extension(axum::extract::DefaultBodyLimit::disable())
            .body(Body::from_stream(pieces))
            .unwrap();
        let outcome = async {
            let mut form = Form::from_request(request, &()).await?;
            let field = form.next_field().await?.expect("a part");
            let content = field.bytes().await.map_err(UploadError::Broken)?.len();
            assert!(form.next_field().await?.is_none());
            Ok(content)
        };
        (outcome.await, taken.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_has_come_with_a_short_head_is_content() {
        for piece in [100, 16 * 1024, 1_000_000] {
            let (content, _) = read(&"x".repeat(10_000), 1_500_000, piece).await;
            assert_eq!(content.unwrap(), 1_500_000, "pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn a_long_head_is_given_up_before_it_is_read() {
        for piece in [100, 16 * 1024] {
            let (content, taken) = read(&"x".repeat(20_000_000), 1, piece).await;
            let error = content.unwrap_err().to_string();
            assert!(error.contains("the head of a part is longer than 16384 bytes"), "{error}");
            assert!(taken <= HEAD_BYTES / piece + 3, "{taken} pieces of {piece}");
        }
    }
}
