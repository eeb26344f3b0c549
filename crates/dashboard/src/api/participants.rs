//! `/rooms/{room_id}/participants`: who is in a room right now, asked of the SFU.

use super::caller::CurrentUser;
use super::object::Object;
use super::problem::{Away, Conflict, Forbidden, Invalid, NotFound, Unauthenticated};
use super::removals;
use super::rooms::{RoomPath, owned, visible};
use crate::app::App;
use crate::model::{Items, Participant};
use aura_service::error::Result;
use aura_service::http::{Json, Path, Query};
use aura_types::RoomId;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ParticipantPath {
    #[param(value_type = Uuid)]
    pub(super) room_id: RoomId,
    /// A user's id, or `guest-` and an id.
    pub(super) identity: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RemoveQuery {
    /// Also stops every link into the room from working, so that nobody comes back as a new guest.
    #[serde(default)]
    revoke_invites: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MuteRequest {
    #[schema(example = "TR_AMabcdefghijkl")]
    track_sid: String,
    /// False unmutes, where the media server allows that.
    muted: bool,
}

/// Everyone in the live room; empty when nobody is.
#[utoipa::path(get, path = "/api/v1/rooms/{room_id}/participants", tag = "participants",
    params(RoomPath),
    responses((status = 200, description = "Done", body = Items<Participant>), Invalid, Unauthenticated, Forbidden, NotFound, Away))]
pub(super) async fn list_participants(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<RoomPath>,
) -> Result<Json<Items<Participant>>> {
    let mut tx = app.db.tenant(user).await?;
    visible(&mut tx, path.room_id).await?;
    tx.rollback().await?;
    let live = app.sfu.participants(&path.room_id.to_string()).await?;
    let shown = live.into_iter().filter(|participant| !participant.hidden);
    Ok(Json(Items { items: shown.map(Participant::from).collect() }))
}

/// Sends somebody away: out of the live room, where no token they have lets them in again, and out of the room's chat and
/// files. Until they are let back in. Members and guests need not be there. Only the owner may, and not herself.
///
/// A guest is whoever holds a link: one who was removed can come as somebody new while a link into the room works. To
/// keep them out, stop the links with `revoke_invites`, or close the room to guests with `guests_allowed`.
#[utoipa::path(delete, path = "/api/v1/rooms/{room_id}/participants/{identity}", tag = "participants",
    params(ParticipantPath, RemoveQuery),
    responses((status = 204, description = "Removed"), Invalid, Unauthenticated, Forbidden, NotFound, Conflict, Away))]
pub(super) async fn remove_participant(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<ParticipantPath>,
    Query(query): Query<RemoveQuery>,
) -> Result<StatusCode> {
    removals::remove(&app, user, path.room_id, &path.identity, query.revoke_invites).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mutes one of somebody's tracks. Only the owner may.
#[utoipa::path(post, path = "/api/v1/rooms/{room_id}/participants/{identity}/mute", tag = "participants",
    request_body = MuteRequest, params(ParticipantPath),
    responses((status = 204, description = "Done"), Invalid, Unauthenticated, Forbidden, NotFound, Conflict, Away))]
pub(super) async fn mute_participant(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<ParticipantPath>,
    Object(body): Object<MuteRequest>,
) -> Result<StatusCode> {
    let mut tx = app.db.tenant(user).await?;
    owned(&mut tx, path.room_id, user).await?;
    tx.rollback().await?;
    app.sfu.mute(&path.room_id.to_string(), &path.identity, &body.track_sid, body.muted).await?;
    Ok(StatusCode::NO_CONTENT)
}
