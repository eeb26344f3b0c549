//! `auralink.sfu.v1.RoomControl`: the same operations for other AuraLink services.

use aura_proto::sfu::v1 as pb;
use aura_proto::sfu::v1::room_control_server::{RoomControl, RoomControlServer};
use aura_service::auth::service::ServiceKeys;
use aura_service::grpc::{PeerPolicy, Server, Tls};
use aura_service::{Health, Lifecycle, http};
use aura_types::SharedClock;
use livekit_protocol as proto;
use tonic::{Request, Response, Status};

use super::room_service::{OperationError, ParticipantChange, RoomService};
use crate::config::Config;
use crate::control::node::Node;
use crate::engine::admin::AdminError;
use crate::engine::participant::kind_name;
use crate::engine::track::{source_name, sources_from_names};

/// Serves gRPC, with health and reflection.
pub(crate) async fn serve(
    config: &Config,
    node: &Node,
    health: &Health,
    clock: SharedClock,
    lifecycle: &Lifecycle,
) -> anyhow::Result<()> {
    let listener = http::bind(config.grpc_addr).await?;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(aura_proto::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let service = Control { rooms: RoomService { node: node.clone() }, clock: clock.clone() };
    let routes = tonic::service::Routes::new(RoomControlServer::new(service)).add_service(reflection);
    let keys = ServiceKeys::new(&config.auth.service_secret)?;
    let policy = PeerPolicy::new()
        .allow("dashboard", "auralink.sfu.v1.RoomControl")
        .allow("ai-core", "auralink.sfu.v1.RoomControl")
        .allow("ingress-egress", "auralink.sfu.v1.RoomControl");
    let tls = config.grpc_tls.as_ref().map(Tls::load).transpose()?;
    Server::new("webrtc-sfu", clock, keys)
        .policy(policy)
        .tls(tls)
        .health(health)
        .serve(listener, routes, lifecycle)?;
    Ok(())
}

struct Control {
    rooms: RoomService,
    clock: SharedClock,
}

type Reply<T> = Result<Response<T>, Status>;

impl From<OperationError> for Status {
    fn from(error: OperationError) -> Self {
        let text = error.to_string();
        match error {
            OperationError::Refused(AdminError::Invalid { .. }) => Self::invalid_argument(text),
            OperationError::Refused(AdminError::RemoteUnmuteDisabled) => Self::failed_precondition(text),
            OperationError::Refused(_) => Self::not_found(text),
            OperationError::Stopped(_) => Self::unavailable(text),
            OperationError::Confused => Self::internal(text),
        }
    }
}

#[tonic::async_trait]
impl RoomControl for Control {
    async fn create_room(&self, request: Request<pb::CreateRoomRequest>) -> Reply<pb::Room> {
        let request = request.into_inner();
        let room = self
            .rooms
            .create(proto::CreateRoomRequest {
                name: request.name,
                empty_timeout: request.empty_timeout_s,
                departure_timeout: request.departure_timeout_s,
                max_participants: request.max_participants,
                metadata: request.metadata,
                ..Default::default()
            })
            .await?;
        Ok(Response::new(to_room(room)))
    }

    async fn configure_room(&self, request: Request<pb::ConfigureRoomRequest>) -> Reply<pb::Room> {
        let request = request.into_inner();
        let room = self.rooms.reconfigure(request.name, request.max_participants, request.metadata).await?;
        Ok(Response::new(to_room(room)))
    }

    async fn list_rooms(&self, request: Request<pb::ListRoomsRequest>) -> Reply<pb::ListRoomsResponse> {
        let rooms = self.rooms.list(&request.into_inner().names).await?;
        Ok(Response::new(pb::ListRoomsResponse { rooms: rooms.into_iter().map(to_room).collect() }))
    }

    async fn delete_room(&self, request: Request<pb::DeleteRoomRequest>) -> Reply<pb::DeleteRoomResponse> {
        self.rooms.delete(request.into_inner().room).await?;
        Ok(Response::new(pb::DeleteRoomResponse {}))
    }

    async fn update_room_metadata(&self, request: Request<pb::UpdateRoomMetadataRequest>) -> Reply<pb::Room> {
        let request = request.into_inner();
        Ok(Response::new(to_room(self.rooms.set_metadata(request.room, request.metadata).await?)))
    }

    async fn list_participants(
        &self,
        request: Request<pb::ListParticipantsRequest>,
    ) -> Reply<pb::ListParticipantsResponse> {
        let everyone = self.rooms.participants(request.into_inner().room).await?;
        let participants = everyone.into_iter().map(to_participant).collect();
        Ok(Response::new(pb::ListParticipantsResponse { participants }))
    }

    async fn list_occupants(
        &self,
        request: Request<pb::ListOccupantsRequest>,
    ) -> Reply<pb::ListOccupantsResponse> {
        let rooms = self.rooms.occupants(request.into_inner().rooms).await?;
        let occupants = |(room, everyone): (String, Vec<proto::ParticipantInfo>)| pb::Occupants {
            room,
            participants: everyone.into_iter().map(to_participant).collect(),
        };
        Ok(Response::new(pb::ListOccupantsResponse { rooms: rooms.into_iter().map(occupants).collect() }))
    }

    async fn get_participant(&self, request: Request<pb::ParticipantRef>) -> Reply<pb::Participant> {
        let request = request.into_inner();
        Ok(Response::new(to_participant(self.rooms.participant(request.room, request.identity).await?)))
    }

    async fn remove_participant(
        &self,
        request: Request<pb::ParticipantRef>,
    ) -> Reply<pb::RemoveParticipantResponse> {
        let request = request.into_inner();
        self.rooms.remove(request.room, request.identity).await?;
        Ok(Response::new(pb::RemoveParticipantResponse {}))
    }

    async fn refuse_participants(
        &self,
        request: Request<pb::RefuseParticipantsRequest>,
    ) -> Reply<pb::RefuseParticipantsResponse> {
        let request = request.into_inner();
        // Refreshed tokens carry this node's time, others their signer's; one may be on its way. `nbf` counts seconds.
        let issued_before_s = self.clock.now().unix_timestamp().max(request.issued_until_s).saturating_add(2);
        self.rooms.refuse(request.room, request.identities, issued_before_s).await?;
        Ok(Response::new(pb::RefuseParticipantsResponse {}))
    }

    async fn admit_participant(
        &self,
        request: Request<pb::ParticipantRef>,
    ) -> Reply<pb::AdmitParticipantResponse> {
        let request = request.into_inner();
        self.rooms.admit(request.room, request.identity).await?;
        Ok(Response::new(pb::AdmitParticipantResponse {}))
    }

    async fn mute_track(&self, request: Request<pb::MuteTrackRequest>) -> Reply<pb::Track> {
        let request = request.into_inner();
        let track = self.rooms.mute(request.room, request.identity, request.track_sid, request.muted).await?;
        Ok(Response::new(to_track(track)))
    }

    async fn update_participant(
        &self,
        request: Request<pb::UpdateParticipantRequest>,
    ) -> Reply<pb::Participant> {
        let request = request.into_inner();
        let change = ParticipantChange {
            name: request.name,
            metadata: request.metadata,
            attributes: request.attributes,
            permission: request.permission.map(from_permission),
        };
        Ok(Response::new(to_participant(
            self.rooms.update_participant(request.room, request.identity, change).await?,
        )))
    }

    async fn send_data(&self, request: Request<pb::SendDataRequest>) -> Reply<pb::SendDataResponse> {
        use proto::data_packet::Kind;
        let request = request.into_inner();
        let kind = if request.lossy { Kind::Lossy } else { Kind::Reliable };
        self.rooms
            .send_data(proto::SendDataRequest {
                room: request.room,
                data: request.data,
                kind: kind as i32,
                destination_identities: request.destination_identities,
                topic: (!request.topic.is_empty()).then_some(request.topic),
                ..Default::default()
            })
            .await?;
        Ok(Response::new(pb::SendDataResponse {}))
    }
}

fn to_room(room: proto::Room) -> pb::Room {
    pb::Room {
        sid: room.sid,
        name: room.name,
        metadata: room.metadata,
        num_participants: room.num_participants,
        num_publishers: room.num_publishers,
        max_participants: room.max_participants,
        created_at_ms: room.creation_time_ms,
    }
}

fn to_participant(info: proto::ParticipantInfo) -> pb::Participant {
    use pb::participant::State;
    use proto::participant_info::State as Live;
    let state = match info.state() {
        Live::Joining => State::Joining,
        Live::Joined => State::Joined,
        Live::Active => State::Active,
        Live::Disconnected => State::Disconnected,
    };
    pb::Participant {
        kind: kind_name(info.kind()).into(),
        hidden: info.permission.as_ref().is_some_and(|permission| permission.hidden),
        sid: info.sid,
        identity: info.identity,
        name: info.name,
        metadata: info.metadata,
        attributes: info.attributes,
        state: state.into(),
        joined_at_ms: info.joined_at_ms,
        is_publisher: info.is_publisher,
        tracks: info.tracks.into_iter().map(to_track).collect(),
    }
}

fn to_track(track: proto::TrackInfo) -> pb::Track {
    let audio = track.r#type() == proto::TrackType::Audio;
    pb::Track {
        kind: if audio { "audio" } else { "video" }.into(),
        source: source_name(track.source).into(),
        sid: track.sid,
        name: track.name,
        muted: track.muted,
        mime_type: track.mime_type,
        width: track.width,
        height: track.height,
    }
}

fn from_permission(permission: pb::Permission) -> proto::ParticipantPermission {
    let sources = sources_from_names(&permission.can_publish_sources);
    proto::ParticipantPermission {
        can_subscribe: permission.can_subscribe,
        can_publish: permission.can_publish && sources.is_some(),
        can_publish_data: permission.can_publish_data,
        can_update_metadata: permission.can_update_metadata,
        hidden: permission.hidden,
        can_publish_sources: sources.unwrap_or_default(),
        ..Default::default()
    }
}
