//! RoomService's operations, once: validation and the call into the room. Twirp and gRPC translate to and from here.

use livekit_protocol as proto;
use prost::Message as _;

use super::ApiState;
use crate::control::node::Node;
use crate::engine::admin::{AdminError, AdminReply, AdminRequest, too_long};
use crate::engine::{DataChannel, limit};
use crate::shard::command::ShardStopped;

/// How many rooms one question may be about.
const MAX_ROOMS_AT_ONCE: usize = 1_000;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperationError {
    #[error(transparent)]
    Refused(#[from] AdminError),
    #[error(transparent)]
    Stopped(#[from] ShardStopped),
    #[error("the node answered something else than was asked")]
    Confused,
}

pub(crate) type Result<T> = std::result::Result<T, OperationError>;

impl ApiState {
    pub(crate) fn rooms(&self) -> RoomService {
        RoomService { node: self.node.clone() }
    }
}

/// The operations.
#[derive(Clone)]
pub(crate) struct RoomService {
    pub(crate) node: Node,
}

impl RoomService {
    /// Create-or-update: non-zero fields are applied to an existing room.
    pub(crate) async fn create(&self, request: proto::CreateRoomRequest) -> Result<proto::Room> {
        check_name("name", &request.name)?;
        let settings = AdminRequest::Configure {
            empty_timeout_s: request.empty_timeout,
            departure_timeout_s: request.departure_timeout,
            max_participants: request.max_participants,
            metadata: request.metadata,
        };
        room(self.node.create(request.name, settings).await??)
    }

    /// Makes a live room what is given, zero and empty included.
    pub(crate) async fn reconfigure(
        &self,
        name: String,
        max_participants: Option<u32>,
        metadata: Option<String>,
    ) -> Result<proto::Room> {
        let change = AdminRequest::Reconfigure { max_participants, metadata };
        room(self.node.administer(name, change).await??)
    }

    pub(crate) async fn list(&self, names: &[String]) -> Result<Vec<proto::Room>> {
        let mut rooms = self.node.rooms().await?;
        if !names.is_empty() {
            rooms.retain(|room| names.contains(&room.name));
        }
        rooms.sort_by_key(|room| room.creation_time_ms);
        Ok(rooms)
    }

    pub(crate) async fn delete(&self, name: String) -> Result<()> {
        self.node.administer(name, AdminRequest::Delete).await??;
        Ok(())
    }

    pub(crate) async fn set_metadata(&self, name: String, metadata: String) -> Result<proto::Room> {
        room(self.node.administer(name, AdminRequest::SetMetadata(metadata)).await??)
    }

    pub(crate) async fn participants(&self, name: String) -> Result<Vec<proto::ParticipantInfo>> {
        match self.node.administer(name, AdminRequest::ListParticipants).await?? {
            AdminReply::Participants(everyone) => Ok(everyone),
            _ => Err(OperationError::Confused),
        }
    }

    /// Everyone in each of these rooms that is live.
    pub(crate) async fn occupants(
        &self,
        names: Vec<String>,
    ) -> Result<Vec<(String, Vec<proto::ParticipantInfo>)>> {
        if names.len() > MAX_ROOMS_AT_ONCE {
            let problem = format!("must be at most {MAX_ROOMS_AT_ONCE}");
            return Err(AdminError::Invalid { field: "rooms", problem }.into());
        }
        let mut live = Vec::new();
        for name in names {
            match self.participants(name.clone()).await {
                Ok(everyone) => live.push((name, everyone)),
                Err(OperationError::Refused(AdminError::RoomNotFound)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(live)
    }

    pub(crate) async fn participant(&self, name: String, identity: String) -> Result<proto::ParticipantInfo> {
        participant(self.node.administer(name, AdminRequest::Participant(identity)).await??)
    }

    pub(crate) async fn remove(&self, name: String, identity: String) -> Result<()> {
        self.node.administer(name, AdminRequest::Remove(identity)).await??;
        Ok(())
    }

    /// Sends these away, if they are there, and refuses their tokens issued before a moment (Unix seconds).
    pub(crate) async fn refuse(
        &self,
        name: String,
        identities: Vec<String>,
        issued_before_s: i64,
    ) -> Result<()> {
        check_name("room", &name)?;
        if identities.len() > limit::REFUSALS_PER_REQUEST {
            let problem = format!("at most {}", limit::REFUSALS_PER_REQUEST);
            return Err(AdminError::Invalid { field: "identities", problem }.into());
        }
        identities.iter().try_for_each(|identity| check_name("identity", identity))?;
        Ok(self.node.refuse(name, identities, issued_before_s).await?)
    }

    /// Takes a refusal back.
    pub(crate) async fn admit(&self, name: String, identity: String) -> Result<()> {
        Ok(self.node.admit(name, identity).await?)
    }

    pub(crate) async fn mute(
        &self,
        name: String,
        identity: String,
        track: String,
        muted: bool,
    ) -> Result<proto::TrackInfo> {
        match self.node.administer(name, AdminRequest::Mute { identity, track, muted }).await?? {
            AdminReply::Track(info) => Ok(*info),
            _ => Err(OperationError::Confused),
        }
    }

    /// `None` leaves a field as it is. An attribute set to the empty string is deleted.
    pub(crate) async fn update_participant(
        &self,
        name: String,
        identity: String,
        change: ParticipantChange,
    ) -> Result<proto::ParticipantInfo> {
        let request = AdminRequest::UpdateParticipant {
            identity,
            name: change.name,
            metadata: change.metadata,
            attributes: change.attributes,
            permission: change.permission.map(Box::new),
        };
        participant(self.node.administer(name, request).await??)
    }

    pub(crate) async fn update_subscriptions(
        &self,
        request: proto::UpdateSubscriptionsRequest,
    ) -> Result<()> {
        let update = proto::UpdateSubscription {
            track_sids: request.track_sids,
            subscribe: request.subscribe,
            participant_tracks: request.participant_tracks,
        };
        let change = AdminRequest::UpdateSubscriptions { identity: request.identity, update };
        self.node.administer(request.room, change).await??;
        Ok(())
    }

    pub(crate) async fn send_data(&self, request: proto::SendDataRequest) -> Result<()> {
        if !matches!(request.nonce.len(), 0 | 16) {
            let problem = "must be empty or 16 bytes".into();
            return Err(AdminError::Invalid { field: "nonce", problem }.into());
        }
        let lossy = request.kind == proto::data_packet::Kind::Lossy as i32;
        let packet = proto::DataPacket {
            kind: request.kind,
            destination_identities: request.destination_identities,
            value: Some(proto::data_packet::Value::User(proto::UserPacket {
                payload: request.data,
                destination_sids: request.destination_sids,
                topic: request.topic,
                nonce: request.nonce,
                ..Default::default()
            })),
            ..Default::default()
        };
        if packet.encoded_len() > limit::DATA_BYTES {
            return Err(too_long("data", limit::DATA_BYTES).into());
        }
        let channel = if lossy { DataChannel::Lossy } else { DataChannel::Reliable };
        let send = AdminRequest::SendData { packet: Box::new(packet), channel };
        self.node.administer(request.room, send).await??;
        Ok(())
    }
}

/// What to change of a participant.
#[derive(Debug, Default)]
pub(crate) struct ParticipantChange {
    pub(crate) name: Option<String>,
    pub(crate) metadata: Option<String>,
    pub(crate) attributes: std::collections::HashMap<String, String>,
    pub(crate) permission: Option<proto::ParticipantPermission>,
}

fn check_name(field: &'static str, name: &str) -> Result<()> {
    match name.len() {
        0 => Err(AdminError::Invalid { field, problem: "must not be empty".into() }.into()),
        len if len > limit::NAME_BYTES => Err(too_long(field, limit::NAME_BYTES).into()),
        _ => Ok(()),
    }
}

fn room(reply: AdminReply) -> Result<proto::Room> {
    match reply {
        AdminReply::Room(room) => Ok(*room),
        _ => Err(OperationError::Confused),
    }
}

fn participant(reply: AdminReply) -> Result<proto::ParticipantInfo> {
    match reply {
        AdminReply::Participant(info) => Ok(*info),
        _ => Err(OperationError::Confused),
    }
}
