//! Dialling, and moving messages.
//!
//! Writing goes through a bounded queue and a task, so that a stalled network never blocks the session: a full queue
//! counts as a lost connection.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use livekit_protocol as proto;
use livekit_protocol::signal_response::Message as Response;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::{Dial, tls};
use crate::error::{Result, RoomError};
use crate::task::Tasks;

/// Messages that wait for the network.
const WRITE_QUEUE: usize = 256;
/// Largest message either way, as the server has it.
const MAX_MESSAGE_BYTES: usize = 2 * 1024 * 1024;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The first message of a session.
#[derive(Debug)]
pub(crate) enum First {
    Join(Box<proto::JoinResponse>),
    Reconnect(proto::ReconnectResponse),
    Leave(proto::LeaveRequest),
}

/// An open signalling connection. Dropping it closes the socket without a word, as a broken network would.
#[derive(Debug)]
pub(crate) struct Signal {
    reader: futures_util::stream::SplitStream<Socket>,
    writer: mpsc::Sender<proto::SignalRequest>,
}

impl Signal {
    /// Queues a message. False when the connection cannot keep up or is gone.
    pub(crate) fn send(&self, message: proto::signal_request::Message) -> bool {
        self.writer.try_send(proto::SignalRequest { message: Some(message) }).is_ok()
    }

    /// The next message; `None` once the connection is lost. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Response> {
        loop {
            match self.reader.next().await? {
                Ok(Message::Binary(bytes)) => match proto::SignalResponse::decode(bytes) {
                    Ok(proto::SignalResponse { message: Some(message) }) => return Some(message),
                    // Messages newer than this client.
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "undecodable signalling message"),
                },
                Ok(Message::Close(_)) => return None,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "signalling connection lost");
                    return None;
                }
            }
        }
    }
}

/// Connects and waits for the first message, each within `limit`.
pub(crate) async fn dial(dial: Dial, limit: Duration, tasks: Tasks) -> Result<(Signal, First)> {
    let late = |what| move |_| RoomError::Timeout { what, limit };
    let mut request =
        dial.url.as_str().into_client_request().map_err(|error| RoomError::BadUrl(error.to_string()))?;
    let bearer = HeaderValue::from_str(&format!("Bearer {}", dial.token))
        .map_err(|_| RoomError::BadUrl("the token is not a header value".to_owned()))?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let tls = if dial.url.scheme() == "wss" { Some(tls::connector()?) } else { None };
    let (socket, _) = timeout(limit, connect_async_tls_with_config(request, Some(config), true, tls))
        .await
        .map_err(late("signalling connection"))?
        .map_err(refused)?;

    let (mut sink, reader) = socket.split();
    let (writer, mut queue) = mpsc::channel::<proto::SignalRequest>(WRITE_QUEUE);
    tasks.spawn_uncancelled("signal writer", async move {
        while let Some(message) = queue.recv().await {
            if sink.send(Message::Binary(message.encode_to_vec().into())).await.is_err() {
                return;
            }
        }
        let _ = sink.close().await;
    });

    let mut signal = Signal { reader, writer };
    let first = timeout(limit, signal.next()).await.map_err(late("first signalling message"))?;
    let first = match first {
        Some(Response::Join(join)) => First::Join(Box::new(join)),
        Some(Response::Reconnect(reconnect)) => First::Reconnect(reconnect),
        Some(Response::Leave(leave)) => First::Leave(leave),
        Some(_) => {
            return Err(RoomError::Signal("the first message was none that starts a session".to_owned()));
        }
        None => return Err(RoomError::Signal("closed before the first message".to_owned())),
    };
    Ok((signal, first))
}

fn refused(error: WsError) -> RoomError {
    match error {
        WsError::Http(response) => RoomError::Refused {
            status: response.status().as_u16(),
            message: response
                .body()
                .as_deref()
                .map(|body| String::from_utf8_lossy(body).trim().to_owned())
                .unwrap_or_default(),
        },
        other => RoomError::Signal(other.to_string()),
    }
}
