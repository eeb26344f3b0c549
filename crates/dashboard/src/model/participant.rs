//! People in a live room, as the SFU reports them.

use crate::sfu::{LiveParticipant, LiveTrack};
use crate::store::removals::RemovalRow;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Participant {
    pub(crate) identity: String,
    pub(crate) name: String,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub(crate) joined_at: Option<OffsetDateTime>,
    /// `joining`, `joined`, `active` or `disconnected`.
    pub(crate) state: String,
    pub(crate) tracks: Vec<Track>,
    pub(crate) metadata: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Track {
    pub(crate) sid: String,
    /// `audio` or `video`.
    pub(crate) kind: String,
    /// `camera`, `microphone`, `screen_share`, `screen_share_audio` or `unknown`.
    pub(crate) source: String,
    pub(crate) muted: bool,
    pub(crate) name: String,
}

/// Somebody sent away from a room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemovedPerson {
    /// A user's id, or `guest-` and an id.
    pub(crate) identity: String,
    pub(crate) name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) removed_at: OffsetDateTime,
}

impl From<RemovalRow> for RemovedPerson {
    fn from(row: RemovalRow) -> Self {
        Self { identity: row.identity, name: row.display_name, removed_at: row.removed_at }
    }
}

impl From<LiveParticipant> for Participant {
    fn from(live: LiveParticipant) -> Self {
        Self {
            identity: live.identity,
            name: live.name,
            joined_at: live.joined_at,
            state: live.state.to_owned(),
            tracks: live.tracks.into_iter().map(Track::from).collect(),
            metadata: live.metadata,
        }
    }
}

impl From<LiveTrack> for Track {
    fn from(live: LiveTrack) -> Self {
        Self { sid: live.sid, kind: live.kind, source: live.source, muted: live.muted, name: live.name }
    }
}
