//! Calls.

use super::{Join, Person};
use crate::engine::call::Status;
use crate::store::calls::CallRow;
use aura_types::CallId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Media {
    Audio,
    Video,
}

impl Media {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

/// `initiated` until the caller is in the room, `ringing` until both are, `active` until one leaves for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CallStatus {
    Initiated,
    Ringing,
    Active,
    Completed,
    Declined,
    Missed,
    Failed,
}

impl From<Status> for CallStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Initiated => Self::Initiated,
            Status::Ringing => Self::Ringing,
            Status::Active => Self::Active,
            Status::Completed => Self::Completed,
            Status::Declined => Self::Declined,
            Status::Missed => Self::Missed,
            Status::Failed => Self::Failed,
        }
    }
}

/// A call between two people.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Call {
    #[schema(value_type = Uuid)]
    pub(crate) id: CallId,
    pub(crate) status: CallStatus,
    pub(crate) media: Media,
    pub(crate) caller: Person,
    pub(crate) callee: Person,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    /// When the SFU first saw the caller in the room.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub(crate) ringing_at: Option<OffsetDateTime>,
    /// When both were in the room.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub(crate) answered_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub(crate) ended_at: Option<OffsetDateTime>,
    /// Seconds from `answered_at` to `ended_at`; null for calls nobody answered.
    #[schema(required = true)]
    pub(crate) duration_seconds: Option<i64>,
    /// Why it ended: `hung_up`, `party_left`, `room_ended`, `declined`, `cancelled`, `cancelled_by_callee`,
    /// `ring_timeout`, `caller_left`, `caller_never_joined`, `callee_never_joined`.
    #[schema(required = true)]
    pub(crate) end_reason: Option<String>,
}

impl From<&CallRow> for Call {
    fn from(row: &CallRow) -> Self {
        let call = &row.call;
        Self {
            id: call.id,
            status: call.status.into(),
            media: if row.media == "audio" { Media::Audio } else { Media::Video },
            caller: row.caller.clone().into(),
            callee: row.callee.clone().into(),
            created_at: call.created_at,
            ringing_at: call.ringing_at,
            answered_at: call.answered_at,
            ended_at: call.ended_at,
            duration_seconds: call.duration_seconds(),
            end_reason: call.end_reason.clone(),
        }
    }
}

/// A call and the way into it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallJoin {
    pub(crate) call: Call,
    pub(crate) join: Join,
}
