//! Who is calling: extractors that turn a Bearer token into a user or a room's guest.
//!
//! A guest's token is limited to one room. Handlers that do not expect guests take `CurrentUser`, which refuses
//! them; handlers that do take `Actor` and must check the room.

use crate::app::App;
use crate::sfu;
use aura_service::auth::user::UserClaims;
use aura_service::error::{Result, ServiceError};
pub(super) use aura_service::http::ClientAddress;
use aura_service::http::bearer;
use aura_types::{RoomId, SessionId, UserId};
use axum::extract::FromRequestParts;
use http::request::Parts;
use time::OffsetDateTime;

/// What a valid token says about its bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    User(UserId),
    Guest { id: UserId, room: RoomId },
}

/// Reads a token. Claims that are neither a user's nor a guest's are refused.
fn token_subject(app: &App, token: &str) -> Result<Subject> {
    let claims = app.keys.verify(token, app.now())?;
    subject(&claims).ok_or_else(|| ServiceError::unauthenticated("the token is not one of ours"))
}

/// A user's token, with the login it was issued in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenLogin {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) expires_at: OffsetDateTime,
}

/// Reads a user's token; guests have no login.
pub(crate) fn token_login(app: &App, token: &str) -> Result<TokenLogin> {
    let claims = app.keys.verify(token, app.now())?;
    let refused = || ServiceError::unauthenticated("the token is not one of ours");
    let Some(Subject::User(user)) = subject(&claims) else { return Err(refused()) };
    let session = claims.sid.parse().map_err(|_| refused())?;
    let expires_at = OffsetDateTime::from_unix_timestamp(claims.exp).map_err(|_| refused())?;
    Ok(TokenLogin { user, session, expires_at })
}

fn subject(claims: &UserClaims) -> Option<Subject> {
    match &claims.scope {
        None => claims.sub.parse().ok().map(Subject::User),
        Some(scope) => Some(Subject::Guest {
            id: sfu::parse_guest_identity(&claims.sub)?,
            room: scope.strip_prefix("room:")?.parse().ok()?,
        }),
    }
}

async fn authenticate(parts: &Parts, app: &App) -> Result<Subject> {
    let token =
        bearer(&parts.headers).ok_or_else(|| ServiceError::unauthenticated("a Bearer token is needed"))?;
    let subject = token_subject(app, token)?;
    let (Subject::User(id) | Subject::Guest { id, .. }) = subject;
    tracing::Span::current().record("user.id", tracing::field::display(id));
    app.throttle.request(&id.to_string()).await?;
    Ok(subject)
}

/// A logged-in user.
#[derive(Debug, Clone, Copy)]
pub(super) struct CurrentUser(pub(super) UserId);

impl FromRequestParts<App> for CurrentUser {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        match authenticate(parts, app).await? {
            Subject::User(id) => Ok(Self(id)),
            Subject::Guest { .. } => Err(ServiceError::permission_denied("guests may not do this")),
        }
    }
}

/// A user, or nobody in particular; a token that is sent must still be good.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaybeUser(pub(super) Option<UserId>);

impl FromRequestParts<App> for MaybeUser {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        if !parts.headers.contains_key(http::header::AUTHORIZATION) {
            return Ok(Self(None));
        }
        CurrentUser::from_request_parts(parts, app).await.map(|CurrentUser(id)| Self(Some(id)))
    }
}

/// A user or a guest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Actor(Subject);

impl Actor {
    /// Whose transaction to open.
    pub(super) fn tenant(&self) -> UserId {
        let (Subject::User(id) | Subject::Guest { id, .. }) = self.0;
        id
    }

    pub(super) fn is_guest(&self) -> bool {
        matches!(self.0, Subject::Guest { .. })
    }

    /// The participant identity in rooms.
    pub(super) fn identity(&self) -> String {
        match self.0 {
            Subject::User(id) => id.to_string(),
            Subject::Guest { id, .. } => sfu::guest_identity(id),
        }
    }

    /// A guest's token opens one room; others do not exist for it. For users the database decides.
    pub(super) fn check_room(&self, room: RoomId) -> Result<()> {
        match self.0 {
            Subject::Guest { room: own, .. } if own != room => Err(ServiceError::not_found("room")),
            _ => Ok(()),
        }
    }
}

impl From<CurrentUser> for Actor {
    fn from(CurrentUser(user): CurrentUser) -> Self {
        Self(Subject::User(user))
    }
}

impl FromRequestParts<App> for Actor {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        authenticate(parts, app).await.map(Self)
    }
}
