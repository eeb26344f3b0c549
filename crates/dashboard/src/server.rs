//! The public port: API, WebSocket, health and web app under one roof, each with its limits and headers.

use crate::app::App;
use crate::config::Config;
use crate::web::SecurityHeaders;
use crate::{api, web, ws};
use aura_service::Health;
use aura_service::http::{self, Limits};
use axum::Router;
use axum::routing::get;
use std::time::Duration;

/// Room for the form around the file.
const FORM_OVERHEAD: u64 = 64 * 1024;
const UPLOAD_TIME: Duration = Duration::from_secs(30 * 60);

pub(crate) fn router(app: App, health: &Health, config: &Config) -> anyhow::Result<Router> {
    let (api, uploads, document) = api::routes();
    let upload_bytes =
        usize::try_from(config.files.max_bytes.saturating_add(FORM_OVERHEAD)).unwrap_or(usize::MAX);
    let headers = SecurityHeaders::new(&config.public_url, &config.sfu.public_url)?;
    let router = Router::new()
        .merge(http::limits(api, Limits::default()))
        .merge(http::limits(uploads, Limits { body_bytes: upload_bytes, timeout: UPLOAD_TIME }))
        .merge(api::docs(&document))
        .route("/ws", get(ws::upgrade))
        .with_state(app)
        .merge(health.router())
        .fallback(web::serve);
    Ok(http::shell(headers.apply(router), "dashboard", config.trusted_proxies.clone()))
}
