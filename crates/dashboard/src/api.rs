//! `/api/v1`: parse, call, map. One file per resource; the OpenAPI document is made from these handlers.

mod aic;
mod auth;
mod caller;
mod calls;
mod contacts;
mod docs;
mod download;
mod files;
mod form;
mod invites;
mod list;
mod messages;
mod object;
mod participants;
mod problem;
mod removals;
mod rooms;
mod shares;

pub(crate) use caller::{TokenLogin, token_login};
pub(crate) use docs::routes as docs;

use crate::app::App;
use axum::Router;
use std::collections::BTreeMap;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, RefOr, Required};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "AuraLink dashboard",
        description = "Accounts, rooms, calls, shared files and low-bandwidth audio. Errors are problem documents (RFC 9457). Ids of \
                       things the caller may not see are unknown to the caller: 404."
    ),
    components(schemas(problem::Problem, problem::FieldError)),
    modifiers(&BearerAuth),
    security(("bearer" = []))
)]
struct Document;

struct BearerAuth;

impl Modify for BearerAuth {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        if let Some(components) = document.components.as_mut() {
            components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        }
    }
}

/// Routes with small bodies, routes that take files, and the document of both.
pub(crate) fn routes() -> (Router<App>, Router<App>, OpenApi) {
    let (uploads, upload_paths) = OpenApiRouter::new()
        .routes(routes!(files::upload_file))
        .routes(routes!(files::upload_room_file))
        .split_for_parts();
    let (api, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::me, auth::update_me))
        .routes(routes!(contacts::search_people))
        .routes(routes!(contacts::list_contacts, contacts::add_contact))
        .routes(routes!(contacts::remove_contact))
        .routes(routes!(rooms::create_room, rooms::list_rooms))
        .routes(routes!(rooms::read_room, rooms::update_room, rooms::delete_room))
        .routes(routes!(rooms::join_room))
        .routes(routes!(invites::create_invite, invites::list_invites))
        .routes(routes!(invites::revoke_invite))
        .routes(routes!(invites::read_invite))
        .routes(routes!(invites::accept_invite))
        .routes(routes!(participants::list_participants))
        .routes(routes!(participants::remove_participant))
        .routes(routes!(participants::mute_participant))
        .routes(routes!(removals::list_removed))
        .routes(routes!(removals::let_back_in))
        .routes(routes!(messages::list_messages, messages::post_message))
        .routes(routes!(calls::place_call, calls::list_calls))
        .routes(routes!(calls::read_call))
        .routes(routes!(calls::accept_call))
        .routes(routes!(calls::decline_call))
        .routes(routes!(calls::end_call))
        .routes(routes!(calls::join_call))
        .routes(routes!(files::list_files))
        .routes(routes!(files::list_room_files))
        .routes(routes!(files::read_file, files::delete_file))
        .routes(routes!(files::download_file))
        .routes(routes!(aic::read_config, aic::put_config, aic::change_config))
        .routes(routes!(aic::read_metrics, aic::report_usage))
        .routes(routes!(aic::list_sessions))
        .routes(routes!(aic::list_alerts))
        .routes(routes!(aic::list_models))
        .routes(routes!(shares::create_share, shares::list_shares))
        .routes(routes!(shares::revoke_share))
        .routes(routes!(shares::read_share))
        .routes(routes!(shares::download_share))
        .split_for_parts();
    document.merge(upload_paths);
    mark_optional_bodies(&mut document);
    (api, uploads, document)
}

/// A JSON body of which no field is required may be left out (`aura_service::http::Json`), which the handlers' types do not
/// tell.
fn mark_optional_bodies(document: &mut OpenApi) {
    let requires_nothing = |content: &RefOr<Content>, schemas: &BTreeMap<String, RefOr<Schema>>| {
        let RefOr::T(Content { schema: Some(RefOr::Ref(reference)), .. }) = content else { return false };
        let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
        matches!(schemas.get(name), Some(RefOr::T(Schema::Object(object))) if object.required.is_empty())
    };
    let schemas =
        document.components.as_ref().map(|components| components.schemas.clone()).unwrap_or_default();
    for path in document.paths.paths.values_mut() {
        let operations = [&mut path.put, &mut path.post, &mut path.patch, &mut path.delete];
        for body in operations.into_iter().flatten().filter_map(|operation| operation.request_body.as_mut()) {
            let RefOr::T(body) = body else { continue };
            let json = body.content.get("application/json");
            if json.is_some_and(|content| requires_nothing(content, &schemas)) {
                body.required = Some(Required::False);
            }
        }
    }
}

/// The OpenAPI document as committed and served: JSON, stable order, one trailing newline.
pub(crate) fn document_json(document: &OpenApi) -> String {
    let mut text = document.to_pretty_json().expect("the document serializes");
    text.push('\n');
    text
}
