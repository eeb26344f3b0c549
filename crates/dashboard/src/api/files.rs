//! `/files` and `/rooms/{room_id}/files`: shared files.

use super::caller::{Actor, CurrentUser};
use super::download::{Binary, send};
use super::form::Form;
use super::list::ListQuery;
use super::messages::name_in_room;
use super::problem::{Conflict, Forbidden, Invalid, NotFound, TooLarge, TooMany, Unauthenticated};
use super::rooms::{RoomPath, visible};
use crate::app::App;
use crate::engine::file_name;
use crate::engine::page::Window;
use crate::engine::quota::{Full, Usage, Wanted};
use crate::files::{Busy, Received};
use crate::model::{File, Page};
use crate::store::files::{self, FileRow};
use crate::store::{rooms, users};
use aura_service::error::{Result, ServiceError};
use aura_service::http::{Json, Path, Query};
use aura_store::{SystemTx, TenantTx};
use aura_types::{FileId, RoomId, UserId};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use sqlx::PgConnection;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// When to look again for an end of uploads that are running.
const UPLOAD_MEANWHILE: Duration = Duration::from_secs(5);

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

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MyFilesQuery {
    /// Also what the caller uploaded into rooms, where others see it.
    #[serde(default)]
    in_rooms: bool,
    /// 1 to 100; 50 when absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Uploads a file of one's own. Refused as soon as it does not fit into what one may store (409), and while too many
/// uploads of one's are running (429).
#[utoipa::path(post, path = "/api/v1/files", tag = "files",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "Created", body = File), Invalid, Unauthenticated, Forbidden, Conflict, TooLarge, TooMany))]
pub(super) async fn upload_file(
    State(app): State<App>,
    user: CurrentUser,
    form: Result<Form>,
) -> Result<impl IntoResponse> {
    upload(&app, Destination { actor: user.into(), room: None }, form).await
}

/// Uploads a file into a room. Guests of the room may. Refused as soon as it does not fit into what the room, or its
/// owner, may store (409), and while too many uploads of the caller's or for the owner are running (429).
#[utoipa::path(post, path = "/api/v1/rooms/{room_id}/files", tag = "files",
    params(RoomPath),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "Created", body = File), Invalid, Unauthenticated, NotFound, Conflict, TooLarge, TooMany))]
pub(super) async fn upload_room_file(
    State(app): State<App>,
    actor: Actor,
    Path(path): Path<RoomPath>,
    form: Result<Form>,
) -> Result<impl IntoResponse> {
    actor.check_room(path.room_id)?;
    upload(&app, Destination { actor, room: Some(path.room_id) }, form).await
}

/// Files the caller uploaded for themselves, newest first. Nobody else sees them, unless handed a link.
#[utoipa::path(get, path = "/api/v1/files", tag = "files",
    params(MyFilesQuery),
    responses((status = 200, description = "Done", body = Page<File>), Invalid, Unauthenticated, Forbidden))]
pub(super) async fn list_files(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Query(query): Query<MyFilesQuery>,
) -> Result<Json<Page<File>>> {
    let window = Window::parse(query.limit, query.cursor.as_deref())?;
    let mut tx = app.db.tenant(user).await?;
    let rows = files::list_uploaded(&mut tx, user, query.in_rooms, &window).await?;
    let (rows, next_cursor) = window.cut(rows, FileRow::position);
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

/// The file, if the caller sees it. A guest sees their room's only, and while they see the room: what they uploaded
/// themselves goes with it.
async fn found(tx: &mut PgConnection, actor: &Actor, id: FileId) -> Result<FileRow> {
    let missing = || ServiceError::not_found("file");
    let row = files::find(tx, id).await?.ok_or_else(missing)?;
    if actor.is_guest() {
        let room = RoomId::from_uuid(row.room_id.ok_or_else(missing)?);
        actor.check_room(room).map_err(|_| missing())?;
        rooms::find(tx, room).await?.ok_or_else(missing)?;
    }
    Ok(row)
}

/// Where an upload goes, and who sends it.
struct Destination {
    actor: Actor,
    room: Option<RoomId>,
}

impl Destination {
    /// Whom the file will belong to, and what others see of the uploader. Fails when the caller may not upload there.
    async fn owner_and_name(&self, tx: &mut PgConnection) -> Result<(UserId, String)> {
        let Some(room) = self.room else {
            let me = users::find(tx, self.actor.tenant()).await?;
            let me = me.ok_or_else(|| ServiceError::not_found("account"))?;
            return Ok((UserId::from_uuid(me.id), me.display_name));
        };
        let owner = visible(tx, room).await?.owner.user_id;
        Ok((UserId::from_uuid(owner), name_in_room(tx, &self.actor, room).await?))
    }

    /// What is stored there already. System role.
    async fn usage(&self, tx: &mut PgConnection, owner: UserId) -> Result<Usage> {
        Ok(files::usage(tx, owner, self.room).await?)
    }

    /// Whether a file of this size fits as well.
    fn fits(&self, app: &App, owner: UserId, usage: Usage, wanted: Wanted) -> std::result::Result<(), Full> {
        app.files.quotas().check(usage, wanted, owner == self.actor.tenant())
    }
}

async fn upload(app: &App, to: Destination, form: Result<Form>) -> Result<(StatusCode, Json<File>)> {
    // Before the bytes: what will be refused is not worth receiving.
    let mut tx = app.db.tenant(to.actor.tenant()).await?;
    let (owner, _) = to.owner_and_name(&mut tx).await?;
    tx.rollback().await?;
    let busy = |error: Busy| ServiceError::from(error).with_retry_after(UPLOAD_MEANWHILE);
    let _slot = app.files.slot(to.actor.tenant(), owner).map_err(busy)?;
    let mut tx = app.db.system().await?;
    let usage = to.usage(&mut tx, owner).await?;
    tx.rollback().await?;
    to.fits(app, owner, usage, Wanted::AtLeast(1))?;

    let (name, received) = receive(app, form, |wanted| to.fits(app, owner, usage, wanted)).await?;
    let key = received.storage_key.clone();
    let _turn_here = app.files.turn().await;
    let (turn, tx, row) = match insert(app, &to, name, received).await {
        Ok(inserted) => inserted,
        Err(error) => {
            app.files.remove(&[key]).await;
            return Err(error);
        }
    };
    // From here on nobody knows whether the row is there until the answer comes. If it does not come, the bytes stay:
    // without a row they are swept one day, with one they are needed.
    tx.commit().await?;
    turn.rollback().await?;
    Ok((StatusCode::CREATED, Json(File::from(row))))
}

/// Adds the row, not yet committed; the first transaction holds back other uploads for the same owner meanwhile.
async fn insert(
    app: &App,
    to: &Destination,
    name: String,
    received: Received,
) -> Result<(SystemTx, TenantTx, FileRow)> {
    let mut tx = app.db.tenant(to.actor.tenant()).await?;
    let (owner, _) = to.owner_and_name(&mut tx).await?;
    tx.rollback().await?;
    let mut turn = app.db.system().await?;
    files::lock_usage(&mut turn, owner).await?;
    let usage = to.usage(&mut turn, owner).await?;
    to.fits(app, owner, usage, Wanted::Exactly(received.size_bytes))?;
    let mut tx = app.db.tenant(to.actor.tenant()).await?;
    let (owner, uploader_name) = to.owner_and_name(&mut tx).await?;
    let row = FileRow {
        id: FileId::generate().uuid(),
        owner_id: owner.uuid(),
        room_id: to.room.map(RoomId::uuid),
        uploader_id: to.actor.tenant().uuid(),
        uploader_name,
        name,
        size_bytes: i64::try_from(received.size_bytes).unwrap_or(i64::MAX),
        content_type: received.content_type.to_owned(),
        sha256: received.sha256.to_vec(),
        storage_key: received.storage_key,
        created_at: app.now(),
    };
    files::insert(&mut tx, &row).await?;
    Ok((turn, tx, row))
}

/// Takes the form's `file`, as long as it fits; anything else in the form is refused by name.
async fn receive(
    app: &App,
    form: Result<Form>,
    fits: impl Fn(Wanted) -> std::result::Result<(), Full>,
) -> Result<(String, Received)> {
    let mut form = form?;
    let Some(field) = form.next_field().await? else {
        return Err(ServiceError::invalid("file", "is required"));
    };
    let field_name = field.name().unwrap_or_default().to_owned();
    if field_name != "file" {
        return Err(ServiceError::invalid(field_name, "is not a known field"));
    }
    let name = file_name::sanitise(field.file_name().unwrap_or_default());
    let received = app.files.receive(fits, field).await?;
    match form.next_field().await {
        Ok(None) => Ok((name, received)),
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
