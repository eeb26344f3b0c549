//! What the server API (Twirp and gRPC) asks of one room.

use std::collections::HashMap;

use livekit_protocol as proto;

use super::metadata::metadata_fits;
use super::room::Room;
use super::{DataChannel, Moment, limit};

/// Why an operation was refused. The API maps these to its own errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("requested room does not exist")]
    RoomNotFound,
    #[error("participant does not exist")]
    ParticipantNotFound,
    #[error("track is not found")]
    TrackNotFound,
    #[error("{field}: {problem}")]
    Invalid { field: &'static str, problem: String },
    #[error("remote unmute not enabled")]
    RemoteUnmuteDisabled,
}

/// What a room is created with, or changed to: timeouts of zero and values that are not given stay as they are.
#[derive(Debug, Default)]
pub(crate) struct RoomSettings {
    pub(crate) empty_timeout_s: u32,
    pub(crate) departure_timeout_s: u32,
    /// Zero is none of its own: the node's.
    pub(crate) max_participants: Option<u32>,
    pub(crate) metadata: Option<String>,
}

/// One operation on an existing room.
#[derive(Debug)]
pub(crate) enum AdminRequest {
    Configure(RoomSettings),
    SetMetadata(String),
    Delete,
    ListParticipants,
    Participant(String),
    Remove(String),
    Mute {
        identity: String,
        track: String,
        muted: bool,
    },
    UpdateParticipant {
        identity: String,
        name: Option<String>,
        metadata: Option<String>,
        attributes: HashMap<String, String>,
        permission: Option<Box<proto::ParticipantPermission>>,
    },
    UpdateSubscriptions {
        identity: String,
        update: proto::UpdateSubscription,
    },
    SendData {
        packet: Box<proto::DataPacket>,
        channel: DataChannel,
    },
}

/// What an operation returns.
#[derive(Debug)]
pub(crate) enum AdminReply {
    Room(Box<proto::Room>),
    Participants(Vec<proto::ParticipantInfo>),
    Participant(Box<proto::ParticipantInfo>),
    Track(Box<proto::TrackInfo>),
    Done,
}

impl Room {
    /// Carries out one operation.
    pub(crate) fn administer(
        &mut self,
        request: AdminRequest,
        now: Moment,
    ) -> Result<AdminReply, AdminError> {
        match request {
            AdminRequest::Configure(settings) => self.configure(settings),
            AdminRequest::SetMetadata(metadata) => self.set_metadata(metadata),
            AdminRequest::Delete => {
                self.end(proto::DisconnectReason::RoomDeleted, now);
                Ok(AdminReply::Done)
            }
            AdminRequest::ListParticipants => {
                let everyone =
                    self.participants.values().map(super::participant::Participant::info).collect();
                Ok(AdminReply::Participants(everyone))
            }
            AdminRequest::Participant(identity) => self.participant_reply(&identity),
            AdminRequest::Remove(identity) => {
                let sid = self.sid_of(&identity)?;
                self.remove(&sid, proto::DisconnectReason::ParticipantRemoved, now);
                Ok(AdminReply::Done)
            }
            AdminRequest::Mute { identity, track, muted } => self.remote_mute(&identity, &track, muted),
            AdminRequest::UpdateParticipant { identity, name, metadata, attributes, permission } => {
                self.update_participant(&identity, name, metadata, attributes, permission)
            }
            AdminRequest::UpdateSubscriptions { identity, update } => {
                let sid = self.sid_of(&identity)?;
                self.update_subscription(&sid, &update);
                Ok(AdminReply::Done)
            }
            AdminRequest::SendData { packet, channel } => {
                self.route(&packet, channel, None);
                Ok(AdminReply::Done)
            }
        }
    }

    fn configure(&mut self, settings: RoomSettings) -> Result<AdminReply, AdminError> {
        if settings.empty_timeout_s > 0 {
            self.policy.empty_timeout = std::time::Duration::from_secs(settings.empty_timeout_s.into());
        }
        if settings.departure_timeout_s > 0 {
            self.policy.departure_timeout =
                std::time::Duration::from_secs(settings.departure_timeout_s.into());
        }
        if let Some(max_participants) = settings.max_participants {
            let own = Some(max_participants).filter(|max| *max > 0);
            self.policy.max_participants = own.unwrap_or(self.node_max_participants);
        }
        match settings.metadata {
            Some(metadata) if metadata != self.metadata => self.set_metadata(metadata),
            _ => Ok(self.room_reply()),
        }
    }

    fn set_metadata(&mut self, metadata: String) -> Result<AdminReply, AdminError> {
        if metadata.len() > limit::METADATA_BYTES {
            return Err(too_long("metadata", limit::METADATA_BYTES));
        }
        self.metadata = metadata;
        self.broadcast_room();
        Ok(self.room_reply())
    }

    fn remote_mute(&mut self, identity: &str, track: &str, muted: bool) -> Result<AdminReply, AdminError> {
        let sid = self.sid_of(identity)?;
        let found = self.participants.get(&sid).and_then(|participant| participant.track(track));
        let Some(found) = found else { return Err(AdminError::TrackNotFound) };
        if found.info.muted && !muted && !self.policy.remote_unmute {
            return Err(AdminError::RemoteUnmuteDisabled);
        }
        let changes = found.info.muted != muted;
        self.set_muted(&sid, track, muted);
        if changes {
            let order = proto::MuteTrackRequest { sid: track.to_owned(), muted };
            self.signal(&sid, proto::signal_response::Message::Mute(order));
        }
        let info = self.participants.get(&sid).and_then(|p| p.track(track)).map(|track| track.info.clone());
        info.map(|info| AdminReply::Track(Box::new(info))).ok_or(AdminError::TrackNotFound)
    }

    fn update_participant(
        &mut self,
        identity: &str,
        name: Option<String>,
        metadata: Option<String>,
        attributes: HashMap<String, String>,
        permission: Option<Box<proto::ParticipantPermission>>,
    ) -> Result<AdminReply, AdminError> {
        let sid = self.sid_of(identity)?;
        let current = &self.participants[&sid].attributes;
        let (new_name, new_metadata) = (name.as_deref(), metadata.as_deref());
        if !metadata_fits(new_name.unwrap_or(""), new_metadata.unwrap_or(""), &attributes, current) {
            let problem = "name, metadata or attributes are too long".into();
            return Err(AdminError::Invalid { field: "metadata", problem });
        }
        if name.is_some() || metadata.is_some() || !attributes.is_empty() {
            self.change_metadata(&sid, name, metadata, attributes);
        }
        if let Some(permission) = permission {
            self.change_permission(&sid, *permission);
        }
        self.participant_reply(identity)
    }

    fn sid_of(&self, identity: &str) -> Result<aura_types::ParticipantSid, AdminError> {
        self.by_identity(identity).map(|found| found.sid.clone()).ok_or(AdminError::ParticipantNotFound)
    }

    fn participant_reply(&self, identity: &str) -> Result<AdminReply, AdminError> {
        let found = self.by_identity(identity).ok_or(AdminError::ParticipantNotFound)?;
        Ok(AdminReply::Participant(Box::new(found.info())))
    }

    fn room_reply(&self) -> AdminReply {
        AdminReply::Room(Box::new(self.info()))
    }
}

pub(crate) fn too_long(field: &'static str, limit: usize) -> AdminError {
    AdminError::Invalid { field, problem: format!("at most {limit} bytes") }
}
