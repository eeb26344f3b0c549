//! One WebSocket: authenticate within seconds, then push and answer pings, until the login or the token ends.

use super::hub::{Push, Reason, Subscription};
use crate::api::{TokenLogin, token_login};
use crate::app::App;
use aura_service::error::{Result, ServiceError};
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

const AUTH_TIME: Duration = Duration::from_secs(5);
/// A peer that reads nothing for this long is gone.
const SEND_TIME: Duration = Duration::from_secs(10);
/// Of a message, and of each frame of it: what a frame's header promises is not waited for beyond this.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;
/// Messages are short: the default of 128 KiB for each socket would be memory for nothing.
const READ_BUFFER_BYTES: usize = 4 * 1024;

// Close codes; `ws` says what they mean.
const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;
const TRY_AGAIN: u16 = 1013;
const MESSAGE_INVALID: u16 = 4002;
const RATE_LIMITED: u16 = 4003;
const TOKEN_EXPIRED: u16 = 4401;
const SESSION_ENDED: u16 = 4403;
const SILENT: u16 = 4408;

const READY: &str = r#"{"type":"ready"}"#;

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
    let upgrade = upgrade
        .max_frame_size(MAX_MESSAGE_BYTES)
        .max_message_size(MAX_MESSAGE_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES);
    Ok(upgrade.on_upgrade(move |socket| serve(app, socket)))
}

async fn serve(app: App, mut socket: WebSocket) {
    let Err(closing) = converse(&app, &mut socket).await;
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

type Outcome<T> = std::result::Result<T, Closing>;

async fn converse(app: &App, socket: &mut WebSocket) -> Outcome<Infallible> {
    let authenticated = tokio::time::timeout(AUTH_TIME, first_message(app, socket)).await;
    let login = authenticated.map_err(|_| Closing::With(POLICY, "authenticate first"))??;
    // Listening before asking: a login that ends between the two is not missed.
    let subscription = app.hub.subscribe(login.user, login.session);
    match app.accounts.is_open(login.user, login.session).await {
        Ok(true) => {}
        Ok(false) => return Err(Closing::With(SESSION_ENDED, "the login was ended")),
        Err(_) => return Err(Closing::With(TRY_AGAIN, "try again")),
    }
    send(socket, Message::text(READY)).await?;
    talk(app, socket, login, subscription).await
}

async fn first_message(app: &App, socket: &mut WebSocket) -> Outcome<TokenLogin> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => {
                let message: Incoming = serde_json::from_str(&text).map_err(|_| refused())?;
                return if message.r#type == "auth" {
                    authenticate(app, &message.data)
                } else {
                    Err(refused())
                };
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(refused()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Closing::Gone),
        }
    }
}

fn authenticate(app: &App, data: &serde_json::Value) -> Outcome<TokenLogin> {
    let token = data["token"].as_str().ok_or_else(refused)?;
    token_login(app, token).map_err(|_| refused())
}

fn refused() -> Closing {
    Closing::With(POLICY, "not authenticated")
}

async fn talk(
    app: &App,
    socket: &mut WebSocket,
    mut login: TokenLogin,
    mut subscription: Subscription,
) -> Outcome<Infallible> {
    let mut ping = tokio::time::interval(Duration::from_secs(app.websocket.ping_s.into()));
    ping.reset();
    // Half a frame is nothing: whoever stops in the middle of one falls silent.
    let mut heard = true;
    let mut expiry = pin!(tokio::time::sleep(app.until(login.expires_at)));
    loop {
        tokio::select! {
            reason = &mut subscription.closed => return Err(given_up(reason.ok())),
            () = app.stopping.cancelled() => return Err(Closing::With(GOING_AWAY, "the server restarts")),
            () = &mut expiry => return Err(Closing::With(TOKEN_EXPIRED, "the token has expired")),
            push = subscription.queue.recv() => match push.map(Push::into_text) {
                Some(text) => send(socket, Message::Text(text)).await?,
                // Given up: the reason was said before the queue was closed.
                None => return Err(given_up(subscription.closed.try_recv().ok())),
            },
            _ = ping.tick() => {
                if !std::mem::take(&mut heard) {
                    return Err(Closing::With(SILENT, "nothing was heard for too long"));
                }
                send(socket, Message::Ping(bytes::Bytes::new())).await?;
            }
            message = socket.recv() => match message {
                Some(Ok(message)) => {
                    heard = true;
                    let before = login.expires_at;
                    answer(app, socket, &mut login, message).await?;
                    if login.expires_at != before {
                        expiry.as_mut().reset(tokio::time::Instant::now() + app.until(login.expires_at));
                    }
                }
                Some(Err(_)) | None => return Err(Closing::Gone),
            },
        }
    }
}

/// Why the hub closed this socket, as its peer is told.
fn given_up(reason: Option<Reason>) -> Closing {
    match reason {
        Some(Reason::TooSlow | Reason::Displaced) => {
            Closing::With(TRY_AGAIN, "too slow, or opened elsewhere")
        }
        Some(Reason::SessionEnded) => Closing::With(SESSION_ENDED, "the login was ended"),
        None => Closing::Gone,
    }
}

async fn answer(app: &App, socket: &mut WebSocket, login: &mut TokenLogin, message: Message) -> Outcome<()> {
    let invalid = || Closing::With(MESSAGE_INVALID, "message invalid");
    match message {
        Message::Text(text) => {
            if app.throttle.websocket_message(&login.user.to_string()).await.is_err() {
                return Err(Closing::With(RATE_LIMITED, "rate limited"));
            }
            let message: Incoming = serde_json::from_str(&text).map_err(|_| invalid())?;
            match message.r#type.as_str() {
                "ping" => send(socket, Message::text(r#"{"type":"pong"}"#)).await,
                "auth" => {
                    let renewed = authenticate(app, &message.data)?;
                    if (renewed.user, renewed.session) != (login.user, login.session) {
                        return Err(refused());
                    }
                    *login = renewed;
                    send(socket, Message::text(READY)).await
                }
                _ => Err(invalid()),
            }
        }
        Message::Ping(_) | Message::Pong(_) => Ok(()),
        Message::Binary(_) => Err(invalid()),
        Message::Close(_) => Err(Closing::Gone),
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Outcome<()> {
    match tokio::time::timeout(SEND_TIME, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Closing::Gone),
    }
}
