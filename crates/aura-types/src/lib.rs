//! Ids, error codes, the clock, rate quotas and address blocks: the vocabulary every AuraLink crate shares.
//!
//! Depends on no other crate of ours and does no I/O. Anything that needs a runtime, a socket or a
//! database belongs in `aura-service` or `aura-store`.
#![warn(missing_docs)]

mod address;
mod clock;
mod error_code;
mod id;
mod rate;
mod sid;

pub use address::{address_block, site_block};
pub use clock::{Clock, ManualClock, SharedClock, SystemClock};
pub use error_code::{Coded, ErrorCode};
pub use id::{
    CallId, EventId, FileId, InvalidId, InviteId, MessageId, RequestId, RoomId, SessionId, ShareId, UserId,
};
pub use rate::{Decision, DecisionFuture, Quota, RateLimiter, TokenBuckets};
pub use sid::{DataTrackSid, InvalidSid, NodeId, ParticipantSid, RoomSid, TrackSid};

/// Kernel buffer a media socket asks for, each way, in bytes: what half a gigabit brings in 64 ms. The system must
/// allow it (`net.core.wmem_max`, `net.core.rmem_max`).
pub const MEDIA_SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
