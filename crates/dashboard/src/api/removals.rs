//! `/rooms/{room_id}/removed`: who was sent away from a room, and letting them back in.

use super::caller::CurrentUser;
use super::participants::ParticipantPath;
use super::problem::{Forbidden, Invalid, NotFound, Unauthenticated};
use super::rooms::{RoomPath, owned};
use crate::app::App;
use crate::model::{Items, RemovedPerson};
use crate::sfu::{guest_identity, parse_guest_identity, token_holder};
use crate::store::removals::{self, Removed};
use crate::store::{guests, invites, rooms, users};
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
    let who = Who::parse(&path.identity);
    if !removals::delete(&mut tx, path.room_id, &who.identity).await? {
        return Err(ServiceError::not_found("removed person"));
    }
    tx.commit().await?;
    app.removals.changed(path.room_id, &who.identity).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Somebody as the SFU knows them.
struct Who {
    identity: String,
    guest: Option<UserId>,
    member: Option<UserId>,
}

impl Who {
    /// Ids may be written in more than one way, and who is seen only by a second connection (`identity#name`) is whoever
    /// holds the token.
    fn parse(identity: &str) -> Self {
        let identity = token_holder(identity);
        let (guest, member) = (parse_guest_identity(identity), identity.parse::<UserId>().ok());
        let known = guest.map(guest_identity).or(member.map(|member| member.to_string()));
        Self { identity: known.unwrap_or_else(|| identity.to_owned()), guest, member }
    }
}

/// Sends somebody away for good, and has every link into the room stop if that is asked for. Members and guests can be
/// removed whether or not they are there.
///
/// One transaction at a time, and none while the SFU is asked: its silence must cost nobody else a connection.
pub(super) async fn remove(
    app: &App,
    owner: UserId,
    room: RoomId,
    identity: &str,
    revoke_invites: bool,
) -> Result<()> {
    let who = Who::parse(identity);
    let mut tx = app.db.tenant(owner).await?;
    owned(&mut tx, room, owner).await?;
    if who.member == Some(owner) {
        return Err(ServiceError::new(ErrorCode::FailedPrecondition, "the owner cannot be removed"));
    }
    let guest_name = match who.guest {
        Some(guest) => guests::name(&mut tx, room, guest).await?,
        None => None,
    };
    let is_member = match who.member {
        Some(member) => rooms::is_member(&mut tx, room, member).await?,
        None => false,
    };
    tx.rollback().await?;
    let known = match who.member.filter(|_| is_member) {
        Some(member) => account_name(app, member).await?,
        None => guest_name,
    };
    // What others put into the room (by the SFU's own API) is known there alone.
    let name = match known {
        Some(name) => name,
        None => live_name(app, room, &who.identity).await?,
    };

    let mut tx = app.db.tenant(owner).await?;
    owned(&mut tx, room, owner).await?;
    let removed = Removed { identity: &who.identity, person: who.guest.or(who.member), name: &name };
    removals::insert(&mut tx, owner, room, &removed, app.now()).await?;
    if revoke_invites {
        invites::revoke_all(&mut tx, owner, room, app.now()).await?;
    }
    tx.commit().await?;
    app.removals.changed(room, &who.identity).await;
    Ok(())
}

async fn account_name(app: &App, member: UserId) -> Result<Option<String>> {
    let mut tx = app.db.system().await?;
    let account = users::find(&mut tx, member).await?;
    tx.rollback().await?;
    Ok(account.map(|account| account.display_name))
}

async fn live_name(app: &App, room: RoomId, identity: &str) -> Result<String> {
    let live = app.sfu.participants(&room.to_string()).await?;
    let found = live.into_iter().find(|participant| token_holder(&participant.identity) == identity);
    let found = found.ok_or_else(|| ServiceError::not_found("participant"))?;
    Ok(if found.name.is_empty() { found.identity } else { found.name })
}
