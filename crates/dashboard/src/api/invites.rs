//! `/rooms/{room_id}/invites` for owners, `/invites/{token}` for whoever was sent one.

use super::caller::{ClientAddress, CurrentUser, MaybeUser};
use super::list::ListQuery;
use super::object::Object;
use super::problem::{Forbidden, Invalid, NotFound, TooMany, Unauthenticated};
use super::rooms::{RoomPath, owned, prepare, removed, terms, visible};
use crate::accounts::guest_claims;
use crate::app::App;
use crate::engine::link::Limits;
use crate::engine::text::DisplayName;
use crate::model::{Invite, InvitePreview, Join, Page, Role};
use crate::secret;
use crate::sfu::{Admission, RoomName, guest_identity};
use crate::store::invites::{InviteRow, OpenInviteRow};
use crate::store::{guests, invites, removals, rooms, users};
use aura_service::error::{Result, ServiceError};
use aura_service::http::{Json, Path, Query};
use aura_types::{InviteId, RoomId, UserId};
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Deserialize;
use time::Duration;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// How long a guest may write and share files after joining.
const GUEST_LIFETIME: Duration = Duration::hours(12);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateInviteRequest {
    /// Never, when absent.
    #[schema(minimum = 1)]
    expires_in_s: Option<i64>,
    /// Any number, when absent.
    #[schema(minimum = 1)]
    max_uses: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptInviteRequest {
    /// What others see of a guest; required without an account, ignored with one.
    #[schema(max_length = 80)]
    display_name: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct InvitePath {
    #[param(value_type = Uuid)]
    room_id: RoomId,
    #[param(value_type = Uuid)]
    invite_id: InviteId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TokenPath {
    /// The secret part of the link.
    token: String,
}

/// Makes a link into the room. Its token appears in this reply only. Only the owner may.
#[utoipa::path(post, path = "/api/v1/rooms/{room_id}/invites", tag = "invites",
    request_body = CreateInviteRequest, params(RoomPath),
    responses((status = 201, description = "Created", body = Invite), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn create_invite(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<RoomPath>,
    Object(body): Object<CreateInviteRequest>,
) -> Result<impl IntoResponse> {
    let now = app.now();
    let limits = Limits::parse(body.expires_in_s, body.max_uses, "max_uses", now)?;
    let token = secret::random_token();
    let mut tx = app.db.tenant(user).await?;
    owned(&mut tx, path.room_id, user).await?;
    let hash = secret::token_hash(&token);
    let row = invites::insert(&mut tx, InviteId::generate(), user, path.room_id, &hash, limits, now).await?;
    tx.commit().await?;
    let url = app.site.link("join", &token);
    Ok((StatusCode::CREATED, Json(Invite::created(row, token, url))))
}

/// The room's links, without their tokens. Only the owner may.
#[utoipa::path(get, path = "/api/v1/rooms/{room_id}/invites", tag = "invites",
    params(RoomPath, ListQuery),
    responses((status = 200, description = "Done", body = Page<Invite>), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn list_invites(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<RoomPath>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Invite>>> {
    let window = query.window()?;
    let mut tx = app.db.tenant(user).await?;
    owned(&mut tx, path.room_id, user).await?;
    let (rows, next_cursor) =
        window.cut(invites::list(&mut tx, user, path.room_id, &window).await?, InviteRow::position);
    Ok(Json(Page { items: rows.into_iter().map(Invite::listed).collect(), next_cursor }))
}

/// Stops a link from working. Whoever joined through it stays. Only the owner may.
#[utoipa::path(delete, path = "/api/v1/rooms/{room_id}/invites/{invite_id}", tag = "invites",
    params(InvitePath),
    responses((status = 204, description = "Revoked"), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn revoke_invite(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<InvitePath>,
) -> Result<StatusCode> {
    let mut tx = app.db.tenant(user).await?;
    owned(&mut tx, path.room_id, user).await?;
    if !invites::revoke(&mut tx, user, path.room_id, path.invite_id, app.now()).await? {
        return Err(ServiceError::not_found("invitation"));
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a link leads to.
#[utoipa::path(get, path = "/api/v1/invites/{token}", tag = "invites", security(()),
    params(TokenPath),
    responses((status = 200, description = "Done", body = InvitePreview), NotFound, TooMany))]
pub(super) async fn read_invite(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Path(path): Path<TokenPath>,
) -> Result<Json<InvitePreview>> {
    app.throttle.link(address).await?;
    let mut tx = app.db.system().await?;
    let open = usable(&mut tx, &app, &path.token).await?;
    tx.rollback().await?;
    Ok(Json(InvitePreview {
        room_name: open.room_name,
        host_name: open.host_name,
        guests_allowed: open.guests_allowed,
    }))
}

/// Takes a link up: with an account the caller becomes a member, without one a guest, if the room allows guests.
#[utoipa::path(post, path = "/api/v1/invites/{token}/join", tag = "invites", security((), ("bearer" = [])),
    request_body = AcceptInviteRequest, params(TokenPath),
    responses((status = 200, description = "Done", body = Join), Invalid, Unauthenticated, Forbidden, NotFound, TooMany))]
pub(super) async fn accept_invite(
    State(app): State<App>,
    MaybeUser(user): MaybeUser,
    ClientAddress(address): ClientAddress,
    Path(path): Path<TokenPath>,
    Object(body): Object<AcceptInviteRequest>,
) -> Result<Json<Join>> {
    app.throttle.link(address).await?;
    let mut tx = app.db.system().await?;
    let open = usable(&mut tx, &app, &path.token).await?;
    let joined = match user {
        Some(user) => as_member(&app, &mut tx, &open, user).await?,
        None => as_guest(&app, &mut tx, &open, body.display_name).await?,
    };
    tx.commit().await?;
    let room = RoomId::from_uuid(open.room_id);
    let mut tx = app.db.tenant(joined.tenant).await?;
    let row = visible(&mut tx, room).await?;
    tx.rollback().await?;
    prepare(&app, &row).await;
    let admission = Admission {
        room: RoomName::Room(room),
        identity: &joined.identity,
        name: &joined.name,
        terms: terms(&row),
    };
    let join = Join::sign(&app.joins, admission, open.room_name, joined.role, app.now())?;
    Ok(Json(Join { guest_token: joined.guest_token, ..join }))
}

struct Joined {
    tenant: UserId,
    identity: String,
    name: String,
    role: Role,
    guest_token: Option<String>,
}

async fn as_member(
    app: &App,
    tx: &mut sqlx::PgConnection,
    open: &OpenInviteRow,
    user: UserId,
) -> Result<Joined> {
    let gone = || ServiceError::unauthenticated("the account no longer exists");
    let me = users::find(tx, user).await?.ok_or_else(gone)?;
    let is_owner = open.owner_id == user.uuid();
    if removals::is_removed(tx, RoomId::from_uuid(open.room_id), &user.to_string()).await? {
        return Err(removed());
    }
    // Who is in already uses nothing up.
    if !is_owner
        && rooms::add_member(tx, open.owner_id, RoomId::from_uuid(open.room_id), user, app.now()).await?
    {
        invites::count_use(tx, open).await?;
    }
    let role = if is_owner { Role::Owner } else { Role::Member };
    Ok(Joined { tenant: user, identity: user.to_string(), name: me.display_name, role, guest_token: None })
}

async fn as_guest(
    app: &App,
    tx: &mut sqlx::PgConnection,
    open: &OpenInviteRow,
    name: Option<String>,
) -> Result<Joined> {
    if !open.guests_allowed {
        return Err(ServiceError::unauthenticated("this room asks everyone to log in"));
    }
    let name = name.ok_or_else(|| ServiceError::invalid("display_name", "is required without an account"))?;
    let name = DisplayName::parse(&name)?;
    let (guest, now) = (UserId::from_uuid(Uuid::new_v4()), app.now());
    let room = RoomId::from_uuid(open.room_id);
    guests::insert(tx, open.owner_id, room, guest, name.as_str(), now, now + GUEST_LIFETIME).await?;
    invites::count_use(tx, open).await?;
    let claims = guest_claims(guest, open.room_id, now, GUEST_LIFETIME);
    let token = app.keys.sign(&claims).map_err(ServiceError::internal)?;
    Ok(Joined {
        tenant: guest,
        identity: guest_identity(guest),
        name: name.as_str().to_owned(),
        role: Role::Guest,
        guest_token: Some(token),
    })
}

/// Unknown, expired, revoked and used up look the same.
async fn usable(tx: &mut sqlx::PgConnection, app: &App, token: &str) -> Result<OpenInviteRow> {
    let open = invites::lock(tx, &secret::token_hash(token)).await?;
    open.filter(|open| open.is_usable(app.now())).ok_or_else(|| ServiceError::not_found("invitation"))
}
