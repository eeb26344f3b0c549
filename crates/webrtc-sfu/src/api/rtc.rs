//! LiveKit's signalling endpoints. The session is decided before the upgrade, so that refusals are readable.

use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::join::{Admission, Params, Refused, admit};
use super::session;
use crate::engine::joiner::ConnectionMode;
use crate::shard::command::Command;

/// What somebody reads who was sent away and comes with a token from before. The web app knows it by these words.
const SENT_AWAY: &str = "you were removed from the room";

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, self.text).into_response()
    }
}

/// `GET /rtc`: two connections, or one if the query carries a `join_request`.
pub(crate) async fn dual(
    State(state): State<ApiState>,
    Query(params): Query<Params>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    connect(state, ConnectionMode::Dual, &params, &headers, upgrade).await
}

/// `GET /rtc/v1`: one connection.
pub(crate) async fn single(
    State(state): State<ApiState>,
    Query(params): Query<Params>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    connect(state, ConnectionMode::Single, &params, &headers, upgrade).await
}

/// `GET /rtc/validate`: `success`, or the error `/rtc` would give.
pub(crate) async fn validate_dual(
    State(state): State<ApiState>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Response {
    validate(&state, ConnectionMode::Dual, &params, &headers).await
}

/// `GET /rtc/v1/validate`: `success`, or the error `/rtc/v1` would give.
pub(crate) async fn validate_single(
    State(state): State<ApiState>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Response {
    validate(&state, ConnectionMode::Single, &params, &headers).await
}

async fn validate(state: &ApiState, mode: ConnectionMode, params: &Params, headers: &HeaderMap) -> Response {
    match decide(state, mode, params, headers).await {
        Ok(_) => "success".into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn connect(
    state: ApiState,
    mode: ConnectionMode,
    params: &Params,
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let admission = match decide(&state, mode, params, headers).await {
        Ok(admission) => admission,
        Err(refused) => return refused.into_response(),
    };
    match upgrade {
        Ok(upgrade) => upgrade
            .max_message_size(state.signal_message_bytes)
            .max_frame_size(state.signal_message_bytes)
            .on_upgrade(move |socket| session::run(state, admission, socket)),
        Err(rejection) => rejection.into_response(),
    }
}

async fn decide(
    state: &ApiState,
    mode: ConnectionMode,
    params: &Params,
    headers: &HeaderMap,
) -> Result<Admission, Refused> {
    let admission = admit(state, mode, params, headers)?;
    if state.lifecycle.is_draining() {
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "node is shutting down"));
    }
    let (holder, issued_s) = (admission.joiner.holder.clone(), admission.joiner.issued_s);
    let refused = state.node.is_refused(admission.room.clone(), holder, issued_s).await;
    if refused.unwrap_or_default() {
        return Err(Refused::new(StatusCode::FORBIDDEN, SENT_AWAY));
    }
    if !state.auto_create {
        let room = admission.room.clone();
        let exists = state.node.shard_of(&room).ask(|reply| Command::HasRoom { room, reply }).await;
        if !exists.unwrap_or_default() {
            return Err(Refused::new(StatusCode::NOT_FOUND, "requested room does not exist"));
        }
    }
    Ok(admission)
}
