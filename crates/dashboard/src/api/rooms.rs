//! `/rooms`: rooms people own and belong to, and the way into them.

use super::caller::CurrentUser;
use super::list::ListQuery;
use super::object::Object;
use super::problem::{Forbidden, Invalid, NotFound, Unauthenticated};
use crate::app::App;
use crate::engine::text::{Description, Invalid as InvalidField, RoomName as Title};
use crate::model::{Join, Live, Page, Role, Room};
use crate::sfu::{Admission, RoomName, RoomTerms};
use crate::store::rooms::{RoomChange, RoomRow};
use crate::store::{deletions, files, removals, rooms, users};
use aura_service::error::{Result, ServiceError};
use aura_service::http::{Json, Path, Query};
use aura_types::{RoomId, UserId};
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

const MAX_METADATA_BYTES: usize = 16 * 1024;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateRoomRequest {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[schema(max_length = 2000)]
    description: Option<String>,
    /// True when absent.
    guests_allowed: Option<bool>,
    #[schema(minimum = 2, maximum = 500)]
    max_participants: Option<i32>,
    /// Handed to the SFU room as JSON, at most 16 KiB.
    metadata: Option<BTreeMap<String, String>>,
}

/// Absent fields stay as they are; null clears those that can be null.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateRoomRequest {
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 2000)]
    description: Option<Option<String>>,
    /// False lets no further guests in and ends guests' chat and files. Who is in the call as a guest stays in it, through
    /// reconnects too, until their token ends or they are removed.
    guests_allowed: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i32>, minimum = 2, maximum = 500)]
    max_participants: Option<Option<i32>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Option<BTreeMap<String, String>>>,
}

/// Tells null from absent.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct RoomPath {
    #[param(value_type = Uuid)]
    pub(super) room_id: RoomId,
}

/// Nothing to say.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinRoomRequest {}

/// Creates a room owned by the caller.
#[utoipa::path(post, path = "/api/v1/rooms", tag = "rooms",
    request_body = CreateRoomRequest, responses((status = 201, description = "Created", body = Room), Invalid, Unauthenticated, Forbidden))]
pub(super) async fn create_room(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Object(body): Object<CreateRoomRequest>,
) -> Result<impl IntoResponse> {
    let change = RoomChange {
        name: Some(Title::parse(&body.name)?.as_str().to_owned()),
        description: Some(description(body.description)?),
        guests_allowed: body.guests_allowed,
        max_participants: Some(max_participants(body.max_participants)?),
        metadata: Some(metadata(body.metadata)?),
    };
    let id = RoomId::generate();
    let mut tx = app.db.tenant(user).await?;
    rooms::insert(&mut tx, id, user, &change, app.now()).await?;
    let row = visible(&mut tx, id).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(Room::new(row, user, Some(Live { participants: 0 })))))
}

/// Rooms the caller owns or belongs to, newest first.
#[utoipa::path(get, path = "/api/v1/rooms", tag = "rooms",
    params(ListQuery),
    responses((status = 200, description = "Done", body = Page<Room>), Invalid, Unauthenticated, Forbidden))]
pub(super) async fn list_rooms(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Room>>> {
    let window = query.window()?;
    let mut tx = app.db.tenant(user).await?;
    let rows = rooms::list(&mut tx, user, &window).await?;
    tx.rollback().await?;
    let (rows, next_cursor) = window.cut(rows, RoomRow::position);
    let live = live(&app, rows.iter().map(|row| row.id)).await;
    let items = rows
        .into_iter()
        .map(|row| {
            let now =
                live.as_ref().map(|live| Live { participants: live.get(&row.id).copied().unwrap_or(0) });
            Room::new(row, user, now)
        })
        .collect();
    Ok(Json(Page { items, next_cursor }))
}

/// One room.
#[utoipa::path(get, path = "/api/v1/rooms/{room_id}", tag = "rooms",
    params(RoomPath),
    responses((status = 200, description = "Done", body = Room), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn read_room(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<RoomPath>,
) -> Result<Json<Room>> {
    let mut tx = app.db.tenant(user).await?;
    let row = open_to(&mut tx, path.room_id, user).await?;
    tx.rollback().await?;
    Ok(Json(with_live(&app, row, user).await))
}

/// Changes what is given. Only the owner may.
#[utoipa::path(patch, path = "/api/v1/rooms/{room_id}", tag = "rooms",
    request_body = UpdateRoomRequest, params(RoomPath),
    responses((status = 200, description = "Done", body = Room), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn update_room(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<RoomPath>,
    Object(body): Object<UpdateRoomRequest>,
) -> Result<Json<Room>> {
    let change = RoomChange {
        name: body.name.as_deref().map(Title::parse).transpose()?.map(|name| name.as_str().to_owned()),
        description: body.description.map(description).transpose()?,
        guests_allowed: body.guests_allowed,
        max_participants: body.max_participants.map(max_participants).transpose()?,
        metadata: body.metadata.map(metadata).transpose()?,
    };
    let mut tx = app.db.tenant(user).await?;
    owned(&mut tx, path.room_id, user).await?;
    rooms::update(&mut tx, path.room_id, &change, app.now()).await?;
    let row = visible(&mut tx, path.room_id).await?;
    tx.commit().await?;
    let (max, metadata) = terms_in_sfu(&row);
    if let Err(error) = app.sfu.reconfigure(&row.id.to_string(), max, metadata).await {
        tracing::info!(%error, room.id = %row.id, "the live room keeps its old limits for now");
    }
    Ok(Json(with_live(&app, row, user).await))
}

/// Deletes the room with its messages and files, and ends it for everyone in it. Only the owner may.
#[utoipa::path(delete, path = "/api/v1/rooms/{room_id}", tag = "rooms",
    params(RoomPath),
    responses((status = 204, description = "Deleted"), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn delete_room(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<RoomPath>,
) -> Result<StatusCode> {
    let livekit_room = RoomName::Room(path.room_id).to_string();
    let mut tx = app.db.tenant(user).await?;
    owned(&mut tx, path.room_id, user).await?;
    let keys = files::storage_keys_of_room(&mut tx, path.room_id).await?;
    deletions::request(&mut tx, &livekit_room, user, app.now()).await?;
    rooms::delete(&mut tx, path.room_id).await?;
    tx.commit().await?;
    app.files.remove(&keys).await;
    if let Err(error) = app.calls.close_room(&livekit_room).await {
        tracing::info!(%error, "the deleted room ends once the media server is back");
        app.calls.request_reconcile();
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A token to join with. Works while the media server is away: the client connects when it is back.
#[utoipa::path(post, path = "/api/v1/rooms/{room_id}/token", tag = "rooms",
    request_body = JoinRoomRequest, params(RoomPath),
    responses((status = 200, description = "Done", body = Join), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn join_room(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<RoomPath>,
    Object(JoinRoomRequest {}): Object<JoinRoomRequest>,
) -> Result<Json<Join>> {
    let mut tx = app.db.tenant(user).await?;
    let row = open_to(&mut tx, path.room_id, user).await?;
    let me = users::find(&mut tx, user).await?.ok_or_else(|| ServiceError::not_found("room"))?;
    tx.rollback().await?;
    prepare(&app, &row).await;
    let role = if row.is_owned_by(user) { Role::Owner } else { Role::Member };
    let identity = user.to_string();
    let admission = Admission {
        room: RoomName::Room(path.room_id),
        identity: &identity,
        name: &me.display_name,
        terms: terms(&row),
    };
    Ok(Json(Join::sign(&app.joins, admission, row.name.clone(), role, app.now())?))
}

/// The room, if the caller sees it; whoever was removed from it learns that.
async fn open_to(tx: &mut PgConnection, id: RoomId, user: UserId) -> Result<RoomRow> {
    match visible(tx, id).await {
        Err(_) if removals::is_removed(tx, id, &user.to_string()).await? => Err(removed()),
        answer => answer,
    }
}

/// What somebody is told who was removed and asks to come in.
pub(super) fn removed() -> ServiceError {
    ServiceError::permission_denied("the host removed you from this room")
}

/// The room, if the caller sees it.
pub(super) async fn visible(tx: &mut PgConnection, id: RoomId) -> Result<RoomRow> {
    rooms::find(tx, id).await?.ok_or_else(|| ServiceError::not_found("room"))
}

/// The room, if it is the caller's; members learn that they may not, others that it does not exist.
pub(super) async fn owned(tx: &mut PgConnection, id: RoomId, user: UserId) -> Result<RoomRow> {
    let row = visible(tx, id).await?;
    if row.is_owned_by(user) {
        Ok(row)
    } else {
        Err(ServiceError::permission_denied("only the room's owner may do this"))
    }
}

/// Applies the room's limits in the SFU before somebody enters, also that it has none: the live room may not have heard of
/// the last change. Without the SFU nobody enters anyway.
pub(super) async fn prepare(app: &App, row: &RoomRow) {
    let (room, (max, metadata)) = (row.id.to_string(), terms_in_sfu(row));
    let limited = max > 0 || !metadata.is_empty();
    let applied = match app.sfu.reconfigure(&room, max, metadata.clone()).await {
        Ok(false) if limited => app.sfu.configure(&room, max, metadata).await,
        other => other.map(|_| ()),
    };
    if let Err(error) = applied {
        tracing::info!(%error, room.id = %row.id, "the room's limits are not applied yet");
    }
}

/// What tokens for the room say of it.
pub(super) fn terms(row: &RoomRow) -> RoomTerms<'_> {
    RoomTerms { max_participants: row.max_participants, metadata: row.metadata.as_ref() }
}

/// The room's limit, 0 for none, and its metadata, empty for none.
fn terms_in_sfu(row: &RoomRow) -> (u32, String) {
    let max = row.max_participants.and_then(|max| u32::try_from(max).ok()).unwrap_or(0);
    (max, row.metadata.as_ref().map(ToString::to_string).unwrap_or_default())
}

async fn with_live(app: &App, row: RoomRow, user: UserId) -> Room {
    let live = live(app, [row.id]).await;
    let live = live.map(|live| Live { participants: live.get(&row.id).copied().unwrap_or(0) });
    Room::new(row, user, live)
}

/// How many are in each room; None while the media server is away.
async fn live(app: &App, ids: impl IntoIterator<Item = Uuid>) -> Option<BTreeMap<Uuid, u32>> {
    let names = ids.into_iter().map(|id| id.to_string()).collect();
    let rooms = app.sfu.live_rooms(names).await.ok()?;
    Some(rooms.into_iter().filter_map(|room| Some((room.name.parse().ok()?, room.participants))).collect())
}

fn description(raw: Option<String>) -> Result<Option<String>, InvalidField> {
    match raw.as_deref().map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => Ok(Some(Description::parse(text)?.as_str().to_owned())),
    }
}

fn max_participants(raw: Option<i32>) -> Result<Option<i32>, InvalidField> {
    match raw {
        None | Some(2..=500) => Ok(raw),
        Some(_) => Err(InvalidField::new("max_participants", "must be 2 to 500")),
    }
}

fn metadata(raw: Option<BTreeMap<String, String>>) -> Result<Option<serde_json::Value>> {
    let Some(map) = raw else { return Ok(None) };
    if map.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > MAX_METADATA_BYTES {
        return Err(ServiceError::invalid("metadata", "must have at most 16 KiB"));
    }
    // Postgres cannot store it.
    if map.iter().any(|(key, value)| key.contains('\0') || value.contains('\0')) {
        return Err(ServiceError::invalid("metadata", "must not contain NUL"));
    }
    serde_json::to_value(map).map(Some).map_err(ServiceError::internal)
}
