//! `/auth`: accounts and logins.
//!
//! Browsers keep the refresh token in a cookie scripts cannot read, sent to these paths by our own pages only.

use super::caller::{ClientAddress, CurrentUser};
use super::object::Object;
use super::problem::{Conflict, Forbidden, Invalid, TooMany, Unauthenticated};
use crate::accounts::Login;
use crate::app::App;
use crate::engine::text::{DisplayName, Email};
use crate::model::{Session, User};
use crate::site::Site;
use crate::store::users;
use aura_service::error::{Result, ServiceError};
use aura_service::http::Json;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse};
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;

const COOKIE: &str = "aura_refresh";

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterRequest {
    #[schema(format = "email", max_length = 254)]
    email: String,
    /// At least 10 characters, not one of the most used.
    #[schema(format = "password", min_length = 10)]
    password: String,
    #[schema(min_length = 1, max_length = 80)]
    display_name: String,
    /// Put the refresh token into a cookie instead of the reply.
    #[serde(default)]
    use_cookie: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginRequest {
    #[schema(format = "email")]
    email: String,
    #[schema(format = "password")]
    password: String,
    /// Put the refresh token into a cookie instead of the reply.
    #[serde(default)]
    use_cookie: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshRequest {
    /// Absent: the one in the cookie.
    refresh_token: Option<String>,
    /// Put the new one into a cookie; assumed when the old one came in a cookie.
    #[serde(default)]
    use_cookie: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogoutRequest {
    /// Absent: the one in the cookie.
    refresh_token: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateMeRequest {
    #[schema(min_length = 1, max_length = 80)]
    display_name: Option<String>,
}

/// Creates an account with its AuraID and logs it in.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "auth", security(()),
    request_body = RegisterRequest, responses((status = 201, description = "Created", body = Session), Invalid, Conflict, TooMany))]
pub(super) async fn register(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Object(body): Object<RegisterRequest>,
) -> Result<impl IntoResponse> {
    app.throttle.register(address).await?;
    let email = Email::parse(&body.email)?;
    let name = DisplayName::parse(&body.display_name)?;
    let login = app.accounts.register(email, name, body.password).await?;
    Ok((StatusCode::CREATED, session(&app.site, login, body.use_cookie)))
}

/// Logs in. Slow on purpose, and equally slow for accounts that do not exist.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "auth", security(()),
    request_body = LoginRequest, responses((status = 200, description = "Done", body = Session), Invalid, Unauthenticated, TooMany))]
pub(super) async fn login(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Object(body): Object<LoginRequest>,
) -> Result<impl IntoResponse> {
    let email = Email::parse(&body.email)?;
    app.throttle.login(address, &email.key()).await?;
    let login = app.accounts.login(&email, body.password).await?;
    Ok(session(&app.site, login, body.use_cookie))
}

/// Exchanges a refresh token for a new session. Each works once. For some seconds (`tokens.refresh_grace_s`) a second
/// use is taken for the first one whose answer was lost, and gets the same new token; after that it ends the login
/// everywhere.
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "auth", security(()),
    request_body = RefreshRequest, responses((status = 200, description = "Done", body = Session), Invalid, Unauthenticated, Forbidden, TooMany))]
pub(super) async fn refresh(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    Object(body): Object<RefreshRequest>,
) -> Result<impl IntoResponse> {
    app.throttle.refresh(address).await?;
    let (token, from_cookie) = presented(&app.site, &headers, body.refresh_token)?;
    let token = token.ok_or_else(|| ServiceError::unauthenticated("log in again"))?;
    let login = app.accounts.refresh(&token).await?;
    Ok(session(&app.site, login, body.use_cookie || from_cookie))
}

/// Ends the login the refresh token belongs to, on every device that shares it.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "auth", security(()),
    request_body = LogoutRequest, responses((status = 204, description = "Logged out, or was not logged in"), Invalid, Forbidden))]
pub(super) async fn logout(
    State(app): State<App>,
    headers: HeaderMap,
    Object(body): Object<LogoutRequest>,
) -> Result<impl IntoResponse> {
    if let (Some(token), _) = presented(&app.site, &headers, body.refresh_token)? {
        app.accounts.logout(&token).await?;
    }
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, cookie(&app.site, "", 0))])))
}

/// The account of the caller.
#[utoipa::path(get, path = "/api/v1/auth/me", tag = "auth",
    responses((status = 200, description = "Done", body = User), Unauthenticated, Forbidden))]
pub(super) async fn me(State(app): State<App>, CurrentUser(user): CurrentUser) -> Result<Json<User>> {
    let mut tx = app.db.tenant(user).await?;
    let row = users::find(&mut tx, user).await?.ok_or_else(gone)?;
    Ok(Json(row.into()))
}

/// Changes what is given.
#[utoipa::path(patch, path = "/api/v1/auth/me", tag = "auth",
    request_body = UpdateMeRequest, responses((status = 200, description = "Done", body = User), Invalid, Unauthenticated, Forbidden))]
pub(super) async fn update_me(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Object(body): Object<UpdateMeRequest>,
) -> Result<Json<User>> {
    let name = body.display_name.as_deref().map(DisplayName::parse).transpose()?;
    let mut tx = app.db.tenant(user).await?;
    let row = match name {
        Some(name) => users::rename(&mut tx, user, &name, app.now()).await?,
        None => users::find(&mut tx, user).await?,
    };
    let row = row.ok_or_else(gone)?;
    tx.commit().await?;
    Ok(Json(row.into()))
}

fn gone() -> ServiceError {
    ServiceError::unauthenticated("the account no longer exists")
}

type SetCookie = Option<AppendHeaders<[(HeaderName, String); 1]>>;

fn session(site: &Site, login: Login, use_cookie: bool) -> (SetCookie, Json<Session>) {
    let header = use_cookie.then(|| {
        let cookie = cookie(site, &login.refresh_token, login.refresh_lifetime.whole_seconds());
        AppendHeaders([(header::SET_COOKIE, cookie)])
    });
    let session = Session {
        access_token: login.access_token,
        token_type: "Bearer",
        expires_in: login.access_lifetime.whole_seconds(),
        refresh_token: (!use_cookie).then_some(login.refresh_token),
        user: login.user.into(),
    };
    (header, Json(session))
}

fn cookie(site: &Site, token: &str, max_age_s: i64) -> String {
    let secure = if site.is_https() { "; Secure" } else { "" };
    format!("{COOKIE}={token}; Path=/api/v1/auth; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}")
}

/// The refresh token of a request, and whether it came in the cookie. Cookies count from our own pages only.
fn presented(site: &Site, headers: &HeaderMap, in_body: Option<String>) -> Result<(Option<String>, bool)> {
    if in_body.is_some() {
        return Ok((in_body, false));
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let token = cookies
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
        .filter(|token| !token.is_empty())
        .map(str::to_owned);
    if token.is_some() && !site.is_own_origin(headers) {
        return Err(ServiceError::permission_denied("not from this site"));
    }
    Ok((token, true))
}
