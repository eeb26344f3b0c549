//! One WebSocket: authenticate within seconds, then push and answer pings.

use super::hub::{Push, Subscription};
use crate::api::{Subject, token_subject};
use crate::app::App;
use aura_service::error::{Result, ServiceError};
use aura_types::UserId;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use std::time::Duration;

const AUTH_TIME: Duration = Duration::from_secs(5);
/// A peer that reads nothing for this long is gone.
const SEND_TIME: Duration = Duration::from_secs(10);
/// Between our own pings, which find peers that vanished.
const PING_EVERY: Duration = Duration::from_secs(30);
const MAX_MESSAGE_BYTES: usize = 16 * 1024;

const POLICY: u16 = 1008;
const TRY_AGAIN: u16 = 1013;
const GOING_AWAY: u16 = 1001;
/// Contract codes.
const MESSAGE_INVALID: u16 = 4002;
const RATE_LIMITED: u16 = 4003;

#[derive(Deserialize)]
struct Incoming {
    r#type: String,
    #[serde(default)]
    data: serde_json::Value,
}

/// `/ws`. Browsers are let in from our own pages only; other clients send no `Origin`.
pub(crate) async fn upgrade(
    State(app): State<App>,
    headers: HeaderMap,
    upgrade: std::result::Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response> {
    let upgrade = upgrade.map_err(|_| ServiceError::invalid("upgrade", "this address speaks WebSocket"))?;
    if !app.site.is_own_origin(&headers) {
        return Err(ServiceError::permission_denied("not from this site"));
    }
    Ok(upgrade.max_message_size(MAX_MESSAGE_BYTES).on_upgrade(move |socket| serve(app, socket)))
}

async fn serve(app: App, mut socket: WebSocket) {
    let closing = match tokio::time::timeout(AUTH_TIME, authenticate(&app, &mut socket)).await {
        Ok(Ok(user)) => {
            let subscription = app.hub.subscribe(user);
            let ready = Message::text(r#"{"type":"ready"}"#);
            match send(&mut socket, ready).await {
                Ok(()) => talk(&app, &mut socket, user, subscription).await,
                Err(closing) => closing,
            }
        }
        Ok(Err(closing)) => closing,
        Err(_) => Closing::With(POLICY, "authenticate first"),
    };
    if let Closing::With(code, reason) = closing {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let _ = send(&mut socket, Message::Close(Some(frame))).await;
    }
}

/// How a conversation ends.
enum Closing {
    /// The peer is gone, or said goodbye.
    Gone,
    With(u16, &'static str),
}

async fn authenticate(app: &App, socket: &mut WebSocket) -> std::result::Result<UserId, Closing> {
    let refused = || Closing::With(POLICY, "not authenticated");
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => {
                let message: Incoming = serde_json::from_str(&text).map_err(|_| refused())?;
                let token = message.data["token"]
                    .as_str()
                    .filter(|_| message.r#type == "auth")
                    .ok_or_else(refused)?;
                return match token_subject(app, token) {
                    Ok(Subject::User(user)) => Ok(user),
                    _ => Err(refused()),
                };
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(refused()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Closing::Gone),
        }
    }
}

async fn talk(app: &App, socket: &mut WebSocket, user: UserId, mut subscription: Subscription) -> Closing {
    let mut ping = tokio::time::interval(PING_EVERY);
    ping.reset();
    loop {
        let outcome = tokio::select! {
            () = subscription.closed.cancelled() => return Closing::With(TRY_AGAIN, "too slow, or opened elsewhere"),
            () = app.stopping.cancelled() => return Closing::With(GOING_AWAY, "the server restarts"),
            push = subscription.queue.recv() => match push.map(Push::into_text) {
                Some(text) => send(socket, Message::Text(text)).await,
                None => return Closing::Gone,
            },
            _ = ping.tick() => send(socket, Message::Ping(bytes::Bytes::new())).await,
            message = socket.recv() => match message {
                Some(Ok(message)) => answer(app, socket, user, message).await,
                Some(Err(_)) | None => return Closing::Gone,
            },
        };
        if let Err(closing) = outcome {
            return closing;
        }
    }
}

async fn answer(
    app: &App,
    socket: &mut WebSocket,
    user: UserId,
    message: Message,
) -> std::result::Result<(), Closing> {
    let invalid = || Closing::With(MESSAGE_INVALID, "message invalid");
    match message {
        Message::Text(text) => {
            if app.throttle.websocket_message(&user.to_string()).await.is_err() {
                return Err(Closing::With(RATE_LIMITED, "rate limited"));
            }
            let message: Incoming = serde_json::from_str(&text).map_err(|_| invalid())?;
            match message.r#type.as_str() {
                "ping" => send(socket, Message::text(r#"{"type":"pong"}"#)).await,
                _ => Err(invalid()),
            }
        }
        Message::Ping(_) | Message::Pong(_) => Ok(()),
        Message::Binary(_) => Err(invalid()),
        Message::Close(_) => Err(Closing::Gone),
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> std::result::Result<(), Closing> {
    match tokio::time::timeout(SEND_TIME, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Closing::Gone),
    }
}
