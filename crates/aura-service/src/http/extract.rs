//! `Json`, `Path` and `Query` that refuse with a problem document naming the field at fault.

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use aura_types::ErrorCode;

use crate::error::ServiceError;

/// A JSON body. Needs `Content-Type: application/json`; types should `deny_unknown_fields`. No body at all is as good as
/// `{}`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ServiceError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ServiceError> {
        let is_json = is_json(request.headers());
        let is_untyped = !request.headers().contains_key(header::CONTENT_TYPE);
        if !is_json && !is_untyped {
            return Err(not_json());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|error| refuse_body(&error))?;
        match bytes.is_empty().then(|| parse_json(b"{}")) {
            Some(Ok(nothing_said)) => Ok(Self(nothing_said)),
            _ if is_json => parse_json(&bytes).map(Self),
            _ => Err(not_json()),
        }
    }
}

fn not_json() -> ServiceError {
    ServiceError::new(ErrorCode::UnsupportedMediaType, "the body must be sent as application/json")
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn refuse_body(rejection: &BytesRejection) -> ServiceError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ServiceError::new(ErrorCode::PayloadTooLarge, "the body is too large");
    }
    ServiceError::new(ErrorCode::InvalidArgument, "the body could not be read")
}

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ServiceError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.inner());
        if cause.is_syntax() || cause.is_eof() {
            // What is no variant's name is "syntax" to serde_json, although the JSON around it is fine.
            if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
                return refuse_field(&path, "has the wrong type");
            }
            return ServiceError::new(
                ErrorCode::InvalidArgument,
                format!("the body is not JSON: line {} column {}", cause.line(), cause.column()),
            );
        }
        refuse_field(&path, &cause.to_string())
    })?;
    deserializer.end().map_err(|_| {
        ServiceError::new(ErrorCode::InvalidArgument, "the body goes on after the JSON value")
    })?;
    Ok(value)
}

/// Turns serde's words into a field and a message. Unknown and missing fields are named in the text only:
/// serde reports their path as that of the object around them.
fn refuse_field(path: &str, message: &str) -> ServiceError {
    let message = message.split(" at line ").next().unwrap_or(message);
    let quoted = |prefix: &str| {
        message.strip_prefix(prefix).and_then(|rest| rest.split('`').nth(1)).map(str::to_owned)
    };
    let parent = if path == "." { "" } else { path };
    if let Some(name) = quoted("unknown field ") {
        // Some versions report the unknown field itself as the path.
        let field = if parent == name || parent.ends_with(&format!(".{name}")) {
            parent.to_owned()
        } else {
            join(parent, &name)
        };
        return ServiceError::invalid(field, "is not a known field");
    }
    if let Some(name) = quoted("missing field ") {
        return ServiceError::invalid(join(parent, &name), "is required");
    }
    if parent.is_empty() {
        return ServiceError::new(ErrorCode::InvalidArgument, message.to_owned());
    }
    ServiceError::invalid(parent, message.to_owned())
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

/// Path parameters. One that does not parse names no resource that could exist, but saying which parameter
/// is wrong helps more than a bare 404: it is `invalid_argument`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ServiceError> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|error| refuse_path(&error))
    }
}

fn refuse_path(rejection: &PathRejection) -> ServiceError {
    use axum::extract::path::ErrorKind;

    let PathRejection::FailedToDeserializePathParams(inner) = rejection else {
        return ServiceError::internal(rejection.to_string());
    };
    match inner.kind() {
        ErrorKind::ParseErrorAtKey { key, .. } | ErrorKind::DeserializeError { key, .. } => {
            ServiceError::invalid(key, "has an invalid value")
        }
        ErrorKind::InvalidUtf8InPathParam { key } => ServiceError::invalid(key, "is not UTF-8"),
        ErrorKind::ParseErrorAtIndex { .. } | ErrorKind::ParseError { .. } | ErrorKind::Message(_) => {
            ServiceError::invalid("path", "has an invalid value")
        }
        _ => ServiceError::internal(rejection.to_string()),
    }
}

/// Query parameters; types should `deny_unknown_fields`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ServiceError> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|error| refuse_query(&error))
    }
}

fn refuse_query(rejection: &QueryRejection) -> ServiceError {
    let text = rejection.body_text();
    let message = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
    // `limit: invalid digit found in string`, or serde's own words for unknown and missing fields.
    match message.split_once(": ") {
        Some((path, cause)) if !path.contains(' ') => refuse_field(path, cause),
        _ => refuse_field(".", message),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Body {
        name: String,
        tracks: Vec<Track>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Track {
        muted: bool,
        #[serde(default)]
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Audio,
    }

    #[test]
    fn faults_name_the_field() {
        let cases = [
            (r#"{"name":1,"tracks":[]}"#, "name"),
            (r#"{"name":"a","tracks":[{"muted":true},{"muted":"no"}]}"#, "tracks[1].muted"),
            (r#"{"name":"a","tracks":[],"admin":true}"#, "admin"),
            (r#"{"name":"a","tracks":[{"muted":true,"x":1}]}"#, "tracks[0].x"),
            (r#"{"name":"a","tracks":[{"muted":true,"kind":12}]}"#, "tracks[0].kind"),
            (r#"{"name":"a","tracks":[{"muted":true,"kind":"smell"}]}"#, "tracks[0].kind"),
            (r#"{"tracks":[]}"#, "name"),
            (r#"{"name":"a","tracks":[{}]}"#, "tracks[0].muted"),
        ];
        for (body, field) in cases {
            let error = parse_json::<Body>(body.as_bytes()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument, "{body}");
            assert_eq!(error.fields()[0].field, field, "{body}: {error:?}");
            assert!(!error.detail().contains("at line"), "{error}");
        }
        let good = r#"{"name":"a","tracks":[{"muted":true,"kind":"audio"}]}"#;
        assert!(matches!(parse_json::<Body>(good.as_bytes()).unwrap().tracks[0].kind, Some(Kind::Audio)));
    }

    #[test]
    fn broken_json_is_said_to_be_broken() {
        for body in ["", "{", "{}x", "nul", r#"{"name":"#] {
            let error = parse_json::<serde_json::Value>(body.as_bytes()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument, "{body}");
            assert!(error.fields().is_empty(), "{body}");
        }
    }
}
