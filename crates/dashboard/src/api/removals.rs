//! `/rooms/{room_id}/removed`: who was sent away from a room, and letting them back in.

use super::caller::CurrentUser;
use super::participants::ParticipantPath;
use super::problem::{Forbidden, Invalid, NotFound, Unauthenticated};
use super::rooms::{RoomPath, owned};
use crate::app::App;
use crate::model::{Items, RemovedPerson};
use crate::sfu::{guest_identity, is_same_person, parse_guest_identity, token_holder};
use crate::store::removals::{self, Removed};
use crate::store::{guests, rooms, users};
use aura_service::error::{Result, ServiceError};
use aura_service::http::{Json, Path};
use aura_types::{ErrorCode, RoomId, UserId};
use axum::extract::State;
use http::StatusCode;

/// Who was sent away, newest first, at most the last 1,000. Only the owner may.
#[utoipa::path(get, path = "/api/v1/rooms/{room_id}/removed", tag = "participants",
    params(RoomPath),
    responses((status = 200, description = "Done", body = Items<RemovedPerson>), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn list_removed(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<RoomPath>,
) -> Result<Json<Items<RemovedPerson>>> {
    let mut tx = app.db.tenant(user).await?;
    owned(&mut tx, path.room_id, user).await?;
    let rows = removals::list(&mut tx, path.room_id).await?;
    Ok(Json(Items { items: rows.into_iter().map(RemovedPerson::from).collect() }))
}

/// Lets somebody back in: a member is a member again, a guest may use the token they have. Only the owner may.
#[utoipa::path(delete, path = "/api/v1/rooms/{room_id}/removed/{identity}", tag = "participants",
    params(ParticipantPath),
    responses((status = 204, description = "Let back in"), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn let_back_in(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<ParticipantPath>,
) -> Result<StatusCode> {
    let mut tx = app.db.tenant(user).await?;
    owned(&mut tx, path.room_id, user).await?;
    let identity = token_holder(&path.identity);
    if !removals::delete(&mut tx, path.room_id, identity).await? {
        return Err(ServiceError::not_found("removed person"));
    }
    tx.commit().await?;
    app.removals.lift(path.room_id, identity).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends somebody away for good. Members and guests can be removed whether or not they are there.
pub(super) async fn remove(app: &App, owner: UserId, room: RoomId, identity: &str) -> Result<()> {
    let mut tx = app.db.tenant(owner).await?;
    owned(&mut tx, room, owner).await?;
    // Who is seen only by a second connection (`identity#name`) is whoever holds the token.
    let identity = token_holder(identity);
    if is_same_person(identity, owner) {
        return Err(ServiceError::new(ErrorCode::FailedPrecondition, "the owner cannot be removed"));
    }
    let guest = parse_guest_identity(identity);
    let member: Option<UserId> = identity.parse().ok();
    // Ids may be written in more than one way; the SFU knows one.
    let identity =
        &guest.map(guest_identity).or(member.map(|m| m.to_string())).unwrap_or(identity.to_owned());
    let known = match (guest, member) {
        (Some(guest), _) => guests::name(&mut tx, room, guest).await?,
        (None, Some(member)) if rooms::is_member(&mut tx, room, member).await? => {
            let mut system = app.db.system().await?;
            let member = users::find(&mut system, member).await?;
            system.rollback().await?;
            member.map(|member| member.display_name)
        }
        _ => None,
    };
    // What others put into the room (by the SFU's own API) has no row here.
    let person = known.as_ref().and(guest.or(member));
    let name = match known {
        Some(name) => name,
        None => live_name(app, room, identity).await?,
    };
    let removed = Removed { identity, person, name: &name };
    removals::insert(&mut tx, owner, room, &removed, app.now()).await?;
    tx.commit().await?;
    app.removals.enforce(room, identity).await;
    Ok(())
}

async fn live_name(app: &App, room: RoomId, identity: &str) -> Result<String> {
    let live = app.sfu.participants(&room.to_string()).await?;
    let found = live.into_iter().find(|participant| token_holder(&participant.identity) == identity);
    let found = found.ok_or_else(|| ServiceError::not_found("participant"))?;
    Ok(if found.name.is_empty() { found.identity } else { found.name })
}
