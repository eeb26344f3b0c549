//! What is known of the request being handled: its id and the trace it belongs to.
//!
//! Set once, by the HTTP and gRPC server layers; read by error responses, logs and outgoing calls. It is
//! task-local: a task spawned from a handler has none, on purpose, since it outlives the request.

use std::future::Future;

use aura_types::RequestId;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::telemetry;

/// The header a request id travels in.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header a trace context travels in (W3C).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const MAX_ID_CHARS: usize = 128;

tokio::task_local! {
    static SCOPE: RequestScope;
}

/// The identity of one request.
#[derive(Debug, Clone)]
pub struct RequestScope {
    request_id: String,
    traceparent: Option<String>,
}

impl RequestScope {
    /// Takes the id and trace context from headers; makes a new id when there is none fit to log.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = text(&REQUEST_ID)
            .filter(|id| is_safe(id))
            .map_or_else(|| RequestId::generate().to_string(), str::to_owned);
        let traceparent =
            text(&TRACEPARENT).filter(|value| telemetry::is_traceparent(value)).map(str::to_owned);
        Self { request_id, traceparent }
    }

    /// The request's id.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The caller's trace context.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// The id as a header value.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.request_id).expect("ids hold visible ASCII only")
    }

    /// Runs `future` inside this scope.
    pub async fn run<F: Future>(self, future: F) -> F::Output {
        SCOPE.scope(self, future).await
    }
}

/// An id that may be logged and echoed: no spaces, quotes or line ends.
fn is_safe(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_ID_CHARS
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

/// The id of the request being handled, if one is.
#[must_use]
pub fn request_id() -> Option<String> {
    SCOPE.try_with(|scope| scope.request_id.clone()).ok()
}

/// The trace context the request being handled came with, if any.
pub(crate) fn inbound_traceparent() -> Option<String> {
    SCOPE.try_with(|scope| scope.traceparent.clone()).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_ids_are_kept_only_when_safe_to_log() {
        let id_of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(value));
            RequestScope::from_headers(&headers).request_id
        };
        assert_eq!(id_of("abc-123"), "abc-123");
        for bad in ["", "a b", "a\"b", "{}"] {
            let id = id_of(bad);
            assert!(id != bad && id.parse::<RequestId>().is_ok(), "{bad}");
        }
    }

    #[tokio::test]
    async fn the_id_is_visible_inside_the_scope_only() {
        let scope = RequestScope::from_headers(&HeaderMap::new());
        let expected = scope.request_id().to_owned();
        assert_eq!(scope.run(async { request_id() }).await, Some(expected));
        assert_eq!(request_id(), None);
    }
}
