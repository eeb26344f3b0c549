//! `/files` and `/rooms/{room_id}/files`: shared files.

use super::caller::{Actor, CurrentUser};
use super::download::{Binary, send};
use super::list::ListQuery;
use super::messages::name_in_room;
use super::problem::{Forbidden, Invalid, NotFound, TooLarge, Unauthenticated};
use super::rooms::{RoomPath, visible};
use crate::app::App;
use crate::engine::file_name;
use crate::files::{Received, UploadError};
use crate::model::{File, Page};
use crate::store::files::{self, FileRow};
use crate::store::users;
use aura_service::error::{Result, ServiceError};
use aura_service::http::{Json, Path, Query};
use aura_types::{ErrorCode, FileId, RoomId};
use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A form with one file in it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form")]
pub(super) struct UploadForm {
    file: Binary,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct FilePath {
    #[param(value_type = Uuid)]
    pub(super) file_id: FileId,
}

/// Uploads a file of one's own.
#[utoipa::path(post, path = "/api/v1/files", tag = "files",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "Created", body = File), Invalid, Unauthenticated, Forbidden, TooLarge))]
pub(super) async fn upload_file(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    form: std::result::Result<Multipart, MultipartRejection>,
) -> Result<impl IntoResponse> {
    let upload = receive(&app, form).await?;
    let key = upload.received.storage_key.clone();
    let stored = async {
        let mut tx = app.db.tenant(user).await?;
        let name =
            users::find(&mut tx, user).await?.ok_or_else(|| ServiceError::not_found("account"))?.display_name;
        let row = upload.into_row(&app, user.uuid(), None, user.uuid(), name);
        files::insert(&mut tx, &row).await?;
        tx.commit().await?;
        Ok(row)
    }
    .await;
    kept(&app, key, stored).await
}

/// Uploads a file into a room. Guests of the room may.
#[utoipa::path(post, path = "/api/v1/rooms/{room_id}/files", tag = "files",
    params(RoomPath),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "Created", body = File), Invalid, Unauthenticated, NotFound, TooLarge))]
pub(super) async fn upload_room_file(
    State(app): State<App>,
    actor: Actor,
    Path(path): Path<RoomPath>,
    form: std::result::Result<Multipart, MultipartRejection>,
) -> Result<impl IntoResponse> {
    actor.check_room(path.room_id)?;
    // Before the bytes: a stranger's upload is not worth receiving.
    let mut tx = app.db.tenant(actor.tenant()).await?;
    visible(&mut tx, path.room_id).await?;
    tx.rollback().await?;
    let upload = receive(&app, form).await?;
    let key = upload.received.storage_key.clone();
    let stored = async {
        let mut tx = app.db.tenant(actor.tenant()).await?;
        let owner = visible(&mut tx, path.room_id).await?.owner.user_id;
        let name = name_in_room(&mut tx, &actor, path.room_id).await?;
        let row = upload.into_row(&app, owner, Some(path.room_id), actor.tenant().uuid(), name);
        files::insert(&mut tx, &row).await?;
        tx.commit().await?;
        Ok(row)
    }
    .await;
    kept(&app, key, stored).await
}

/// Files the caller uploaded, anywhere, newest first.
#[utoipa::path(get, path = "/api/v1/files", tag = "files",
    params(ListQuery),
    responses((status = 200, description = "Done", body = Page<File>), Invalid, Unauthenticated, Forbidden))]
pub(super) async fn list_files(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<File>>> {
    let window = query.window()?;
    let mut tx = app.db.tenant(user).await?;
    let (rows, next_cursor) =
        window.cut(files::list_uploaded(&mut tx, user, &window).await?, FileRow::position);
    Ok(Json(Page { items: rows.into_iter().map(File::from).collect(), next_cursor }))
}

/// Files of a room, newest first. Guests of the room may.
#[utoipa::path(get, path = "/api/v1/rooms/{room_id}/files", tag = "files",
    params(RoomPath, ListQuery),
    responses((status = 200, description = "Done", body = Page<File>), Invalid, Unauthenticated, NotFound))]
pub(super) async fn list_room_files(
    State(app): State<App>,
    actor: Actor,
    Path(path): Path<RoomPath>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<File>>> {
    let window = query.window()?;
    actor.check_room(path.room_id)?;
    let mut tx = app.db.tenant(actor.tenant()).await?;
    visible(&mut tx, path.room_id).await?;
    let (rows, next_cursor) =
        window.cut(files::list_room(&mut tx, path.room_id, &window).await?, FileRow::position);
    Ok(Json(Page { items: rows.into_iter().map(File::from).collect(), next_cursor }))
}

/// One file's description. Guests of its room may.
#[utoipa::path(get, path = "/api/v1/files/{file_id}", tag = "files",
    params(FilePath),
    responses((status = 200, description = "Done", body = File), Invalid, Unauthenticated, NotFound))]
pub(super) async fn read_file(
    State(app): State<App>,
    actor: Actor,
    Path(path): Path<FilePath>,
) -> Result<Json<File>> {
    let mut tx = app.db.tenant(actor.tenant()).await?;
    Ok(Json(found(&mut tx, &actor, path.file_id).await?.into()))
}

/// The bytes, always as an attachment. Guests of its room may.
#[utoipa::path(get, path = "/api/v1/files/{file_id}/content", tag = "files",
    params(FilePath),
    responses((status = 200, description = "Done", body = Binary, content_type = "application/octet-stream"),
              Invalid, Unauthenticated, NotFound))]
pub(super) async fn download_file(
    State(app): State<App>,
    actor: Actor,
    Path(path): Path<FilePath>,
) -> Result<Response> {
    let mut tx = app.db.tenant(actor.tenant()).await?;
    let row = found(&mut tx, &actor, path.file_id).await?;
    tx.rollback().await?;
    send(&app, &row.storage_key, &row.name, &row.content_type, row.size_bytes).await
}

/// Deletes a file and its share links. The uploader and the room's owner may.
#[utoipa::path(delete, path = "/api/v1/files/{file_id}", tag = "files",
    params(FilePath),
    responses((status = 204, description = "Deleted"), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn delete_file(
    State(app): State<App>,
    actor: Actor,
    Path(path): Path<FilePath>,
) -> Result<StatusCode> {
    let mut tx = app.db.tenant(actor.tenant()).await?;
    let row = found(&mut tx, &actor, path.file_id).await?;
    if !row.is_managed_by(actor.tenant()) {
        return Err(ServiceError::permission_denied("only the uploader and the room's owner may do this"));
    }
    files::delete(&mut tx, path.file_id).await?;
    tx.commit().await?;
    app.files.remove(&[row.storage_key]).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The file, if the caller sees it; a guest sees their room's only.
async fn found(tx: &mut PgConnection, actor: &Actor, id: FileId) -> Result<FileRow> {
    let missing = || ServiceError::not_found("file");
    let row = files::find(tx, id).await?.ok_or_else(missing)?;
    match row.room_id {
        Some(room) => actor.check_room(RoomId::from_uuid(room)).map_err(|_| missing())?,
        None if actor.is_guest() => return Err(missing()),
        None => {}
    }
    Ok(row)
}

struct Upload {
    name: String,
    received: Received,
}

impl Upload {
    fn into_row(
        self,
        app: &App,
        owner: Uuid,
        room: Option<RoomId>,
        uploader: Uuid,
        uploader_name: String,
    ) -> FileRow {
        FileRow {
            id: FileId::generate().uuid(),
            owner_id: owner,
            room_id: room.map(RoomId::uuid),
            uploader_id: uploader,
            uploader_name,
            name: self.name,
            size_bytes: i64::try_from(self.received.size_bytes).unwrap_or(i64::MAX),
            content_type: self.received.content_type.to_owned(),
            sha256: self.received.sha256.to_vec(),
            storage_key: self.received.storage_key,
            created_at: app.now(),
        }
    }
}

/// Takes the form's `file`; anything else in the form is refused by name.
async fn receive(app: &App, form: std::result::Result<Multipart, MultipartRejection>) -> Result<Upload> {
    let mut form = form.map_err(|_| {
        ServiceError::new(ErrorCode::UnsupportedMediaType, "the body must be multipart/form-data")
    })?;
    let Some(field) = form.next_field().await.map_err(UploadError::Broken)? else {
        return Err(ServiceError::invalid("file", "is required"));
    };
    let field_name = field.name().unwrap_or_default().to_owned();
    if field_name != "file" {
        return Err(ServiceError::invalid(field_name, "is not a known field"));
    }
    let name = file_name::sanitise(field.file_name().unwrap_or_default());
    let received = app.files.receive(field).await?;
    match form.next_field().await {
        Ok(None) => Ok(Upload { name, received }),
        other => {
            let fault = match &other {
                Ok(Some(extra)) => {
                    ServiceError::invalid(extra.name().unwrap_or_default(), "is not a known field")
                }
                _ => ServiceError::invalid("file", "the upload broke off"),
            };
            app.files.remove(&[received.storage_key]).await;
            Err(fault)
        }
    }
}

/// Answers for a stored row; bytes without one are not kept.
async fn kept(app: &App, key: String, stored: Result<FileRow>) -> Result<(StatusCode, Json<File>)> {
    match stored {
        Ok(row) => Ok((StatusCode::CREATED, Json(File::from(row)))),
        Err(error) => {
            app.files.remove(&[key]).await;
            Err(error)
        }
    }
}
