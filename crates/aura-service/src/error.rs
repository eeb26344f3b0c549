//! The one table from error codes to HTTP and gRPC, and the problem document (RFC 9457) clients see.
//!
//! A [`ServiceError`] carries a safe message for the caller and, apart from it, the cause for the log.
//! It is logged once, here, when it becomes a response; internal causes never reach the caller.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aura_types::{Coded, ErrorCode};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use tonic::Code;

use crate::request_scope;

type BoxError = Box<dyn StdError + Send + Sync>;

/// The result of a handler.
pub type Result<T, E = ServiceError> = std::result::Result<T, E>;

/// code, HTTP status, gRPC code, title.
const TABLE: &[(ErrorCode, StatusCode, Code, &str)] = &[
    (ErrorCode::InvalidArgument, StatusCode::BAD_REQUEST, Code::InvalidArgument, "Invalid request"),
    (ErrorCode::Unauthenticated, StatusCode::UNAUTHORIZED, Code::Unauthenticated, "Not signed in"),
    (ErrorCode::PermissionDenied, StatusCode::FORBIDDEN, Code::PermissionDenied, "Not allowed"),
    (ErrorCode::NotFound, StatusCode::NOT_FOUND, Code::NotFound, "Not found"),
    (ErrorCode::AlreadyExists, StatusCode::CONFLICT, Code::AlreadyExists, "Already exists"),
    (ErrorCode::FailedPrecondition, StatusCode::CONFLICT, Code::FailedPrecondition, "Not possible now"),
    (
        ErrorCode::ResourceExhausted,
        StatusCode::TOO_MANY_REQUESTS,
        Code::ResourceExhausted,
        "Too many requests",
    ),
    (ErrorCode::PayloadTooLarge, StatusCode::PAYLOAD_TOO_LARGE, Code::OutOfRange, "Body too large"),
    (
        ErrorCode::UnsupportedMediaType,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::Unimplemented,
        "Unsupported media type",
    ),
    (ErrorCode::Unavailable, StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "Temporarily unavailable"),
    (ErrorCode::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded, "Took too long"),
    (ErrorCode::Internal, StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "Internal error"),
];

fn row(code: ErrorCode) -> &'static (ErrorCode, StatusCode, Code, &'static str) {
    TABLE.iter().find(|row| row.0 == code).expect("the table has every code; a test says so")
}

/// The HTTP status of `code`.
#[must_use]
pub fn http_status(code: ErrorCode) -> StatusCode {
    row(code).1
}

/// The gRPC code of `code`.
#[must_use]
pub fn grpc_code(code: ErrorCode) -> Code {
    row(code).2
}

/// The error code a gRPC code stands for; codes outside the table are faults of the peer.
#[must_use]
pub fn from_grpc_code(code: Code) -> ErrorCode {
    match code {
        Code::Aborted | Code::Cancelled => ErrorCode::Unavailable,
        Code::Unimplemented | Code::Ok | Code::Unknown | Code::DataLoss => ErrorCode::Internal,
        _ => TABLE.iter().find(|row| row.2 == code).map_or(ErrorCode::Internal, |row| row.0),
    }
}

/// One field of the request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's path, for example `tracks[2].name`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// The body of an error response: `application/problem+json`, RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `about:blank`: `code` tells the kinds apart.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// The stable name to program against.
    pub code: ErrorCode,
    /// Quote it when reporting a fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The fields at fault, when the request was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// What a handler returns when it fails.
pub struct ServiceError(Box<Inner>);

struct Inner {
    code: ErrorCode,
    detail: String,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    source: Option<BoxError>,
}

impl ServiceError {
    /// An error with a message fit for callers.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after: None,
            source: None,
        }))
    }

    /// A field of the request is wrong.
    #[must_use]
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self::new(ErrorCode::InvalidArgument, format!("{field}: {message}")).with_field(field, message)
    }

    /// `what` does not exist, or the caller may not know that it does.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("{what} not found"))
    }

    /// No valid credentials.
    #[must_use]
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unauthenticated, detail)
    }

    /// Valid credentials that do not allow this.
    #[must_use]
    pub fn permission_denied(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::PermissionDenied, detail)
    }

    /// The value of `field` is taken.
    #[must_use]
    pub fn already_exists(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self::new(ErrorCode::AlreadyExists, format!("{field}: {message}")).with_field(field, message)
    }

    /// A dependency is away.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, detail)
    }

    /// A fault of ours; the cause is logged, the caller told nothing of it.
    #[must_use]
    pub fn internal(source: impl Into<BoxError>) -> Self {
        Self::new(ErrorCode::Internal, "something went wrong on our side").with_source(source)
    }

    /// Names a field at fault.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.fields.push(FieldError { field: field.into(), message: message.into() });
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Tells the caller when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The message for callers.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The fields at fault.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// What another service answered, as our own error. Its internal faults become "unavailable" for the
    /// same reason ours would be hidden: the message was not written for our callers.
    #[must_use]
    pub fn from_status(status: tonic::Status) -> Self {
        let code = from_grpc_code(status.code());
        match code {
            ErrorCode::Internal | ErrorCode::Unavailable | ErrorCode::DeadlineExceeded => {
                let code = if code == ErrorCode::Internal { ErrorCode::Unavailable } else { code };
                Self::new(code, "a service this needs is not answering").with_source(status)
            }
            // Our own credentials were refused: a fault of the deployment, not of the caller.
            ErrorCode::Unauthenticated | ErrorCode::PermissionDenied => Self::internal(status),
            _ => Self::new(code, status.message()).with_source(status),
        }
    }

    /// The problem document for this error, with the current request's id.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let (code, status, _, title) = row(self.0.code);
        Problem {
            kind: "about:blank".to_owned(),
            title: (*title).to_owned(),
            status: status.as_u16(),
            detail: self.0.detail.clone(),
            code: *code,
            request_id: request_scope::request_id(),
            errors: self.0.fields.clone(),
        }
    }

    fn log(&self) {
        let code = self.0.code.as_str();
        let detail = &self.0.detail;
        let cause = self.0.source.as_deref().map(chain).unwrap_or_default();
        match self.0.code {
            ErrorCode::Internal => tracing::error!(error.code = code, error.cause = cause, "{detail}"),
            ErrorCode::Unavailable | ErrorCode::DeadlineExceeded => {
                tracing::warn!(error.code = code, error.cause = cause, "{detail}");
            }
            _ => tracing::debug!(error.code = code, error.cause = cause, "{detail}"),
        }
    }
}

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &(dyn StdError + Send + Sync + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl fmt::Debug for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceError")
            .field("code", &self.0.code)
            .field("detail", &self.0.detail)
            .field("fields", &self.0.fields)
            .field("source", &self.0.source)
            .finish()
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl StdError for ServiceError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl<E: Coded + Send + Sync + 'static> From<E> for ServiceError {
    fn from(error: E) -> Self {
        let mut this = Self::new(error.code(), error.safe_message());
        if let Some(field) = error.field() {
            this = this.with_field(field, error.safe_message());
        }
        this.with_source(error)
    }
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        self.log();
        let problem = self.problem();
        let status = http_status(self.0.code);
        let body = serde_json::to_vec(&problem).expect("strings and numbers always serialize");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = self.0.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        response
    }
}

impl From<ServiceError> for tonic::Status {
    fn from(error: ServiceError) -> Self {
        error.log();
        Self::new(grpc_code(error.0.code), error.0.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_code_once() {
        for code in ErrorCode::ALL {
            assert_eq!(TABLE.iter().filter(|row| row.0 == *code).count(), 1, "{code}");
        }
        assert_eq!(TABLE.len(), ErrorCode::ALL.len());
    }

    #[test]
    fn codes_survive_grpc_except_where_grpc_has_no_word() {
        for code in ErrorCode::ALL {
            let back = from_grpc_code(grpc_code(*code));
            if *code == ErrorCode::UnsupportedMediaType {
                assert_eq!(back, ErrorCode::Internal);
            } else {
                assert_eq!(back, *code);
            }
        }
    }

    #[tokio::test]
    async fn problem_document_shape() {
        let error = ServiceError::already_exists("email", "is registered")
            .with_source(std::io::Error::other("duplicate key value violates users_email_key"));
        let response = error.into_response();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "about:blank", "title": "Already exists", "status": 409, "code": "already_exists",
                "detail": "email: is registered", "errors": [{"field": "email", "message": "is registered"}],
            })
        );
    }

    #[test]
    fn a_peers_refusal_of_our_credentials_is_not_the_callers_fault() {
        let error = ServiceError::from_status(tonic::Status::unauthenticated("bad service token"));
        assert_eq!(error.code(), ErrorCode::Internal);
        assert!(!error.detail().contains("service token"));
        let error = ServiceError::from_status(tonic::Status::not_found("participant does not exist"));
        assert_eq!((error.code(), error.detail()), (ErrorCode::NotFound, "participant does not exist"));
    }

    #[tokio::test]
    async fn retry_after_rounds_up() {
        let error = ServiceError::new(ErrorCode::ResourceExhausted, "slow down")
            .with_retry_after(Duration::from_millis(1_200));
        assert_eq!(error.into_response().headers()["retry-after"], "2");
    }
}
