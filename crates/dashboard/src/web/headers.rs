//! Security headers of every response. A response that sets a header itself (downloads) keeps its own.
//!
//! The content security policy allows this origin, and the SFU for connections; no inline script or style, no
//! third party, no framing, and no way for text to become markup or script (Trusted Types; the one policy lets the
//! codec's own worker start). WebAssembly may be compiled: that makes no script from text. Referrers are off:
//! invitation and share links carry their secret in the path.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use http::{HeaderName, HeaderValue, header};
use std::sync::Arc;
use url::Url;

#[derive(Clone)]
pub(crate) struct SecurityHeaders(Arc<Vec<(HeaderName, HeaderValue)>>);

impl SecurityHeaders {
    pub(crate) fn new(public_url: &str, sfu_url: &str) -> anyhow::Result<Self> {
        let mut headers = vec![
            (header::CONTENT_SECURITY_POLICY, policy(&sfu_url.parse()?).parse()?),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            // What says nothing else is somebody's own: no cache keeps it.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                HeaderValue::from_static("same-origin"),
            ),
            (
                HeaderName::from_static("permissions-policy"),
                HeaderValue::from_static(
                    "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), \
                     fullscreen=(self), autoplay=(self), geolocation=(), payment=(), usb=()",
                ),
            ),
        ];
        if public_url.starts_with("https:") {
            let hsts = HeaderValue::from_static("max-age=31536000; includeSubDomains");
            headers.push((header::STRICT_TRANSPORT_SECURITY, hsts));
        }
        Ok(Self(Arc::new(headers)))
    }

    pub(crate) fn apply(self, router: Router) -> Router {
        router.layer(middleware::from_fn(move |request: Request, next: Next| {
            let headers = Arc::clone(&self.0);
            async move {
                let mut response = next.run(request).await;
                for (name, value) in headers.iter() {
                    response.headers_mut().entry(name).or_insert_with(|| value.clone());
                }
                response
            }
        }))
    }
}

fn policy(sfu: &Url) -> String {
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; font-src 'self'; img-src 'self' data: blob:; \
         media-src 'self' blob: mediastream:; worker-src 'self' blob:; manifest-src 'self'; \
         connect-src 'self'{}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; \
         require-trusted-types-for 'script'; trusted-types auralink-worker",
        sfu_sources(sfu)
    )
}

/// The SFU over WebSocket, and over HTTP: clients ask it why a connection was refused.
fn sfu_sources(sfu: &Url) -> String {
    let authority = match (sfu.host_str(), sfu.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => return String::new(),
    };
    if sfu.scheme() == "wss" {
        format!(" wss://{authority} https://{authority}")
    } else {
        format!(" ws://{authority} http://{authority}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_sfu_and_nobody_else() {
        let policy = policy(&"wss://sfu.example.org".parse().unwrap());
        assert!(
            policy.contains("connect-src 'self' wss://sfu.example.org https://sfu.example.org;"),
            "{policy}"
        );
        let rest = policy.replace("'wasm-unsafe-eval'", "");
        assert!(!rest.contains("unsafe") && !rest.contains('*'), "{policy}");
    }
}
