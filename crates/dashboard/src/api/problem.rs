//! Documented errors: the problem document as a schema, and one reusable response per status.

use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// A problem document (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    #[schema(example = "about:blank")]
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// Stable; branch on this.
    #[schema(example = "invalid_argument")]
    code: String,
    request_id: Option<String>,
    /// The fields at fault, when there are any.
    errors: Option<Vec<FieldError>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct FieldError {
    field: String,
    message: String,
}

fn problem(description: &str) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
        .into()
}

macro_rules! documented {
    ($($name:ident = $status:literal, $description:literal;)+) => {$(
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                BTreeMap::from([($status.to_owned(), problem($description))])
            }
        }
    )+};
}

documented! {
    Invalid = "400", "`invalid_argument`: names the field that is wrong, unknown or missing";
    Unauthenticated = "401", "`unauthenticated`: no valid token";
    Forbidden = "403", "`permission_denied`: the caller's role does not allow this; guests may not";
    NotFound = "404", "`not_found`: no such thing, or none the caller may see";
    Conflict = "409", "`already_exists` or `failed_precondition`";
    TooLarge = "413", "`payload_too_large`";
    TooMany = "429", "`resource_exhausted`: see Retry-After";
    Away = "503", "`unavailable`: the media server is away";
    CodecAway = "503", "`unavailable`: the codec service is away; calls go on without it";
}
