//! `/rooms/{room_id}/messages`: chat that late joiners can read.

use super::caller::Actor;
use super::object::Object;
use super::problem::{Conflict, Invalid, NotFound, Unauthenticated};
use super::rooms::{RoomPath, visible};
use crate::app::App;
use crate::engine::page::Window;
use crate::engine::text::MessageText;
use crate::model::{Message, Page};
use crate::store::messages::{MessageRow, Sender};
use crate::store::{guests, messages, users};
use aura_service::error::{Result, ServiceError};
use aura_service::http::{Json, Path, Query};
use aura_types::{MessageId, RoomId};
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// `next_cursor` of the page after: reads on into the past.
    before: Option<String>,
    /// 1 to 100; 50 when absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PostMessageRequest {
    /// Made by the client; sending the same message again is safe.
    #[schema(value_type = Uuid)]
    id: MessageId,
    #[schema(min_length = 1, max_length = 4000)]
    text: String,
}

/// The latest messages, oldest first; `before` reads on into the past. Guests of the room may.
#[utoipa::path(get, path = "/api/v1/rooms/{room_id}/messages", tag = "messages",
    params(RoomPath, HistoryQuery),
    responses((status = 200, description = "Done", body = Page<Message>), Invalid, Unauthenticated, NotFound))]
pub(super) async fn list_messages(
    State(app): State<App>,
    actor: Actor,
    Path(path): Path<RoomPath>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<Page<Message>>> {
    let window = Window::parse(query.limit, query.before.as_deref()).map_err(|mut fault| {
        if fault.field == "cursor" {
            fault.field = "before".into();
        }
        fault
    })?;
    actor.check_room(path.room_id)?;
    let mut tx = app.db.tenant(actor.tenant()).await?;
    visible(&mut tx, path.room_id).await?;
    let rows = messages::list(&mut tx, path.room_id, &window).await?;
    let (rows, next_cursor) = window.cut(rows, MessageRow::position);
    Ok(Json(Page { items: rows.into_iter().rev().map(Message::from).collect(), next_cursor }))
}

/// Keeps a message. The same id with the same text from the same sender is the same message; anything else under a
/// used id is refused. Guests of the room may.
#[utoipa::path(post, path = "/api/v1/rooms/{room_id}/messages", tag = "messages",
    request_body = PostMessageRequest, params(RoomPath),
    responses((status = 201, description = "Created", body = Message), Invalid, Unauthenticated, NotFound, Conflict))]
pub(super) async fn post_message(
    State(app): State<App>,
    actor: Actor,
    Path(path): Path<RoomPath>,
    Object(body): Object<PostMessageRequest>,
) -> Result<impl IntoResponse> {
    let text = MessageText::parse(&body.text)?;
    actor.check_room(path.room_id)?;
    let mut tx = app.db.tenant(actor.tenant()).await?;
    let room = visible(&mut tx, path.room_id).await?;
    let sender = Sender {
        id: actor.tenant(),
        identity: actor.identity(),
        name: name_in_room(&mut tx, &actor, path.room_id).await?,
    };
    let row = messages::insert(
        &mut tx,
        room.owner.user_id,
        path.room_id,
        body.id,
        &sender,
        text.as_str(),
        app.now(),
    )
    .await?;
    if row.sender_id != sender.id.uuid() || row.text != text.as_str() {
        return Err(ServiceError::already_exists("id", "is another message's"));
    }
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(Message::from(row))))
}

/// What others in the room see of the caller.
pub(super) async fn name_in_room(tx: &mut PgConnection, actor: &Actor, room: RoomId) -> Result<String> {
    let name = if actor.is_guest() {
        guests::name(tx, room, actor.tenant()).await?
    } else {
        users::find(tx, actor.tenant()).await?.map(|user| user.display_name)
    };
    name.ok_or_else(|| ServiceError::not_found("room"))
}
