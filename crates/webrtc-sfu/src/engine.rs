//! What a room *is*: who is in it, what they publish, who receives what, and what everyone is told.
//!
//! Pure: every call takes the moment it happens at and values, and leaves its effects in a queue of [`Output`]s that
//! the shard carries out. The vocabulary is LiveKit's own messages (ADR 1). Nothing here knows a socket, a clock, SDP
//! or the WebRTC stack.

pub(crate) mod admin;
pub(crate) mod aic_fit;
pub(crate) mod announce;
pub(crate) mod audience;
pub(crate) mod budget;
pub(crate) mod codec_choice;
pub(crate) mod congestion;
pub(crate) mod data;
pub(crate) mod data_track;
pub(crate) mod device;
pub(crate) mod feedback;
pub(crate) mod forward;
pub(crate) mod gone;
pub(crate) mod joiner;
pub(crate) mod metadata;
pub(crate) mod participant;
pub(crate) mod preference;
pub(crate) mod publish;
pub(crate) mod refusals;
pub(crate) mod room;
pub(crate) mod subscribe;
pub(crate) mod sync;
#[cfg(test)]
mod tests;
pub(crate) mod track;

use std::sync::Arc;
use std::time::Instant;

use aura_media::layer::Layer;
use aura_types::{ParticipantSid, TrackSid};
use livekit_protocol as proto;

/// When something happens: monotonic for timers, Unix milliseconds for people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) unix_ms: i64,
}

/// What the shard must do for the room, in order.
#[derive(Debug)]
pub(crate) enum Output {
    /// Send a signalling message to these.
    Signal { to: Vec<ParticipantSid>, message: Box<proto::signal_response::Message> },
    /// What the participant's refreshed access token must say.
    TokenChanged { of: ParticipantSid },
    /// Give the track a section in the subscriber's connection and start forwarding.
    Subscribe { subscriber: ParticipantSid, publisher: ParticipantSid, track: TrackSid },
    /// Stop forwarding and free the section.
    Unsubscribe { subscriber: ParticipantSid, track: TrackSid },
    /// Forward this track at most at this layer, or not at all (`None`).
    Prefer { subscriber: ParticipantSid, track: TrackSid, layer: Option<Layer> },
    /// While closed, nothing of the track is forwarded, whatever the publisher sends.
    Gate { track: TrackSid, open: bool },
    /// The track is gone: forget everything about it.
    TrackGone { track: TrackSid },
    /// Send a data packet.
    Data { to: ParticipantSid, channel: DataChannel, payload: Arc<[u8]> },
    /// Send a packet of a data track to each of these, under the handle it knows the track by.
    DataTrack { packet: Vec<u8>, copies: Arc<Vec<data_track::DataCopy>> },
    /// Close the signalling connection; media may still be resumed.
    CloseSignal { participant: ParticipantSid },
    /// Close the participant's connections once everything above has been sent.
    Close { participant: ParticipantSid },
    /// Tell the other services.
    Event(RoomEvent),
}

/// The two channels user data travels on. Data tracks have one of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum DataChannel {
    Reliable,
    Lossy,
}

/// Facts other services learn by Redis.
#[derive(Debug, Clone)]
pub(crate) enum RoomEvent {
    Created { room: RoomFacts },
    ParticipantJoined { room: RoomFacts, participant: ParticipantFacts },
    ParticipantLeft { room: RoomFacts, participant: ParticipantFacts, reason: &'static str },
    Ended { room: RoomFacts, duration_ms: i64 },
}

#[derive(Debug, Clone)]
pub(crate) struct RoomFacts {
    pub(crate) sid: String,
    pub(crate) name: String,
    pub(crate) created_at_ms: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct ParticipantFacts {
    pub(crate) sid: String,
    pub(crate) identity: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
}

/// Sizes a client may not exceed.
pub(crate) mod limit {
    /// Identity, room and participant names, in bytes.
    pub(crate) const NAME_BYTES: usize = 256;
    /// A room's metadata; a participant's has less room, since its renewed token carries it.
    pub(crate) const METADATA_BYTES: usize = 512 * 1024;
    pub(crate) const ATTRIBUTES_BYTES: usize = 64 * 1024;
    /// What all participants of a room say of themselves, together: everybody who joins is sent all of it.
    pub(crate) const ROOM_STATE_BYTES: usize = 4 * 1024 * 1024;
    /// What each may say whatever the others do.
    pub(crate) const OWN_SHARE_BYTES: usize = 4 * 1024;
    /// Connections in a room with one token besides the one of its own name: room for a screen, another camera, and one
    /// that died and was not noticed yet. What is counted by participant is bounded by token through this.
    pub(crate) const FURTHER_CONNECTIONS: usize = 3;
    /// Tracks announced by `add_track` whose media has not come.
    pub(crate) const PENDING_TRACKS: usize = 20;
    /// Published tracks of one participant.
    pub(crate) const TRACKS: usize = 32;
    /// Published data tracks of one participant.
    pub(crate) const DATA_TRACKS: usize = 64;
    /// One data packet.
    pub(crate) const DATA_BYTES: usize = 64_000;
    /// Identities refused in one request.
    pub(crate) const REFUSALS_PER_REQUEST: usize = 1_000;
    /// Destinations of one data packet that are looked at.
    pub(crate) const DESTINATIONS: usize = 1_000;
    /// Track ids in one request.
    pub(crate) const TRACKS_PER_REQUEST: usize = 1_000;
    /// Track ids in one publisher's rules.
    pub(crate) const TRACKS_IN_RULES: usize = 10_000;
}
