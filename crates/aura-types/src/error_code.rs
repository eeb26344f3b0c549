//! The set of error codes callers can meet, whatever the transport.
//!
//! The codes carry meaning only; the one table to HTTP and gRPC statuses is in `aura-service`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)+) => {
        /// What went wrong, from the caller's point of view.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode {
            $($(#[$meta])* $name,)+
        }

        impl ErrorCode {
            /// Every code, for tables and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as it appears in a problem document.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }

        impl FromStr for ErrorCode {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text {
                    $($text => Ok(Self::$name),)+
                    _ => Err(()),
                }
            }
        }
    };
}

error_codes! {
    /// The request is malformed; the field at fault is named.
    InvalidArgument = "invalid_argument";
    /// No valid credentials.
    Unauthenticated = "unauthenticated";
    /// Valid credentials that do not allow this.
    PermissionDenied = "permission_denied";
    /// The thing does not exist, or the caller may not know that it does.
    NotFound = "not_found";
    /// The thing exists already.
    AlreadyExists = "already_exists";
    /// The thing is not in a state that allows this.
    FailedPrecondition = "failed_precondition";
    /// A quota or rate limit is used up.
    ResourceExhausted = "resource_exhausted";
    /// The body is larger than this operation accepts.
    PayloadTooLarge = "payload_too_large";
    /// The body's type is not accepted.
    UnsupportedMediaType = "unsupported_media_type";
    /// A dependency is away; the same request may succeed later.
    Unavailable = "unavailable";
    /// The work did not finish in time; it may or may not have taken effect.
    DeadlineExceeded = "deadline_exceeded";
    /// A fault of ours. Details are logged, never sent.
    Internal = "internal";
}

impl ErrorCode {
    /// True when the same request may succeed later without being changed.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::DeadlineExceeded | Self::ResourceExhausted)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error of some boundary that knows its code and what may be said about it in public.
///
/// `aura_service::ServiceError` is made from any of these with `?`.
pub trait Coded: std::error::Error {
    /// The code callers see.
    fn code(&self) -> ErrorCode;

    /// A message fit for callers: no internals, no secrets, no other user's data.
    fn safe_message(&self) -> String;

    /// The field of the request at fault, when one is.
    fn field(&self) -> Option<&str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_as_text() {
        for code in ErrorCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
        }
    }
}
