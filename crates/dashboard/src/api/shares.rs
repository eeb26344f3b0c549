//! `/files/{file_id}/shares` for those who share, `/shares/{token}` for whoever was sent a link.

use super::caller::{ClientAddress, CurrentUser};
use super::download::{Binary, send};
use super::files::FilePath;
use super::list::ListQuery;
use super::object::Object;
use super::problem::{Forbidden, Invalid, NotFound, TooMany, Unauthenticated};
use crate::app::App;
use crate::engine::link::Limits;
use crate::model::{Page, Share, SharePreview};
use crate::secret;
use crate::store::files::{self, FileRow};
use crate::store::shares::{self, OpenShareRow, ShareRow};
use aura_service::error::{Result, ServiceError};
use aura_service::http::{Json, Path, Query};
use aura_types::{FileId, ShareId, UserId};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};

const MAX_PASSWORD_BYTES: usize = 512;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateShareRequest {
    /// Never, when absent.
    #[schema(minimum = 1)]
    expires_in_s: Option<i64>,
    /// Asked for before the download.
    #[schema(min_length = 1, max_length = 512)]
    password: Option<String>,
    /// Any number, when absent.
    #[schema(minimum = 1)]
    max_downloads: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DownloadShareRequest {
    password: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SharePath {
    #[param(value_type = Uuid)]
    file_id: FileId,
    #[param(value_type = Uuid)]
    share_id: ShareId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TokenPath {
    /// The secret part of the link.
    token: String,
}

/// Makes a link to the file. Its token appears in this reply only. The uploader and the room's owner may.
#[utoipa::path(post, path = "/api/v1/files/{file_id}/shares", tag = "shares",
    request_body = CreateShareRequest, params(FilePath),
    responses((status = 201, description = "Created", body = Share), Invalid, Unauthenticated, Forbidden, NotFound, TooMany))]
pub(super) async fn create_share(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<FilePath>,
    Object(body): Object<CreateShareRequest>,
) -> Result<impl IntoResponse> {
    let now = app.now();
    let limits = Limits::parse(body.expires_in_s, body.max_downloads, "max_downloads", now)?;
    if body
        .password
        .as_ref()
        .is_some_and(|password| password.is_empty() || password.len() > MAX_PASSWORD_BYTES)
    {
        return Err(ServiceError::invalid("password", "must have 1 to 512 bytes"));
    }
    let mut tx = app.db.tenant(user).await?;
    managed(&mut tx, path.file_id, user).await?;
    tx.rollback().await?;
    let password_hash = match body.password {
        Some(password) => Some(app.passwords.hash(password).await?),
        None => None,
    };
    let token = secret::random_token();
    let mut tx = app.db.tenant(user).await?;
    let file = managed(&mut tx, path.file_id, user).await?;
    let share = shares::NewShare {
        id: ShareId::generate(),
        created_by: user,
        token_hash: secret::token_hash(&token),
        password_hash,
        limits,
    };
    let row = shares::insert(&mut tx, &file, &share, now).await?;
    tx.commit().await?;
    let url = app.site.link("share", &token);
    Ok((StatusCode::CREATED, Json(Share::created(row, token, url))))
}

/// The file's links the caller may manage, without their tokens.
#[utoipa::path(get, path = "/api/v1/files/{file_id}/shares", tag = "shares",
    params(FilePath, ListQuery),
    responses((status = 200, description = "Done", body = Page<Share>), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn list_shares(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<FilePath>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Share>>> {
    let window = query.window()?;
    let mut tx = app.db.tenant(user).await?;
    let file = managed(&mut tx, path.file_id, user).await?;
    let (rows, next_cursor) = window.cut(shares::list(&mut tx, &file, &window).await?, ShareRow::position);
    Ok(Json(Page { items: rows.into_iter().map(Share::listed).collect(), next_cursor }))
}

/// Stops a link from working.
#[utoipa::path(delete, path = "/api/v1/files/{file_id}/shares/{share_id}", tag = "shares",
    params(SharePath),
    responses((status = 204, description = "Revoked"), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn revoke_share(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<SharePath>,
) -> Result<StatusCode> {
    let mut tx = app.db.tenant(user).await?;
    let file = managed(&mut tx, path.file_id, user).await?;
    if !shares::revoke(&mut tx, &file, path.share_id, app.now()).await? {
        return Err(ServiceError::not_found("share"));
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a link hands out.
#[utoipa::path(get, path = "/api/v1/shares/{token}", tag = "shares", security(()),
    params(TokenPath),
    responses((status = 200, description = "Done", body = SharePreview), NotFound, TooMany))]
pub(super) async fn read_share(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Path(path): Path<TokenPath>,
) -> Result<Json<SharePreview>> {
    app.throttle.link(address).await?;
    Ok(Json(SharePreview::from(&usable(&app, &path.token).await?)))
}

/// The bytes, as an attachment. Counts as a download when they start to flow.
#[utoipa::path(post, path = "/api/v1/shares/{token}/download", tag = "shares", security(()),
    request_body = DownloadShareRequest, params(TokenPath),
    responses((status = 200, description = "Done", body = Binary, content_type = "application/octet-stream"),
              Invalid, Forbidden, NotFound, TooMany))]
pub(super) async fn download_share(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Path(path): Path<TokenPath>,
    Object(body): Object<DownloadShareRequest>,
) -> Result<Response> {
    app.throttle.link(address).await?;
    let open = usable(&app, &path.token).await?;
    if let Some(hash) = &open.share.password_hash {
        app.throttle.share_password(address, open.share.id).await?;
        let password = body.password.unwrap_or_default();
        if !app.passwords.verify(password, Some(hash.clone())).await?.matches {
            let error = ServiceError::permission_denied("the password is missing or wrong");
            return Err(error.with_field("password", "is missing or wrong"));
        }
    }
    let mut tx = app.db.system().await?;
    if !shares::count_download(&mut tx, &open, app.now()).await? {
        return Err(ServiceError::not_found("share"));
    }
    let response = send(&app, &open.storage_key, &open.name, &open.content_type, open.size_bytes).await?;
    tx.commit().await?;
    Ok(response)
}

/// The file, if the caller may hand it out.
async fn managed(tx: &mut PgConnection, id: FileId, user: UserId) -> Result<FileRow> {
    let row = files::find(tx, id).await?.ok_or_else(|| ServiceError::not_found("file"))?;
    if row.is_managed_by(user) {
        Ok(row)
    } else {
        Err(ServiceError::permission_denied("only the uploader and the room's owner may do this"))
    }
}

/// Unknown, expired, revoked and used up look the same.
async fn usable(app: &App, token: &str) -> Result<OpenShareRow> {
    let mut tx = app.db.system().await?;
    let open = shares::find(&mut tx, &secret::token_hash(token)).await?;
    open.filter(|open| open.share.is_usable(app.now())).ok_or_else(|| ServiceError::not_found("share"))
}
