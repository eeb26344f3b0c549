//! The handle to a room.

mod data_tracks;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use livekit_protocol as proto;
use livekit_protocol::data_packet::Value;
use tokio::sync::{mpsc, oneshot};

use crate::engine::rpc::{MAX_PAYLOAD_BYTES, RpcError};
use crate::engine::stream::{self, StreamMeta};
use crate::error::{Result, RoomError};
use crate::event::EventStream;
use crate::options::RoomOptions;
use crate::participant::{Participant, RoomInfo};
use crate::session::{self, Command, RpcHandlers, SharedRoster};
use crate::task::Tasks;
use crate::track::{LocalTrack, PublishOptions, TrackSettings};
use crate::transport::{DataSender, MAX_PACKET_BYTES, Outgoing};

/// A room we are in. Cheap to clone; the room is left when the last clone is dropped or [`Room::leave`] is called.
#[derive(Debug, Clone)]
pub struct Room {
    inner: Arc<Inner>,
}

struct Inner {
    commands: mpsc::Sender<Command>,
    data: DataSender,
    handlers: RpcHandlers,
    roster: SharedRoster,
    tasks: Tasks,
    options: RoomOptions,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.cancelled.cancel();
    }
}

/// Who shall receive a packet, and under what topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Topic, if any.
    pub topic: String,
    /// Identities; empty means everybody.
    pub to: Vec<String>,
}

impl Address {
    /// Everybody, under this topic.
    #[must_use]
    pub fn topic(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), to: Vec::new() }
    }

    /// Only these participants.
    #[must_use]
    pub fn to(mut self, identities: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.to = identities.into_iter().map(Into::into).collect();
        self
    }
}

/// A call of one of our methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcInvocation {
    /// The caller's id of the call.
    pub request_id: String,
    /// The caller's identity.
    pub caller: String,
    /// The method's name.
    pub method: String,
    /// What the caller sent.
    pub payload: String,
    /// How long the caller waits.
    pub response_timeout: Duration,
}

impl Room {
    /// Joins a room and returns once media can flow.
    ///
    /// `url` is the server's (`ws`, `wss`, `http` or `https`), `token` says which room and who we are.
    ///
    /// # Errors
    ///
    /// The server refuses, or does not answer in time.
    pub async fn connect(url: &str, token: &str, options: RoomOptions) -> Result<(Self, EventStream)> {
        let started = session::start(url, token, options.clone()).await?;
        let inner = Inner {
            commands: started.commands,
            data: started.data,
            handlers: started.handlers,
            roster: started.roster,
            tasks: started.tasks,
            options,
        };
        Ok((Self { inner: Arc::new(inner) }, started.events))
    }

    /// The room as last reported.
    #[must_use]
    pub fn info(&self) -> RoomInfo {
        self.read(|roster| roster.room.clone())
    }

    /// Ourselves as last reported.
    #[must_use]
    pub fn local_participant(&self) -> Participant {
        self.read(|roster| roster.local.clone())
    }

    /// Everybody else, in no order.
    #[must_use]
    pub fn remote_participants(&self) -> Vec<Participant> {
        self.read(|roster| roster.others().cloned().collect())
    }

    /// Somebody else by identity.
    #[must_use]
    pub fn participant(&self, identity: &str) -> Option<Participant> {
        self.read(|roster| roster.by_identity(identity).cloned())
    }

    /// Publishes a track; returns once what is written to it is sent.
    ///
    /// # Errors
    ///
    /// The server refuses, the codec is not accepted, or it takes too long.
    pub async fn publish(&self, track: &LocalTrack, options: PublishOptions) -> Result<()> {
        self.ask(|reply| Command::Publish { track: track.clone(), options, reply }).await
    }

    /// Stops publishing a track. It may be published again.
    ///
    /// # Errors
    ///
    /// The track is not published.
    pub async fn unpublish(&self, track: &LocalTrack) -> Result<()> {
        self.ask(|reply| Command::Unpublish { track: track.clone(), reply }).await
    }

    /// Pauses or resumes a track: frames written to a muted track are dropped, and everybody knows.
    ///
    /// # Errors
    ///
    /// The track is not published.
    pub async fn set_muted(&self, track: &LocalTrack, muted: bool) -> Result<()> {
        self.ask(|reply| Command::Mute { track: track.clone(), muted, reply }).await
    }

    /// Subscribes to a track, or unsubscribes.
    ///
    /// # Errors
    ///
    /// The room is closed.
    pub async fn set_subscribed(&self, track_sid: &str, subscribe: bool) -> Result<()> {
        self.tell(Command::Subscribe { track_sids: vec![track_sid.to_owned()], subscribe }).await
    }

    /// Says what we want of a subscribed track: size, quality, nothing for now.
    ///
    /// # Errors
    ///
    /// The room is closed.
    pub async fn set_track_settings(&self, track_sid: &str, settings: TrackSettings) -> Result<()> {
        self.tell(Command::Settings { track_sid: track_sid.to_owned(), settings }).await
    }

    /// Sets our metadata.
    ///
    /// # Errors
    ///
    /// The token does not allow it, or it is too long.
    pub async fn set_metadata(&self, metadata: impl Into<String>) -> Result<()> {
        let name = self.local_participant().name;
        self.update(proto::UpdateParticipantMetadata {
            metadata: metadata.into(),
            name,
            ..Default::default()
        })
        .await
    }

    /// Sets our display name.
    ///
    /// # Errors
    ///
    /// The token does not allow it, or it is too long.
    pub async fn set_name(&self, name: impl Into<String>) -> Result<()> {
        let metadata = self.local_participant().metadata;
        self.update(proto::UpdateParticipantMetadata { metadata, name: name.into(), ..Default::default() })
            .await
    }

    /// Sets some of our attributes; an empty value removes the key.
    ///
    /// # Errors
    ///
    /// The token does not allow it, or they are too long.
    pub async fn set_attributes(&self, attributes: HashMap<String, String>) -> Result<()> {
        let Participant { metadata, name, .. } = self.local_participant();
        self.update(proto::UpdateParticipantMetadata { metadata, name, attributes, ..Default::default() })
            .await
    }

    /// Sends a data packet. Waits while the network is slow or the room reconnects.
    ///
    /// # Errors
    ///
    /// The packet is larger than 64,000 bytes, or the room is closed.
    pub async fn publish_data(
        &self,
        payload: impl Into<Bytes>,
        reliable: bool,
        address: Address,
    ) -> Result<()> {
        let payload = payload.into();
        if payload.len() > MAX_PACKET_BYTES {
            return Err(RoomError::TooLarge { size: payload.len(), limit: MAX_PACKET_BYTES });
        }
        let topic = (!address.topic.is_empty()).then_some(address.topic);
        let user = proto::UserPacket { payload: payload.into(), topic, ..Default::default() };
        self.send(Value::User(user), reliable, address.to).await
    }

    /// Sends text of any length as a stream, such as a chat message on topic `lk.chat`. Returns the stream's id.
    ///
    /// # Errors
    ///
    /// The room is closed.
    pub async fn send_text(
        &self,
        text: &str,
        address: Address,
        attributes: HashMap<String, String>,
    ) -> Result<String> {
        self.send_stream(text.as_bytes(), address, attributes, None).await
    }

    /// Sends bytes of any length as a stream. Returns the stream's id.
    ///
    /// # Errors
    ///
    /// The room is closed.
    pub async fn send_bytes(
        &self,
        bytes: &[u8],
        name: impl Into<String>,
        mime_type: impl Into<String>,
        address: Address,
    ) -> Result<String> {
        self.send_stream(bytes, address, HashMap::new(), Some((name.into(), mime_type.into()))).await
    }

    /// Sends a telephone key to everybody, which a phone in the room passes on.
    ///
    /// # Errors
    ///
    /// The room is closed.
    pub async fn send_dtmf(&self, code: u32, digit: impl Into<String>) -> Result<()> {
        self.send(Value::SipDtmf(proto::SipDtmf { code, digit: digit.into() }), true, Vec::new()).await
    }

    /// Calls a method of another participant and waits for its response.
    ///
    /// # Errors
    ///
    /// LiveKit's error codes, or the method's own.
    pub async fn perform_rpc(
        &self,
        identity: &str,
        method: &str,
        payload: impl Into<String>,
        timeout: Duration,
    ) -> Result<String, RpcError> {
        let payload = payload.into();
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(RpcError::built_in(RpcError::REQUEST_PAYLOAD_TOO_LARGE));
        }
        let id = uuid::Uuid::new_v4().to_string();
        let failed = || RpcError::built_in(RpcError::SEND_FAILED);
        let (reply, response) = oneshot::channel();
        let call = Command::Call { id: id.clone(), identity: identity.to_owned(), timeout, reply };
        self.tell(call).await.map_err(|_| failed())?;
        let request = proto::RpcRequest {
            id: id.clone(),
            method: method.to_owned(),
            payload,
            response_timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            version: 1,
            ..Default::default()
        };
        tokio::pin!(response);
        let send = self.send(Value::RpcRequest(request), true, vec![identity.to_owned()]);
        // A call may fail before it could be sent: nobody there, or the room reconnects for too long.
        let sent = tokio::select! {
            biased;
            early = &mut response => return early.unwrap_or_else(|_| Err(failed())),
            sent = send => sent,
        };
        if sent.is_err() {
            let error = failed();
            let _ = self.tell(Command::CallFailed { id, identity: identity.to_owned(), error }).await;
        }
        response.await.unwrap_or_else(|_| Err(failed()))
    }

    /// Offers a method to others; an earlier one of that name is replaced.
    pub fn register_rpc_method<F, R>(&self, method: impl Into<String>, handler: F)
    where
        F: Fn(RpcInvocation) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, RpcError>> + Send + 'static,
    {
        let handler: session::RpcHandler = Arc::new(move |invocation| Box::pin(handler(invocation)));
        self.handlers().insert(method.into(), handler);
    }

    /// Withdraws a method.
    pub fn unregister_rpc_method(&self, method: &str) {
        self.handlers().remove(method);
    }

    /// Leaves and waits until everything is closed.
    pub async fn leave(self) {
        self.inner.tasks.cancelled.cancel();
        self.inner.tasks.finished().await;
    }

    /// Asks the server to misbehave, for tests of reconnecting.
    ///
    /// # Errors
    ///
    /// The room is closed.
    pub async fn simulate(&self, scenario: proto::simulate_scenario::Scenario) -> Result<()> {
        self.tell(Command::Simulate(proto::SimulateScenario { scenario: Some(scenario) })).await
    }

    /// Cuts the signalling connection as a broken network would, for tests of reconnecting.
    ///
    /// # Errors
    ///
    /// The room is closed.
    pub async fn drop_signal(&self) -> Result<()> {
        self.tell(Command::DropSignal).await
    }

    fn handlers(&self) -> std::sync::MutexGuard<'_, HashMap<String, session::RpcHandler>> {
        self.inner.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, look: impl FnOnce(&crate::engine::roster::Roster) -> T) -> T {
        look(&self.inner.roster.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn tell(&self, command: Command) -> Result<()> {
        self.inner.commands.send(command).await.map_err(|_| RoomError::Closed)
    }

    async fn ask(&self, command: impl FnOnce(oneshot::Sender<Result<()>>) -> Command) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| RoomError::Closed)?
    }

    async fn update(&self, update: proto::UpdateParticipantMetadata) -> Result<()> {
        self.ask(|reply| Command::UpdateMetadata { update, reply }).await
    }

    async fn send(&self, value: Value, reliable: bool, destinations: Vec<String>) -> Result<()> {
        self.tell(Command::OpenChannels).await?;
        self.inner.data.send(Outgoing { value, reliable, destinations }).await
    }

    async fn send_stream(
        &self,
        payload: &[u8],
        address: Address,
        attributes: HashMap<String, String>,
        file: Option<(String, String)>,
    ) -> Result<String> {
        let id = uuid::Uuid::new_v4().to_string();
        let meta = StreamMeta {
            id: id.clone(),
            topic: address.topic,
            timestamp_ms: self.inner.options.clock.unix_ms(),
            attributes,
            file,
        };
        for packet in stream::packets(meta, payload) {
            self.send(packet, true, address.to.clone()).await?;
        }
        Ok(id)
    }
}
