//! `/contacts`: finding and keeping people.

use super::caller::CurrentUser;
use super::list::ListQuery;
use super::object::Object;
use super::problem::{Forbidden, Invalid, NotFound, Unauthenticated};
use crate::app::App;
use crate::engine::text::SearchTerm;
use crate::model::{Items, Page, Person};
use crate::store::{contacts, people};
use aura_service::error::{Result, ServiceError};
use aura_service::http::{Json, Path, Query};
use aura_types::UserId;
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

const MAX_FOUND: i64 = 20;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchQuery {
    /// At least two characters: the start of a name, an AuraID, or a whole e-mail address.
    #[param(min_length = 2)]
    q: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddContactRequest {
    #[schema(value_type = Uuid)]
    user_id: UserId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ContactPath {
    #[param(value_type = Uuid)]
    user_id: UserId,
}

/// Finds people by the start of their name, by AuraID, or by exact e-mail address.
#[utoipa::path(get, path = "/api/v1/contacts/search", tag = "contacts",
    params(SearchQuery),
    responses((status = 200, description = "Done", body = Items<Person>), Invalid, Unauthenticated, Forbidden))]
pub(super) async fn search_people(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Items<Person>>> {
    let term = SearchTerm::parse(&query.q)?;
    let mut tx = app.db.tenant(user).await?;
    let mut found = people::search(&mut tx, user, &term, MAX_FOUND).await?;
    tx.rollback().await?;
    if let Some(email) = term.email() {
        let mut tx = app.db.system().await?;
        let person = people::find_by_email(&mut tx, &email).await?;
        tx.rollback().await?;
        found.extend(person.filter(|person| person.user_id != user.uuid()));
    }
    Ok(Json(Items { items: found.into_iter().map(Person::from).collect() }))
}

/// The people the caller keeps, newest first.
#[utoipa::path(get, path = "/api/v1/contacts", tag = "contacts",
    params(ListQuery),
    responses((status = 200, description = "Done", body = Page<Person>), Invalid, Unauthenticated, Forbidden))]
pub(super) async fn list_contacts(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Person>>> {
    let window = query.window()?;
    let mut tx = app.db.tenant(user).await?;
    let rows = contacts::list(&mut tx, user, &window).await?;
    let (rows, next_cursor) = window.cut(rows, contacts::ContactRow::position);
    let items = rows.into_iter().map(|row| row.person.into()).collect();
    Ok(Json(Page { items, next_cursor }))
}

/// Keeps a person. Keeping them again changes nothing.
#[utoipa::path(post, path = "/api/v1/contacts", tag = "contacts",
    request_body = AddContactRequest, responses((status = 201, description = "Created", body = Person), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn add_contact(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Object(body): Object<AddContactRequest>,
) -> Result<impl IntoResponse> {
    if body.user_id == user {
        return Err(ServiceError::invalid("user_id", "must be somebody else"));
    }
    let mut tx = app.db.tenant(user).await?;
    let person =
        people::find(&mut tx, body.user_id).await?.ok_or_else(|| ServiceError::not_found("person"))?;
    contacts::insert(&mut tx, user, body.user_id, app.now()).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(Person::from(person))))
}

/// Stops keeping a person.
#[utoipa::path(delete, path = "/api/v1/contacts/{user_id}", tag = "contacts",
    params(ContactPath),
    responses((status = 204, description = "Removed"), Invalid, Unauthenticated, Forbidden, NotFound))]
pub(super) async fn remove_contact(
    State(app): State<App>,
    CurrentUser(user): CurrentUser,
    Path(path): Path<ContactPath>,
) -> Result<StatusCode> {
    let mut tx = app.db.tenant(user).await?;
    if !contacts::delete(&mut tx, user, path.user_id).await? {
        return Err(ServiceError::not_found("contact"));
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
