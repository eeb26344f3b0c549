//! LiveKit's server API over Twirp: JSON or protobuf bodies, LiveKit's grants and error texts (livekit-protocol §5).

use aura_service::auth::access_token::{AccessError, Claims};
use aura_service::http::bearer;
use aura_service::json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use livekit_protocol as proto;
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::ApiState;
use super::room_service::{OperationError, ParticipantChange};
use super::twirp_json::ToJson;
use crate::engine::admin::AdminError;

const PROTOBUF: &str = "application/protobuf";

/// A Twirp error.
#[derive(Debug, Clone)]
pub(crate) struct TwirpError {
    code: &'static str,
    status: StatusCode,
    message: String,
}

impl TwirpError {
    fn new(code: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into() }
    }

    fn malformed(message: impl Into<String>) -> Self {
        Self::new("malformed", StatusCode::BAD_REQUEST, message)
    }
}

impl IntoResponse for TwirpError {
    fn into_response(self) -> Response {
        (self.status, axum::Json(json!({ "code": self.code, "msg": self.message }))).into_response()
    }
}

impl From<OperationError> for TwirpError {
    fn from(error: OperationError) -> Self {
        let text = error.to_string();
        match error {
            OperationError::Refused(AdminError::Invalid { .. }) => {
                Self::new("invalid_argument", StatusCode::BAD_REQUEST, text)
            }
            OperationError::Refused(AdminError::RemoteUnmuteDisabled) => {
                Self::new("failed_precondition", StatusCode::PRECONDITION_FAILED, text)
            }
            OperationError::Refused(_) => Self::new("not_found", StatusCode::NOT_FOUND, text),
            OperationError::Stopped(_) => Self::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, text),
            OperationError::Confused => Self::new("internal", StatusCode::INTERNAL_SERVER_ERROR, text),
        }
    }
}

impl From<AccessError> for TwirpError {
    fn from(error: AccessError) -> Self {
        Self::new("unauthenticated", StatusCode::UNAUTHORIZED, error.to_string())
    }
}

/// `POST /twirp/{service}/{method}`.
pub(crate) async fn call(
    State(state): State<ApiState>,
    Path((service, method)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let claims = match authenticate(&state, &headers) {
        Ok(claims) => claims,
        // A bad token is answered before Twirp, in plain text, as LiveKit's middleware does.
        Err(error) => return (StatusCode::UNAUTHORIZED, error.to_string()).into_response(),
    };
    let call = match Call::new(&headers, body) {
        Ok(call) => call,
        Err(error) => return error.into_response(),
    };
    let result = match service.as_str() {
        "livekit.RoomService" => room_service(&state, &claims, &method, &call).await,
        "livekit.Egress" | "livekit.Ingress" | "livekit.SIP" | "livekit.AgentDispatchService" => {
            let text = format!("{service} is not provided by this node");
            Err(TwirpError::new("unimplemented", StatusCode::NOT_IMPLEMENTED, text))
        }
        _ => Err(bad_route(&service, &method)),
    };
    result.unwrap_or_else(IntoResponse::into_response)
}

async fn room_service(
    state: &ApiState,
    claims: &Claims,
    method: &str,
    call: &Call,
) -> Result<Response, TwirpError> {
    let rooms = state.rooms();
    let admin = |room: &str| claims.ensure_admin(room);
    Ok(match method {
        "CreateRoom" => {
            claims.ensure_create()?;
            call.reply(&rooms.create(call.read()?).await?)
        }
        "ListRooms" => {
            claims.ensure_list()?;
            let request: proto::ListRoomsRequest = call.read()?;
            call.reply(&proto::ListRoomsResponse { rooms: rooms.list(&request.names).await? })
        }
        "DeleteRoom" => {
            claims.ensure_create()?;
            let request: proto::DeleteRoomRequest = call.read()?;
            rooms.delete(request.room).await?;
            call.reply(&proto::DeleteRoomResponse {})
        }
        "ListParticipants" => {
            let request: proto::ListParticipantsRequest = call.read()?;
            admin(&request.room)?;
            call.reply(&proto::ListParticipantsResponse {
                participants: rooms.participants(request.room).await?,
            })
        }
        "GetParticipant" => {
            let request: proto::RoomParticipantIdentity = call.read()?;
            admin(&request.room)?;
            call.reply(&rooms.participant(request.room, request.identity).await?)
        }
        "RemoveParticipant" => {
            let request: proto::RoomParticipantIdentity = call.read()?;
            admin(&request.room)?;
            if request.revoke_token_ts > 0 {
                // Asked for by those who know the field: whoever is not here must not come either.
                rooms.refuse(request.room, vec![request.identity], request.revoke_token_ts).await?;
            } else {
                rooms.remove(request.room, request.identity).await?;
            }
            call.reply(&proto::RemoveParticipantResponse {})
        }
        "MutePublishedTrack" => {
            let request: proto::MuteRoomTrackRequest = call.read()?;
            admin(&request.room)?;
            let track = rooms.mute(request.room, request.identity, request.track_sid, request.muted).await?;
            call.reply(&proto::MuteRoomTrackResponse { track: Some(track) })
        }
        "UpdateParticipant" => {
            let request: proto::UpdateParticipantRequest = call.read()?;
            admin(&request.room)?;
            let change = ParticipantChange {
                name: (!request.name.is_empty()).then_some(request.name),
                metadata: (!request.metadata.is_empty()).then_some(request.metadata),
                attributes: request.attributes,
                permission: request.permission,
            };
            call.reply(&rooms.update_participant(request.room, request.identity, change).await?)
        }
        "UpdateSubscriptions" => {
            let request: proto::UpdateSubscriptionsRequest = call.read()?;
            admin(&request.room)?;
            rooms.update_subscriptions(request).await?;
            call.reply(&proto::UpdateSubscriptionsResponse {})
        }
        "SendData" => {
            let request: proto::SendDataRequest = call.read()?;
            admin(&request.room)?;
            rooms.send_data(request).await?;
            call.reply(&proto::SendDataResponse {})
        }
        "UpdateRoomMetadata" => {
            let request: proto::UpdateRoomMetadataRequest = call.read()?;
            admin(&request.room)?;
            call.reply(&rooms.set_metadata(request.room, request.metadata).await?)
        }
        "ForwardParticipant" | "MoveParticipant" | "PerformRpc" => {
            let text = format!("{method} is not implemented");
            return Err(TwirpError::new("unimplemented", StatusCode::NOT_IMPLEMENTED, text));
        }
        _ => return Err(bad_route("livekit.RoomService", method)),
    })
}

fn authenticate(state: &ApiState, headers: &HeaderMap) -> Result<Claims, AccessError> {
    let token = bearer(headers).ok_or(AccessError::PermissionDenied)?;
    state.keys.verify(token, state.clock.now())
}

fn bad_route(service: &str, method: &str) -> TwirpError {
    TwirpError::new(
        "bad_route",
        StatusCode::NOT_FOUND,
        format!("no handler for path /twirp/{service}/{method}"),
    )
}

/// One call: its body, and the encoding it came in, which the reply goes out in.
struct Call {
    body: Bytes,
    json: bool,
}

impl Call {
    fn new(headers: &HeaderMap, body: Bytes) -> Result<Self, TwirpError> {
        let content_type =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            "application/json" => Ok(Self { body, json: true }),
            PROTOBUF => Ok(Self { body, json: false }),
            other => Err(TwirpError::new(
                "bad_route",
                StatusCode::NOT_FOUND,
                format!("unexpected Content-Type: {other:?}"),
            )),
        }
    }

    fn read<T: Message + DeserializeOwned + Default>(&self) -> Result<T, TwirpError> {
        if self.json {
            // The crate reads every field in either spelling, camelCase or snake_case.
            json::from_slice(&self.body).map_err(|error| {
                TwirpError::malformed(format!("the json request could not be decoded: {error}"))
            })
        } else {
            T::decode(self.body.clone())
                .map_err(|_| TwirpError::malformed("the protobuf request could not be decoded"))
        }
    }

    fn reply<T: Message + ToJson>(&self, message: &T) -> Response {
        if self.json {
            axum::Json(message.to_json()).into_response()
        } else {
            ([(header::CONTENT_TYPE, PROTOBUF)], message.encode_to_vec()).into_response()
        }
    }
}
