//! Who is in the room and what they publish, as plain values.
//!
//! A value is a snapshot: it does not change after it was handed out. Ask [`crate::Room`] again, or follow the events.

use std::collections::HashMap;

use aura_media::{Codec, MediaKind};
use livekit_protocol as proto;

use crate::data_track::DataPublication;

pub use livekit_protocol::{ConnectionQuality, DisconnectReason, ParticipantPermission, TrackSource};

/// What a participant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParticipantKind {
    /// A person with a client.
    #[default]
    Standard,
    /// A stream pulled or pushed into the room.
    Ingress,
    /// A recorder.
    Egress,
    /// A phone.
    Sip,
    /// An agent.
    Agent,
    /// Anything else.
    Other,
}

impl From<i32> for ParticipantKind {
    fn from(kind: i32) -> Self {
        use proto::participant_info::Kind;
        match Kind::try_from(kind) {
            Ok(Kind::Standard) => Self::Standard,
            Ok(Kind::Ingress) => Self::Ingress,
            Ok(Kind::Egress) => Self::Egress,
            Ok(Kind::Sip) => Self::Sip,
            Ok(Kind::Agent) => Self::Agent,
            _ => Self::Other,
        }
    }
}

/// A participant as last reported by the server.
#[derive(Debug, Clone, Default)]
pub struct Participant {
    /// Session id (`PA_…`); a new one for every join.
    pub sid: String,
    /// Stable id from the token.
    pub identity: String,
    /// Display name.
    pub name: String,
    /// Free text, from the token or an update.
    pub metadata: String,
    /// Key-value pairs, from the token or an update.
    pub attributes: HashMap<String, String>,
    /// What it is.
    pub kind: ParticipantKind,
    /// When it joined, milliseconds since 1970.
    pub joined_at_ms: i64,
    /// What it may do; the server tells this of ourselves, and of others when it likes.
    pub permission: Option<ParticipantPermission>,
    /// What it publishes.
    pub tracks: Vec<Publication>,
    /// What data tracks it publishes.
    pub data_tracks: Vec<DataPublication>,
    /// Last reported quality.
    pub connection_quality: Option<ConnectionQuality>,
    /// Loudness while speaking, 0 when silent.
    pub speaking_level: f32,
    /// RPC and data-stream dialect of its client.
    pub client_protocol: i32,
}

impl Participant {
    /// The publication with this id.
    #[must_use]
    pub fn publication(&self, sid: &str) -> Option<&Publication> {
        self.tracks.iter().find(|track| track.sid == sid)
    }
}

impl From<proto::ParticipantInfo> for Participant {
    fn from(info: proto::ParticipantInfo) -> Self {
        let joined_at_ms = if info.joined_at_ms == 0 { info.joined_at * 1_000 } else { info.joined_at_ms };
        Self {
            sid: info.sid,
            identity: info.identity,
            name: info.name,
            metadata: info.metadata,
            attributes: info.attributes,
            kind: info.kind.into(),
            joined_at_ms,
            permission: info.permission,
            tracks: info.tracks.into_iter().map(Into::into).collect(),
            data_tracks: info.data_tracks.into_iter().map(Into::into).collect(),
            connection_quality: None,
            speaking_level: 0.0,
            client_protocol: info.client_protocol,
        }
    }
}

/// A published track as last reported by the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// Track id (`TR_…`).
    pub sid: String,
    /// Name given by the publisher.
    pub name: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// Camera, microphone, screen.
    pub source: TrackSource,
    /// Codec, once known.
    pub codec: Option<Codec>,
    /// Whether the publisher paused it.
    pub muted: bool,
    /// Largest width offered, pixels; 0 for audio.
    pub width: u32,
    /// Largest height offered, pixels; 0 for audio.
    pub height: u32,
    /// Whether more than one quality is offered.
    pub simulcast: bool,
}

impl From<proto::TrackInfo> for Publication {
    fn from(info: proto::TrackInfo) -> Self {
        let codec = Codec::parse(&info.mime_type)
            .or_else(|| info.codecs.first().and_then(|codec| Codec::parse(&codec.mime_type)));
        #[expect(deprecated, reason = "servers before layers per codec fill `layers` alone")]
        let simulcast = info.layers.len() > 1 || info.codecs.iter().any(|codec| codec.layers.len() > 1);
        Self {
            kind: if info.r#type() == proto::TrackType::Video { MediaKind::Video } else { MediaKind::Audio },
            source: info.source(),
            codec,
            sid: info.sid,
            name: info.name,
            muted: info.muted,
            width: info.width,
            height: info.height,
            simulcast,
        }
    }
}

/// A participant who is speaking, loudest first in lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Speaker {
    /// Session id.
    pub sid: String,
    /// Identity, if the participant is known.
    pub identity: String,
    /// 0 to 1.
    pub level: f32,
}

/// The room as last reported by the server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoomInfo {
    /// Session id (`RM_…`).
    pub sid: String,
    /// Name.
    pub name: String,
    /// Free text.
    pub metadata: String,
    /// Participants, hidden ones excluded.
    pub num_participants: u32,
    /// Whether the room is being recorded.
    pub recording: bool,
}

impl From<proto::Room> for RoomInfo {
    fn from(room: proto::Room) -> Self {
        Self {
            sid: room.sid,
            name: room.name,
            metadata: room.metadata,
            num_participants: room.num_participants,
            recording: room.active_recording,
        }
    }
}
