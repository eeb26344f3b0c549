//! Sending stored bytes: always as an attachment, never as something a browser would run in our origin.

use crate::app::App;
use crate::engine::file_name;
use aura_service::error::{Result, ServiceError};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use tokio_util::io::ReaderStream;
use utoipa::ToSchema;

/// Bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes a body")]
pub(super) struct Binary(Vec<u8>);

pub(super) async fn send(
    app: &App,
    key: &str,
    name: &str,
    content_type: &str,
    size_bytes: i64,
) -> Result<Response> {
    let file = app.files.read(key).await.map_err(ServiceError::internal)?;
    let disposition = file_name::attachment(name).parse::<HeaderValue>().map_err(ServiceError::internal)?;
    let content_type = content_type.parse::<HeaderValue>().map_err(ServiceError::internal)?;
    let mut response = Body::from_stream(ReaderStream::with_capacity(file, 64 * 1024)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size_bytes));
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok(response)
}
