//! What the server API (Twirp and gRPC) asks of one room.

use std::collections::HashMap;

use aura_types::ParticipantSid;
use livekit_protocol as proto;

use super::room::Room;
use super::{DataChannel, Moment, Output, limit};

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

/// One operation on an existing room.
#[derive(Debug)]
pub(crate) enum AdminRequest {
    Configure {
        empty_timeout_s: u32,
        departure_timeout_s: u32,
        max_participants: u32,
        metadata: String,
    },
    /// Makes the room what is given, zero and empty included.
    Reconfigure {
        max_participants: Option<u32>,
        metadata: Option<String>,
    },
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
            AdminRequest::Configure { empty_timeout_s, departure_timeout_s, max_participants, metadata } => {
                self.configure(empty_timeout_s, departure_timeout_s, max_participants, metadata)
            }
            AdminRequest::Reconfigure { max_participants, metadata } => {
                self.reconfigure(max_participants, metadata)
            }
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
                self.choose(&sid, &update, false);
                Ok(AdminReply::Done)
            }
            AdminRequest::SendData { packet, channel } => {
                self.route(&packet, channel, None);
                Ok(AdminReply::Done)
            }
        }
    }

    /// Sends everybody away who came with a token of this identity.
    pub(crate) fn send_away(&mut self, identity: &str, now: Moment) {
        let here: Vec<_> =
            self.participants.values().filter(|p| p.holder == identity).map(|p| p.sid.clone()).collect();
        for sid in here {
            self.remove(&sid, proto::DisconnectReason::ParticipantRemoved, now);
        }
    }

    fn configure(
        &mut self,
        empty_timeout_s: u32,
        departure_timeout_s: u32,
        max_participants: u32,
        metadata: String,
    ) -> Result<AdminReply, AdminError> {
        if empty_timeout_s > 0 {
            self.policy.empty_timeout = std::time::Duration::from_secs(empty_timeout_s.into());
        }
        if departure_timeout_s > 0 {
            self.policy.departure_timeout = std::time::Duration::from_secs(departure_timeout_s.into());
        }
        if max_participants > 0 {
            self.limit(max_participants);
        }
        if metadata.is_empty() { Ok(self.room_reply()) } else { self.set_metadata(metadata) }
    }

    fn reconfigure(
        &mut self,
        max_participants: Option<u32>,
        metadata: Option<String>,
    ) -> Result<AdminReply, AdminError> {
        let metadata = metadata.filter(|metadata| *metadata != self.metadata);
        if metadata.as_ref().is_some_and(|metadata| metadata.len() > limit::METADATA_BYTES) {
            return Err(too_long("metadata", limit::METADATA_BYTES));
        }
        let has_changed = max_participants.is_some_and(|max| self.limit(max));
        if let Some(metadata) = metadata {
            self.set_metadata(metadata)
        } else {
            if has_changed {
                self.broadcast_room();
            }
            Ok(self.room_reply())
        }
    }

    /// Sets how many may come; 0: as many as the node says. Tokens say it too, since they may make the room anew.
    fn limit(&mut self, max: u32) -> bool {
        let has_changed = self.set_limit(max);
        if has_changed {
            let everyone = self.participants.keys().cloned();
            self.outputs.extend(everyone.map(|of| Output::TokenChanged { of }));
        }
        has_changed
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
            self.note_mute_order(&sid, track, muted);
            let order = proto::MuteTrackRequest { sid: track.to_owned(), muted };
            self.signal(&sid, proto::signal_response::Message::Mute(order));
        }
        let info = self.participants.get(&sid).and_then(|p| p.track(track)).map(|track| track.info.clone());
        info.map(|info| AdminReply::Track(Box::new(info))).ok_or(AdminError::TrackNotFound)
    }

    /// The publisher says itself whether its track is muted: it knows of every order before.
    pub(crate) fn mute_answered(&mut self, sid: &ParticipantSid, track: &str) {
        self.note_mute_order(sid, track, false);
    }

    fn note_mute_order(&mut self, sid: &ParticipantSid, track: &str, stands: bool) {
        if let Some(found) = self.participants.get_mut(sid).and_then(|p| p.track_mut(track)) {
            found.mute_ordered = stands;
        }
    }

    /// Orders to mute that were not answered when the connection went may have been lost with it. Without them a client
    /// believes its own state, says so, and is heard again.
    pub(crate) fn repeat_mute_orders(&mut self, sid: &ParticipantSid) {
        let Some(participant) = self.participants.get(sid) else { return };
        let ordered = participant.tracks.iter().filter(|track| track.mute_ordered && track.info.muted);
        let orders: Vec<_> = ordered
            .map(|track| proto::MuteTrackRequest { sid: track.sid.to_string(), muted: true })
            .collect();
        for order in orders {
            self.signal(sid, proto::signal_response::Message::Mute(order));
        }
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
        let (new_name, new_metadata) = (name.as_deref(), metadata.as_deref());
        let excess =
            self.participants[&sid].excess(new_name.unwrap_or(""), new_metadata.unwrap_or(""), &attributes);
        if let Some(excess) = excess {
            return Err(AdminError::Invalid { field: excess.field(), problem: excess.as_str().into() });
        }
        if name.is_some() || metadata.is_some() || !attributes.is_empty() {
            self.change_metadata(&sid, name, metadata, attributes);
        }
        if let Some(permission) = permission {
            self.change_permission(&sid, *permission);
        }
        self.participant_reply(identity)
    }

    fn sid_of(&self, identity: &str) -> Result<ParticipantSid, AdminError> {
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
