//! The public surface: LiveKit signalling (`rtc`), the server API (`twirp`), and gRPC for our own services.

pub(crate) mod grpc;
pub(crate) mod join;
pub(crate) mod join_request;
pub(crate) mod room_service;
pub(crate) mod rtc;
pub(crate) mod session;
pub(crate) mod twirp;
pub(crate) mod twirp_json;
pub(crate) mod user_agent;

use std::sync::Arc;
use std::time::Duration;

use aura_service::auth::access_token::ApiKeys;
use aura_service::{Health, http};
use aura_types::SharedClock;
use axum::Router;
use axum::http::{Method, Uri};
use axum::routing::{any, get, post};
use tower::ServiceExt as _;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use crate::config::Config;
use crate::control::node::Node;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) node: Node,
    pub(crate) keys: Arc<ApiKeys>,
    pub(crate) auto_create: bool,
    /// Largest signalling message a client may send, in bytes.
    pub(crate) signal_message_bytes: usize,
    pub(crate) clock: SharedClock,
    pub(crate) lifecycle: aura_service::Lifecycle,
}

/// Every route on the public port.
pub(crate) fn router(
    node: &Node,
    config: &Config,
    health: &Health,
    clock: SharedClock,
    lifecycle: aura_service::Lifecycle,
) -> Router {
    let state = ApiState {
        node: node.clone(),
        keys: Arc::new(ApiKeys::from(&config.auth.livekit_keys)),
        auto_create: config.room.auto_create,
        signal_message_bytes: config.limit.signal_message_bytes(),
        clock,
        lifecycle,
    };
    let app = Router::new()
        .route("/", get(|| async { "OK" }))
        .route("/rtc", any(rtc::dual))
        .route("/rtc/v1", any(rtc::single))
        .route("/rtc/validate", get(rtc::validate_dual))
        .route("/rtc/v1/validate", get(rtc::validate_single))
        .route("/twirp/{service}/{method}", post(twirp::call))
        .with_state(state)
        .merge(health.router());
    let app = http::shell(app, "webrtc-sfu", config.trusted_proxies.clone()).layer(cors());
    // Clients join URLs by hand: `ws://host//rtc` means `/rtc`.
    Router::new().fallback_service(app.map_request(collapse_slashes))
}

/// Browsers from any origin may ask, also for the errors (livekit-protocol §1): access is by token, never by cookie.
fn cors() -> CorsLayer {
    let methods = [Method::OPTIONS, Method::HEAD, Method::GET, Method::POST, Method::PATCH, Method::DELETE];
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods(AllowMethods::list(methods))
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(Duration::from_secs(86_400))
}

fn collapse_slashes<B>(mut request: axum::http::Request<B>) -> axum::http::Request<B> {
    let path = request.uri().path();
    if path.starts_with("//") {
        let trimmed = format!("/{}", path.trim_start_matches('/'));
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(uri) = format!("{trimmed}{query}").parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    request
}
