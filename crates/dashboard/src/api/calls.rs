//! `/calls`: calling a person. The SFU's reports move a call on, not the requests here.

use super::caller::CurrentUser;
use super::list::ListQuery;
use super::object::Object;
use super::problem::{Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated};
use crate::app::App;
use crate::calls::Callee;
use crate::engine::call::Command;
use crate::model::{Call, CallJoin, Join, Media, Page, Role};
use crate::sfu::{Admission, RoomName, RoomTerms};
use crate::store::calls::{self, CallRow};
use aura_service::error::{Result, ServiceError};
use aura_service::http::{Json, Path, Query};
use aura_types::{CallId, ErrorCode, UserId};
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Exactly one of `callee_id` and `callee_aura_id`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceCallRequest {
    #[schema(value_type = Option<Uuid>)]
    callee_id: Option<UserId>,
    #[schema(example = "@alice.aura", max_length = 64)]
    callee_aura_id: Option<String>,
    media: Media,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct CallPath {
    #[param(value_type = Uuid)]
    call_id: CallId,
}

/// Calls a person. It rings there once the media server sees the caller in the room.
#[utoipa::path(post, path = "/api/v1/calls", tag = "calls",
    request_body = PlaceCallRequest, responses((status = 201, description = "Created", body = CallJoin), Invalid, Unauthenticated, Forbidden, NotFound, TooMany))]
pub(super) async fn place_call(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Object(body): Object<PlaceCallRequest>,
) -> Result<impl IntoResponse> {
    let callee = match (body.callee_id, body.callee_aura_id) {
        (Some(id), None) => Callee::Id(id),
        (None, Some(aura_id)) if is_aura_id(&aura_id) => Callee::AuraId(aura_id.to_ascii_lowercase()),
        (None, Some(_)) => return Err(ServiceError::invalid("callee_aura_id", "must look like @name.aura")),
        _ => return Err(ServiceError::invalid("callee_id", "give either callee_id or callee_aura_id")),
    };
    let row = app.calls.place(user, callee, body.media.as_str()).await?;
    let join = join(&app, &row, user)?;
    Ok((StatusCode::CREATED, Json(CallJoin { call: Call::from(&row), join })))
}

/// Calls the caller placed or received, newest first.
#[utoipa::path(get, path = "/api/v1/calls", tag = "calls",
    params(ListQuery),
    responses((status = 200, description = "Done", body = Page<Call>), Invalid, Unauthenticated, Forbidden))]
pub(super) async fn list_calls(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Call>>> {
    let window = query.window()?;
    let mut tx = app.db.tenant(user).await?;
    let (rows, next_cursor) = window.cut(calls::list(&mut tx, user, &window).await?, CallRow::position);
    Ok(Json(Page { items: rows.iter().map(Call::from).collect(), next_cursor }))
}

/// One call. Its two parties may read it, nobody else.
#[utoipa::path(get, path = "/api/v1/calls/{call_id}", tag = "calls",
    params(CallPath),
    responses((status = 200, description = "Done", body = Call), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn read_call(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<CallPath>,
) -> Result<Json<Call>> {
    Ok(Json(Call::from(&find(&app, user, path.call_id).await?)))
}

/// Takes the call. It is active once the media server sees both. Only the callee may.
#[utoipa::path(post, path = "/api/v1/calls/{call_id}/accept", tag = "calls",
    params(CallPath),
    responses((status = 200, description = "Done", body = CallJoin), Invalid, Unauthenticated, Forbidden, NotFound, Conflict))]
pub(super) async fn accept_call(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<CallPath>,
) -> Result<Json<CallJoin>> {
    let row = app.calls.command(user, path.call_id, Command::Accept).await?;
    let join = join(&app, &row, user)?;
    Ok(Json(CallJoin { call: Call::from(&row), join }))
}

/// Refuses the call. Only the callee may.
#[utoipa::path(post, path = "/api/v1/calls/{call_id}/decline", tag = "calls",
    params(CallPath),
    responses((status = 200, description = "Done", body = Call), Invalid, Unauthenticated, Forbidden, NotFound, Conflict))]
pub(super) async fn decline_call(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<CallPath>,
) -> Result<Json<Call>> {
    Ok(Json(Call::from(&app.calls.command(user, path.call_id, Command::Decline).await?)))
}

/// Hangs up, or cancels while it rings (`missed`). An active call is `completed` when the media server confirms:
/// at once, or as soon as it is back.
#[utoipa::path(post, path = "/api/v1/calls/{call_id}/end", tag = "calls",
    params(CallPath),
    responses((status = 200, description = "Done", body = Call), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn end_call(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<CallPath>,
) -> Result<Json<Call>> {
    Ok(Json(Call::from(&app.calls.command(user, path.call_id, Command::End).await?)))
}

/// A token to join (again) with, while the call is open.
#[utoipa::path(post, path = "/api/v1/calls/{call_id}/token", tag = "calls",
    params(CallPath),
    responses((status = 200, description = "Done", body = Join), Invalid, Unauthenticated, Forbidden, NotFound, Conflict))]
pub(super) async fn join_call(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<CallPath>,
) -> Result<Json<Join>> {
    let row = find(&app, user, path.call_id).await?;
    if row.call.room_must_close() {
        return Err(ServiceError::new(ErrorCode::FailedPrecondition, "the call is over"));
    }
    Ok(Json(join(&app, &row, user)?))
}

async fn find(app: &App, user: UserId, id: CallId) -> Result<CallRow> {
    let mut tx = app.db.tenant(user).await?;
    calls::find(&mut tx, id).await?.ok_or_else(|| ServiceError::not_found("call"))
}

/// The way into the call's room; each sees the other's name as its title.
fn join(app: &App, row: &CallRow, user: UserId) -> Result<Join> {
    let is_caller = row.call.caller == user;
    let (me, other) = if is_caller { (&row.caller, &row.callee) } else { (&row.callee, &row.caller) };
    let role = if is_caller { Role::Owner } else { Role::Member };
    let identity = user.to_string();
    let admission = Admission {
        room: RoomName::Call(row.call.id),
        identity: &identity,
        name: &me.display_name,
        terms: RoomTerms::default(),
    };
    Join::sign(&app.joins, admission, other.display_name.clone(), role, app.now())
}

fn is_aura_id(text: &str) -> bool {
    text.len() <= 64 && text.starts_with('@') && text.bytes().all(|b| b.is_ascii_graphic())
}
