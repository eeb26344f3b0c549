//! Remote procedure calls over data packets (version 1): codes, limits, and the table of calls under way.
//!
//! The server only forwards; deadlines are the caller's business.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use livekit_protocol as proto;

/// Largest request or response, in bytes.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 15_360;
/// Largest error message, in bytes; longer ones are cut.
const MAX_MESSAGE_BYTES: usize = 256;
/// How long the receiver may take to acknowledge.
pub(crate) const ACK_TIMEOUT: Duration = Duration::from_secs(7);

/// The error of a remote procedure call, as both sides see it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// 1400–1404 and 1500–1505 are LiveKit's; the rest is the application's.
    pub code: u32,
    /// What went wrong.
    pub message: String,
    /// Application data, if any.
    pub data: String,
}

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $code:literal, $text:literal;)+) => {
        impl RpcError {
            $($(#[$meta])* pub const $name: u32 = $code;)+

            /// One of LiveKit's own errors with its usual text.
            #[must_use]
            pub fn built_in(code: u32) -> Self {
                let message = match code {
                    $($code => $text,)+
                    _ => "Unknown error",
                };
                Self { code, message: message.to_owned(), data: String::new() }
            }
        }
    };
}

codes! {
    /// The receiver has no such method.
    UNSUPPORTED_METHOD = 1400, "Method not supported at destination";
    /// No such participant.
    RECIPIENT_NOT_FOUND = 1401, "Recipient not found";
    /// The request exceeds 15 KiB.
    REQUEST_PAYLOAD_TOO_LARGE = 1402, "Request payload too large";
    /// The server cannot forward calls.
    UNSUPPORTED_SERVER = 1403, "RPC not supported by server";
    /// The receiver speaks another version.
    UNSUPPORTED_VERSION = 1404, "Unsupported RPC version";
    /// The method failed.
    APPLICATION_ERROR = 1500, "Application error in method handler";
    /// No acknowledgement in time.
    CONNECTION_TIMEOUT = 1501, "Connection timeout";
    /// No response in time.
    RESPONSE_TIMEOUT = 1502, "Response timeout";
    /// The receiver left.
    RECIPIENT_DISCONNECTED = 1503, "Recipient disconnected";
    /// The response exceeds 15 KiB.
    RESPONSE_PAYLOAD_TOO_LARGE = 1504, "Response payload too large";
    /// The request could not be sent.
    SEND_FAILED = 1505, "Failed to send";
}

impl RpcError {
    /// An error of the application's own, cut to the size limit.
    #[must_use]
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        let mut message = message.into();
        let mut end = message.len().min(MAX_MESSAGE_BYTES);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        Self { code, message, data: String::new() }
    }
}

impl From<proto::RpcError> for RpcError {
    fn from(error: proto::RpcError) -> Self {
        Self { code: error.code, message: error.message, data: error.data }
    }
}

impl From<RpcError> for proto::RpcError {
    fn from(error: RpcError) -> Self {
        Self { code: error.code, message: error.message, data: error.data }
    }
}

#[derive(Debug)]
struct Call<T> {
    reply: T,
    identity: String,
    acknowledged: bool,
    ack_by: Instant,
    respond_by: Instant,
}

/// Calls we made and wait for.
#[derive(Debug)]
pub(crate) struct CallTable<T> {
    calls: HashMap<String, Call<T>>,
}

impl<T> Default for CallTable<T> {
    fn default() -> Self {
        Self { calls: HashMap::new() }
    }
}

impl<T> CallTable<T> {
    pub(crate) fn start(&mut self, id: String, identity: String, reply: T, timeout: Duration, now: Instant) {
        let respond_by = now + timeout;
        let call = Call {
            reply,
            identity,
            acknowledged: false,
            ack_by: (now + ACK_TIMEOUT).min(respond_by),
            respond_by,
        };
        self.calls.insert(id, call);
    }

    /// Only the participant that was called may acknowledge.
    pub(crate) fn acknowledge(&mut self, id: &str, identity: &str) {
        if let Some(call) = self.calls.get_mut(id).filter(|call| call.identity == identity) {
            call.acknowledged = true;
        }
    }

    /// Takes the call this response belongs to, if the right participant sent it.
    pub(crate) fn respond(&mut self, id: &str, identity: &str) -> Option<T> {
        self.calls.get(id).filter(|call| call.identity == identity)?;
        self.calls.remove(id).map(|call| call.reply)
    }

    /// Calls that failed by now, with their errors.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(T, RpcError)> {
        self.take(|call| {
            if !call.acknowledged && now >= call.ack_by && call.ack_by < call.respond_by {
                Some(RpcError::CONNECTION_TIMEOUT)
            } else if now >= call.respond_by {
                Some(RpcError::RESPONSE_TIMEOUT)
            } else {
                None
            }
        })
    }

    /// Calls to a participant who left.
    pub(crate) fn disconnected(&mut self, identity: &str) -> Vec<(T, RpcError)> {
        self.take(|call| (call.identity == identity).then_some(RpcError::RECIPIENT_DISCONNECTED))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.calls.values().map(|call| if call.acknowledged { call.respond_by } else { call.ack_by }).min()
    }

    fn take(&mut self, verdict: impl Fn(&Call<T>) -> Option<u32>) -> Vec<(T, RpcError)> {
        let failed: Vec<_> =
            self.calls.iter().filter_map(|(id, call)| Some((id.clone(), verdict(call)?))).collect();
        failed
            .into_iter()
            .filter_map(|(id, code)| Some((self.calls.remove(&id)?.reply, RpcError::built_in(code))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use aura_types::{Clock, SystemClock};

    use super::*;

    const LONG: Duration = Duration::from_secs(15);

    fn table(now: Instant) -> CallTable<u8> {
        let mut table = CallTable::default();
        table.start("a".into(), "bob".into(), 1, LONG, now);
        table
    }

    #[test]
    fn an_unacknowledged_call_fails_early() {
        let now = SystemClock.monotonic();
        let mut table = table(now);
        assert!(table.expire(now + ACK_TIMEOUT / 2).is_empty());
        let failed = table.expire(now + ACK_TIMEOUT);
        assert_eq!(failed, [(1, RpcError::built_in(RpcError::CONNECTION_TIMEOUT))]);
        assert_eq!(table.deadline(), None);
    }

    #[test]
    fn an_acknowledged_call_waits_for_its_response() {
        let now = SystemClock.monotonic();
        let mut table = table(now);
        table.acknowledge("a", "bob");
        assert!(table.expire(now + ACK_TIMEOUT).is_empty());
        assert_eq!(table.deadline(), Some(now + LONG));
        assert_eq!(table.respond("a", "eve"), None, "only the callee may respond");
        assert_eq!(table.respond("a", "bob"), Some(1));
        assert_eq!(table.respond("a", "bob"), None, "once");
    }

    #[test]
    fn calls_to_a_leaver_fail_at_once() {
        let now = SystemClock.monotonic();
        let mut table = table(now);
        table.start("b".into(), "carol".into(), 2, LONG, now);
        assert_eq!(table.disconnected("bob"), [(1, RpcError::built_in(RpcError::RECIPIENT_DISCONNECTED))]);
        table.acknowledge("b", "carol");
        assert_eq!(table.expire(now + LONG), [(2, RpcError::built_in(RpcError::RESPONSE_TIMEOUT))]);
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let error = RpcError::new(1, "é".repeat(200));
        assert_eq!(error.message.len(), 256);
    }
}
