//! What can go wrong in a room, from the caller's point of view.
//!
//! `Display` never repeats its source. A refused join keeps the server's own words, because they say what to fix.

use std::time::Duration;

/// A failure of an operation on a room.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The URL is not one a room can be reached at.
    #[error("bad room address: {0}")]
    BadUrl(String),
    /// The server answered the join with an HTTP status.
    #[error("join refused with status {status}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The server's explanation.
        message: String,
    },
    /// The server let us in and sent us straight out again.
    #[error("the server ended the session: {0:?}")]
    Left(crate::DisconnectReason),
    /// The signalling connection failed.
    #[error("signalling failed: {0}")]
    Signal(String),
    /// The media connection failed.
    #[error("media transport failed")]
    Transport(#[source] webrtc::error::Error),
    /// Something did not happen in time.
    #[error("{what} took longer than {limit:?}")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        limit: Duration,
    },
    /// The server said no to a request.
    #[error("request refused ({reason}): {message}")]
    RequestRefused {
        /// LiveKit's reason, such as `NOT_ALLOWED`.
        reason: &'static str,
        /// The server's explanation.
        message: String,
    },
    /// The payload is larger than a data channel message may be.
    #[error("{size} bytes exceed the limit of {limit}")]
    TooLarge {
        /// Size offered.
        size: usize,
        /// Size allowed.
        limit: usize,
    },
    /// No track with this id is known.
    #[error("unknown track {0}")]
    UnknownTrack(String),
    /// The track is published already.
    #[error("the track is published already")]
    AlreadyPublished,
    /// This codec cannot be used here.
    #[error("unsupported codec {0}")]
    UnsupportedCodec(&'static str),
    /// A frame could not be encoded.
    #[error("encoding failed: {0}")]
    Codec(String),
    /// The room is closed.
    #[error("the room is closed")]
    Closed,
}

impl From<webrtc::error::Error> for RoomError {
    fn from(source: webrtc::error::Error) -> Self {
        Self::Transport(source)
    }
}

/// A shorthand for results of room operations.
pub(crate) type Result<T, E = RoomError> = std::result::Result<T, E>;
