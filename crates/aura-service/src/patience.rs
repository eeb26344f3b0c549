//! How long a connection may be of no use: a peer that opens one and says nothing, or stops reading, is hung up on.
//!
//! [`Guarded`] watches the bytes of one connection. It ends it when the opening (an HTTP/2 preface, or anything that is
//! none) does not come in time, which no timer of the HTTP stack covers, when writes make no progress, and when its time is
//! over, if it has one. From the opening on the stack's own timers run: the header limit of HTTP/1, also between requests,
//! and the pings of HTTP/2.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

/// The first bytes of every HTTP/2 connection (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What "for ever" means to a timer.
const FURTHEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a peer is given time for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From the connection's start, or the end of the last request, to the next request's headers.
    pub silence: Duration,
    /// For taking anything of what is sent to it.
    pub stalled_write: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { silence: Duration::from_secs(10), stalled_write: Duration::from_secs(30) }
    }
}

/// A connection under watch.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    stream: S,
    /// Until the opening has come.
    opening: Option<Pin<Box<Sleep>>>,
    /// Bytes of the HTTP/2 preface seen.
    seen: usize,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Until the connection's time is over.
    ending: Option<Pin<Box<Sleep>>>,
    patience: Patience,
}

impl<S> Guarded<S> {
    pub(crate) fn new(stream: S, patience: Patience) -> Self {
        let opening = Some(Box::pin(sleep(patience.silence)));
        Self { stream, opening, seen: 0, stalled: None, ending: None, patience }
    }

    /// Ends the connection then, whatever it is used for.
    pub(crate) fn ending_after(mut self, time: Duration) -> Self {
        // Timers reach some years far, certificates may live longer.
        self.ending = Some(Box::pin(sleep(time.min(FURTHEST))));
        self
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.ending.as_mut().is_some_and(|ending| ending.as_mut().poll(cx).is_ready())
    }

    fn note(&mut self, read: &[u8]) {
        let rest = &PREFACE[self.seen..];
        if self.opening.is_none() || read.is_empty() {
            return;
        }
        let compared = read.len().min(rest.len());
        self.seen += compared;
        if read[..compared] != rest[..compared] || self.seen == PREFACE.len() {
            self.opening = None;
        }
    }

    /// A write's outcome; one that waits too long fails.
    fn judge<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let limit = self.patience.stalled_write;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(too_late("the peer does not read"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn too_late(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(cx) {
            return Poll::Ready(Err(too_late("the connection's time is over")));
        }
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if outcome.is_ready() {
            self.note(&buf.filled()[before..]);
            return outcome;
        }
        match self.opening.as_mut().map(|opening| opening.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(too_late("the peer says nothing"))),
            _ => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judge(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(cx, outcome)
    }
}

impl<S: Connected> Connected for Guarded<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened_by(parts: &[&[u8]]) -> bool {
        let mut guarded = Guarded::new((), Patience::default());
        parts.iter().for_each(|part| guarded.note(part));
        guarded.opening.is_none()
    }

    #[tokio::test]
    async fn an_opening_is_a_whole_preface_or_anything_else() {
        assert!(!opened_by(&[]));
        assert!(!opened_by(&[b"P"]), "may be POST or PRI");
        assert!(!opened_by(&[b"PRI * HTTP/2.0", b"\r\n\r\nSM\r\n\r"]));
        assert!(opened_by(&[b"PRI * HTTP/2.0", b"\r\n\r\nSM\r\n\r\n"]));
        assert!(opened_by(&[b"P", b"OST / HTTP/1.1"]));
        assert!(opened_by(&[PREFACE, b"and frames"]));
        assert!(opened_by(&[b"GET"]));
    }
}
