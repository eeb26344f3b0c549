//! The web app: embedded files, and the headers that keep a browser from running anything else.
//!
//! Every path that is neither API nor file is the app's own route: it gets `index.html`. Hashed files are kept
//! forever, `index.html` is always asked for again.

mod headers;

pub(crate) use headers::SecurityHeaders;

use aura_service::error::ServiceError;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/web/dist"]
struct Dist;

/// Shown when the binary was built before the web app.
const NOT_BUILT: &str = include_str!("web/not_built.html");

pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") || path == "ws" {
        return ServiceError::not_found("page").into_response();
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if let Some(file) = Dist::get(path) {
        return send(path, &file, &headers);
    }
    // A missing file is missing; a missing page is the app's business.
    if path.rsplit('/').next().is_some_and(|last| last.contains('.')) {
        return ServiceError::not_found("page").into_response();
    }
    match Dist::get("index.html") {
        Some(index) => send("index.html", &index, &headers),
        None => {
            let kind =
                [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
            (kind, NOT_BUILT).into_response()
        }
    }
}

fn send(path: &str, file: &EmbeddedFile, request: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let unchanged = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|known| known.trim().trim_start_matches("W/") == tag));
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(file.data.to_vec()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    if let Ok(kind) = HeaderValue::try_from(content_type(path)) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    response
}

fn content_type(path: &str) -> String {
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let is_text =
        kind.type_() == "text" || matches!(kind.essence_str(), "application/javascript" | "application/json");
    if is_text { format!("{kind}; charset=utf-8") } else { kind.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(path: &'static str) -> Response {
        serve(Method::GET, Uri::from_static(path), HeaderMap::new()).await
    }

    #[tokio::test]
    async fn app_routes_get_a_page_and_missing_files_do_not() {
        let page = get("/room/0198f000-0000-7000-8000-000000000001").await;
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        for missing in ["/assets/nothing.js", "/api/v1/nothing", "/../Cargo.toml", "/%2e%2e/Cargo.toml"] {
            assert_eq!(get(missing).await.status(), StatusCode::NOT_FOUND, "{missing}");
        }
        let post = serve(Method::POST, Uri::from_static("/login"), HeaderMap::new()).await;
        assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
