//! gRPC client of `auralink.sfu.v1.RoomControl`.
//!
//! Deadlines are short: a person waits behind each of these calls, and the SFU answers from memory.

use aura_proto::sfu::v1::room_control_client::RoomControlClient;
use aura_proto::sfu::v1::{
    ConfigureRoomRequest, CreateRoomRequest, DeleteRoomRequest, ListOccupantsRequest,
    ListParticipantsRequest, ListRoomsRequest, MuteTrackRequest, Participant, ParticipantRef,
    RefuseParticipantsRequest, Room, Track, participant,
};
use aura_service::grpc::Channel;
use aura_types::{Coded, ErrorCode};
use std::collections::HashMap;
use std::time::Duration;
use time::OffsetDateTime;
use tonic::{Code, Request, Status};

/// A list of a full room, with what its participants say of themselves.
const LARGEST_REPLY_BYTES: usize = 32 * 1024 * 1024;
/// For answers that only decorate a reply.
const GLANCE: Duration = Duration::from_millis(800);
/// For what the caller asked to be done.
const COMMAND: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub(crate) enum SfuError {
    #[error("the media server is away: {0}")]
    Away(String),
    #[error("the media server knows no such {0}")]
    NotFound(&'static str),
    #[error("{0}")]
    Refused(String),
}

impl Coded for SfuError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Away(_) => ErrorCode::Unavailable,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Refused(_) => ErrorCode::FailedPrecondition,
        }
    }

    fn safe_message(&self) -> String {
        match self {
            Self::Away(_) => "the media server is away".to_owned(),
            Self::NotFound(what) => format!("{what} not found"),
            Self::Refused(_) => "the media server refused".to_owned(),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct LiveRoom {
    pub(crate) name: String,
    pub(crate) participants: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct LiveParticipant {
    pub(crate) sid: String,
    pub(crate) identity: String,
    pub(crate) name: String,
    pub(crate) metadata: String,
    pub(crate) state: &'static str,
    pub(crate) joined_at: Option<OffsetDateTime>,
    pub(crate) hidden: bool,
    pub(crate) tracks: Vec<LiveTrack>,
}

#[derive(Debug, Clone)]
pub(crate) struct LiveTrack {
    pub(crate) sid: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) muted: bool,
}

#[derive(Clone)]
pub(crate) struct Sfu {
    client: RoomControlClient<Channel>,
}

impl Sfu {
    /// What one question about occupants may name.
    pub(crate) const ROOMS_AT_ONCE: usize = 1_000;

    /// Calls that may happen twice.
    pub(crate) const IDEMPOTENT: [&str; 6] = [
        "/auralink.sfu.v1.RoomControl/ListRooms",
        "/auralink.sfu.v1.RoomControl/ListParticipants",
        "/auralink.sfu.v1.RoomControl/ListOccupants",
        "/auralink.sfu.v1.RoomControl/DeleteRoom",
        "/auralink.sfu.v1.RoomControl/RefuseParticipants",
        "/auralink.sfu.v1.RoomControl/AdmitParticipant",
    ];

    pub(crate) fn new(channel: Channel) -> Self {
        Self { client: RoomControlClient::new(channel).max_decoding_message_size(LARGEST_REPLY_BYTES) }
    }

    /// How many are in each of these rooms; rooms that are not live are absent.
    pub(crate) async fn live_rooms(&self, names: Vec<String>) -> Result<Vec<LiveRoom>, SfuError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let reply = self.client.clone().list_rooms(within(GLANCE, ListRoomsRequest { names })).await;
        let rooms = reply.map_err(|status| refused(&status, "room"))?.into_inner().rooms;
        Ok(rooms.into_iter().map(LiveRoom::from).collect())
    }

    /// Everyone in the room; nobody when it is not live.
    pub(crate) async fn participants(&self, room: &str) -> Result<Vec<LiveParticipant>, SfuError> {
        let request = within(COMMAND, ListParticipantsRequest { room: room.to_owned() });
        match self.client.clone().list_participants(request).await {
            Ok(reply) => Ok(reply.into_inner().participants.into_iter().map(LiveParticipant::from).collect()),
            Err(status) if status.code() == Code::NotFound => Ok(Vec::new()),
            Err(status) => Err(refused(&status, "room")),
        }
    }

    /// Every live room's name.
    pub(crate) async fn every_live_room(&self) -> Result<Vec<String>, SfuError> {
        let request = within(COMMAND, ListRoomsRequest { names: Vec::new() });
        let reply = self.client.clone().list_rooms(request).await;
        let rooms = reply.map_err(|status| refused(&status, "room"))?.into_inner().rooms;
        Ok(rooms.into_iter().map(|room| room.name).collect())
    }

    /// Everyone in each of these rooms, at most [`ROOMS_AT_ONCE`](Self::ROOMS_AT_ONCE), in one question; rooms that
    /// are not live are absent.
    pub(crate) async fn occupants(
        &self,
        rooms: Vec<String>,
    ) -> Result<HashMap<String, Vec<LiveParticipant>>, SfuError> {
        let reply = self.client.clone().list_occupants(within(COMMAND, ListOccupantsRequest { rooms })).await;
        let rooms = reply.map_err(|status| refused(&status, "room"))?.into_inner().rooms;
        let each = rooms
            .into_iter()
            .map(|room| (room.room, room.participants.into_iter().map(LiveParticipant::from).collect()));
        Ok(each.collect())
    }

    /// Creates the room, or applies these settings to the live one.
    pub(crate) async fn configure(
        &self,
        room: &str,
        max_participants: u32,
        metadata: String,
    ) -> Result<(), SfuError> {
        let request =
            CreateRoomRequest { name: room.to_owned(), max_participants, metadata, ..Default::default() };
        let reply = self.client.clone().create_room(within(GLANCE, request)).await;
        reply.map(|_| ()).map_err(|status| refused(&status, "room"))
    }

    /// Makes the live room what its owner says now; false when there is none.
    pub(crate) async fn reconfigure(
        &self,
        room: &str,
        max_participants: u32,
        metadata: String,
    ) -> Result<bool, SfuError> {
        let request = ConfigureRoomRequest {
            name: room.to_owned(),
            max_participants: Some(max_participants),
            metadata: Some(metadata),
        };
        match self.client.clone().configure_room(within(GLANCE, request)).await {
            Ok(_) => Ok(true),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => Err(refused(&status, "room")),
        }
    }

    /// Ends the room; fine when there is none.
    pub(crate) async fn delete_room(&self, room: &str) -> Result<(), SfuError> {
        let request = within(COMMAND, DeleteRoomRequest { room: room.to_owned() });
        match self.client.clone().delete_room(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => Ok(()),
            Err(status) => Err(refused(&status, "room")),
        }
    }

    /// Sends these away from the room, if they are there, and has the tokens refused that they have by now.
    pub(crate) async fn refuse(
        &self,
        room: &str,
        identities: Vec<String>,
        issued_until_s: i64,
    ) -> Result<(), SfuError> {
        let request = RefuseParticipantsRequest { room: room.to_owned(), identities, issued_until_s };
        let reply = self.client.clone().refuse_participants(within(COMMAND, request)).await;
        reply.map(|_| ()).map_err(|status| refused(&status, "room"))
    }

    /// Takes that back.
    pub(crate) async fn admit(&self, room: &str, identity: &str) -> Result<(), SfuError> {
        let request = ParticipantRef { room: room.to_owned(), identity: identity.to_owned() };
        let reply = self.client.clone().admit_participant(within(COMMAND, request)).await;
        reply.map(|_| ()).map_err(|status| refused(&status, "room"))
    }

    pub(crate) async fn mute(
        &self,
        room: &str,
        identity: &str,
        track_sid: &str,
        muted: bool,
    ) -> Result<(), SfuError> {
        let request = MuteTrackRequest {
            room: room.to_owned(),
            identity: identity.to_owned(),
            track_sid: track_sid.to_owned(),
            muted,
        };
        let reply = self.client.clone().mute_track(within(COMMAND, request)).await;
        reply.map(|_| ()).map_err(|status| refused(&status, "track"))
    }
}

fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

fn refused(status: &Status, what: &'static str) -> SfuError {
    match status.code() {
        Code::NotFound => SfuError::NotFound(what),
        Code::FailedPrecondition | Code::InvalidArgument => SfuError::Refused(status.message().to_owned()),
        code => SfuError::Away(format!("{code:?}: {}", status.message())),
    }
}

impl From<Room> for LiveRoom {
    fn from(room: Room) -> Self {
        Self { name: room.name, participants: room.num_participants }
    }
}

impl From<Participant> for LiveParticipant {
    fn from(participant: Participant) -> Self {
        let state = match participant.state() {
            participant::State::Unspecified | participant::State::Joining => "joining",
            participant::State::Joined => "joined",
            participant::State::Active => "active",
            participant::State::Disconnected => "disconnected",
        };
        let joined_at = i128::from(participant.joined_at_ms) * 1_000_000;
        Self {
            state,
            sid: participant.sid,
            identity: participant.identity,
            name: participant.name,
            metadata: participant.metadata,
            joined_at: OffsetDateTime::from_unix_timestamp_nanos(joined_at).ok().filter(|_| joined_at > 0),
            hidden: participant.hidden,
            tracks: participant.tracks.into_iter().map(LiveTrack::from).collect(),
        }
    }
}

impl From<Track> for LiveTrack {
    fn from(track: Track) -> Self {
        Self { sid: track.sid, name: track.name, kind: track.kind, source: track.source, muted: track.muted }
    }
}
