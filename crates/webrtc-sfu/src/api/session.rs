//! One signalling connection: frames in and out, keepalive, token refresh, and how it ends.

use std::time::Duration;

use aura_service::auth::access_token::{AccessToken, Claims, VideoGrants};
use aura_service::json;
use aura_types::{Quota, TokenBuckets};
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol as proto;
use prost::Message as _;
use serde_json::Value;
use tokio::time::{Instant, interval_at};

use super::ApiState;
use super::join::Admission;
use crate::engine::budget::{Bucket, MIB, Rate};
use crate::shard::command::{Command, SignalSession, TokenFacts};
use crate::shard::signal_queue::{Outbound, SignalReceiver, encode, signal_queue};

const PING_EVERY: Duration = Duration::from_secs(10);
const REFRESH_EVERY: Duration = Duration::from_secs(300);
/// Nothing at all from a client for this long (it pings every 5 s): the connection is dead.
const SILENCE_LIMIT: Duration = Duration::from_secs(45);
/// How long a client may leave a frame unread.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Descriptions a client may send; each costs the shard a negotiation.
const DESCRIPTIONS: Quota = Quota { burst: 60, refill_per_s: 5.0 };
/// What a client may send. An honest one stays under ten a second, with a burst at join.
const MESSAGES: Quota = Quota { burst: 1_000, refill_per_s: 100.0 };

/// What it may send in bytes. The largest honest messages are descriptions of full rooms.
const BYTES: Rate = Rate { bytes_per_s: MIB, burst_bytes: 16 * MIB };

/// Serves a connection until either side ends it.
pub(crate) async fn run(state: ApiState, admission: Admission, socket: WebSocket) {
    let room = admission.room.clone();
    let claims = admission.claims.clone();
    let (outbound, queue) = signal_queue();
    let shard = state.node.shard_of(&room).clone();
    let size = admission.extras.bytes();
    let joined = shard
        .ask_sized(size, |reply| {
            let Admission { room, joiner, extras, resume, configuration, .. } = admission;
            match resume {
                Some(participant) => Command::Resume {
                    room,
                    participant,
                    identity: joiner.identity,
                    extras: Box::new(extras),
                    outbound,
                    reply,
                },
                None => Command::Join {
                    room,
                    configuration,
                    joiner: Box::new(joiner),
                    extras: Box::new(extras),
                    outbound,
                    reply,
                },
            }
        })
        .await;
    let session = joined.ok().and_then(Result::ok);
    let mut connection = Connection { state, room, claims, session, json: false, facts: None };
    connection.serve(socket, queue).await;
    if let Some(session) = connection.session {
        let _ = shard.send(Command::SignalClosed { room: connection.room, session }).await;
    }
}

struct Connection {
    state: ApiState,
    room: String,
    claims: Claims,
    /// `None` when the join was refused: the refusal is in the queue.
    session: Option<SignalSession>,
    /// The client last spoke JSON; answer alike.
    json: bool,
    facts: Option<Box<TokenFacts>>,
}

/// What the client may still send now.
struct Budget {
    messages: TokenBuckets,
    bytes: Bucket,
    descriptions: TokenBuckets,
}

/// How a connection ends.
enum End {
    Closed,
    Close(CloseFrame),
}

impl Connection {
    fn instant(&self) -> Instant {
        Instant::from_std(self.state.clock.monotonic())
    }

    async fn serve(&mut self, socket: WebSocket, mut queue: SignalReceiver) {
        let (mut sink, mut stream) = socket.split();
        let start = self.instant();
        let mut ping = interval_at(start + PING_EVERY, PING_EVERY);
        let mut refresh = interval_at(start + REFRESH_EVERY, REFRESH_EVERY);
        let mut budget = Budget {
            messages: TokenBuckets::new(1),
            bytes: Bucket::default(),
            descriptions: TokenBuckets::new(1),
        };
        let silence = tokio::time::sleep(SILENCE_LIMIT);
        tokio::pin!(silence);
        let hard = self.state.lifecycle.hard();
        let end = loop {
            tokio::select! {
                out = queue.recv() => {
                    let message = match out {
                        Some(Outbound::Message(bytes)) => Some(bytes),
                        Some(Outbound::Token(facts)) => {
                            self.facts = Some(facts);
                            self.refreshed_token()
                        }
                        Some(Outbound::Close) | None => break End::Close(close(close_code::NORMAL, "")),
                    };
                    if let Some(message) = message && !send(&mut sink, self.frame(message)).await {
                        break End::Closed;
                    }
                }
                received = stream.next() => {
                    silence.as_mut().reset(self.instant() + SILENCE_LIMIT);
                    let received = match received {
                        Some(Ok(received)) => received,
                        Some(Err(error)) if is_too_long(&error) => {
                            break End::Close(close(close_code::SIZE, "message too long"));
                        }
                        Some(Err(_)) | None => break End::Closed,
                    };
                    match self.receive(received, &mut budget).await {
                        Ok(()) => {}
                        Err(end) => break end,
                    }
                }
                _ = ping.tick() => {
                    if !send(&mut sink, Message::Ping(Default::default())).await {
                        break End::Closed;
                    }
                }
                _ = refresh.tick() => {
                    if let Some(message) = self.refreshed_token()
                        && !send(&mut sink, self.frame(message)).await
                    {
                        break End::Closed;
                    }
                }
                () = &mut silence => break End::Close(close(close_code::POLICY, "no messages for too long")),
                () = hard.cancelled() => break End::Close(close(close_code::AWAY, "node is shutting down")),
            }
        };
        if let End::Close(frame) = end {
            send(&mut sink, Message::Close(Some(frame))).await;
        }
    }

    async fn receive(&mut self, received: Message, budget: &mut Budget) -> Result<(), End> {
        use proto::signal_request::Message as Request;
        let now = self.state.clock.monotonic();
        let too_many = || End::Close(close(close_code::POLICY, "too many messages"));
        let size = match &received {
            Message::Binary(bytes) => bytes.len(),
            Message::Text(text) => text.len(),
            _ => 0,
        };
        if !budget.messages.take("", MESSAGES, now).allowed || !budget.bytes.take(&BYTES, size, now) {
            return Err(too_many());
        }
        let request = match received {
            Message::Binary(bytes) => {
                self.json = false;
                proto::SignalRequest::decode(bytes).ok()
            }
            Message::Text(text) => {
                self.json = true;
                json::from_slice::<proto::SignalRequest>(text.as_bytes()).ok()
            }
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(End::Closed),
        };
        let Some(request) = request else {
            return Err(End::Close(close(close_code::INVALID, "not a SignalRequest")));
        };
        if matches!(request.message, Some(Request::Offer(_) | Request::Answer(_)))
            && !budget.descriptions.take("", DESCRIPTIONS, now).allowed
        {
            return Err(too_many());
        }
        // An unknown message type decodes to none: newer clients may send what we do not know.
        if let (Some(message), Some(session)) = (request.message, self.session.clone()) {
            let command = Command::Signal { room: self.room.clone(), session, message: Box::new(message) };
            let shard = self.state.node.shard_of(&self.room);
            shard
                .send_sized(command, size)
                .await
                .map_err(|_| End::Close(close(close_code::AWAY, "node is shutting down")))?;
        }
        Ok(())
    }

    /// An encoded response as this client reads it.
    fn frame(&self, bytes: Bytes) -> Message {
        let json = || serde_json::to_string(&proto::SignalResponse::decode(bytes.clone()).ok()?).ok();
        match self.json.then(json).flatten() {
            Some(text) => Message::Text(text.into()),
            None => Message::Binary(bytes),
        }
    }

    /// A token that says what is true now, good for as long as the original is.
    fn refreshed_token(&self) -> Option<Bytes> {
        let facts = self.facts.as_ref()?;
        let (key, secret) = self.state.keys.first()?;
        let permission = &facts.permission;
        let video = VideoGrants {
            can_publish: Some(permission.can_publish),
            can_subscribe: Some(permission.can_subscribe),
            can_publish_data: Some(permission.can_publish_data),
            can_publish_sources: permission
                .can_publish_sources
                .iter()
                .copied()
                .map(source_in_token)
                .collect(),
            can_update_own_metadata: Some(permission.can_update_metadata),
            can_subscribe_metrics: Some(permission.can_subscribe_metrics),
            can_manage_agent_session: Some(permission.can_manage_agent_session),
            hidden: permission.hidden,
            recorder: permission.recorder,
            agent: permission.agent,
            ..self.claims.video.clone()
        };
        let now = self.state.clock.now();
        let mut token = AccessToken::renewing(&self.claims, now)
            .name(facts.name.clone())
            .metadata(facts.metadata.clone())
            .attributes(facts.attributes.iter().cloned())
            .video(video);
        if let Some(config) = room_config(self.claims.room_config.as_ref(), facts.own_limit) {
            token = token.room_config(config);
        }
        let token = token.sign(key, secret, now).ok()?;
        Some(encode(proto::signal_response::Message::RefreshToken(token)))
    }
}

/// What a renewed token says of the room. The limit is the live room's: one that was lifted meanwhile would be back, and
/// keep people out, when this token makes the room anew.
fn room_config(original: Option<&Value>, own_limit: Option<u32>) -> Option<Value> {
    if original.is_none() && own_limit.is_none() {
        return None;
    }
    let mut config = original.and_then(Value::as_object).cloned().unwrap_or_default();
    config.retain(|name, _| !matches!(name.as_str(), "maxParticipants" | "max_participants"));
    config.extend(own_limit.map(|max| ("maxParticipants".to_owned(), Value::from(max))));
    Some(Value::Object(config))
}

/// What we have no name for must not vanish: a list without names allows everything.
fn source_in_token(source: i32) -> String {
    proto::TrackSource::try_from(source)
        .map_or_else(|_| source.to_string(), |known| known.as_str_name().to_ascii_lowercase())
}

/// Writes a frame. A client that does not take one for this long has stalled, and must not hold its session up.
async fn send(sink: &mut SplitSink<WebSocket, Message>, message: Message) -> bool {
    matches!(tokio::time::timeout(WRITE_LIMIT, sink.send(message)).await, Ok(Ok(())))
}

/// The socket library's error is not ours to name by type; this is what it says of messages and frames beyond the limit.
fn is_too_long(error: &axum::Error) -> bool {
    error.to_string().contains("too long")
}

fn close(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame { code, reason: reason.into() }
}
