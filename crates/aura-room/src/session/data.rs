//! Data in: user packets, streams, remote procedure calls. Data out goes past the session, through its own task.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use livekit_protocol as proto;
use livekit_protocol::data_packet::Value;
use prost::Message as _;
use tokio::sync::oneshot;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use super::{DataIn, RpcHandler, Session};
use crate::engine::rpc::{MAX_PAYLOAD_BYTES, RpcError};
use crate::engine::stream::Completed;
use crate::error::Result;
use crate::event::RoomEvent;
use crate::participant::DisconnectReason;
use crate::room::RpcInvocation;
use crate::transport::{DATA_TRACK, DataSender, LOSSY, Outgoing, RELIABLE, WriterControl};

impl Session {
    /// Reads a channel until it ends. `label` is given for channels of ours, whose opening matters.
    pub(super) fn read_channel(&mut self, channel: Arc<dyn DataChannel>, label: Option<&'static str>) {
        let (session, generation) = (self.data_in.clone(), self.generation);
        self.tasks.spawn("data channel", async move {
            let is_ours = label.is_some();
            let label = match label {
                Some(label) => label.to_owned(),
                None => channel.label().await.unwrap_or_default(),
            };
            while let Some(event) = channel.poll().await {
                let input = match event {
                    DataChannelEvent::OnOpen if is_ours => {
                        DataIn::Opened { generation, label: label.clone(), channel: Arc::clone(&channel) }
                    }
                    DataChannelEvent::OnMessage(message) => {
                        DataIn::Message { generation, label: label.clone(), payload: message.data.freeze() }
                    }
                    _ => continue,
                };
                // Waiting here holds back the sender, by the channel's flow control.
                if session.send(input).await.is_err() {
                    return;
                }
            }
        });
    }

    pub(super) fn on_data(&mut self, input: DataIn) -> Result<(), DisconnectReason> {
        match input {
            DataIn::Opened { generation, label, channel } if generation == self.generation => {
                if label == DATA_TRACK {
                    self.data_tracks.opened(&channel);
                }
                self.channels.insert(label, channel);
                let open = (self.channels.get(RELIABLE), self.channels.get(LOSSY));
                if let (Some(reliable), Some(lossy)) = open {
                    let open =
                        WriterControl::Open { reliable: Arc::clone(reliable), lossy: Arc::clone(lossy) };
                    let _ = self.writer.try_send(open);
                }
            }
            DataIn::Message { generation, label, payload }
                if generation == self.generation && (label == RELIABLE || label == LOSSY) =>
            {
                self.on_packet(payload, label == RELIABLE);
            }
            DataIn::Message { generation, label, payload }
                if generation == self.generation && label == DATA_TRACK =>
            {
                self.on_data_track_packet(&payload);
            }
            // Of a connection that is gone, or on a channel whose content we do not read.
            _ => {}
        }
        Ok(())
    }

    fn on_packet(&mut self, payload: Bytes, reliable: bool) {
        let packet = match proto::DataPacket::decode(payload) {
            Ok(packet) => packet,
            Err(error) => {
                tracing::warn!(%error, "undecodable data packet");
                return;
            }
        };
        let now = self.now();
        if reliable && !self.inbox.accept(&packet.participant_sid, packet.sequence, now) {
            return;
        }
        let identity = packet.participant_identity;
        let from = (!identity.is_empty()).then(|| identity.clone());
        match packet.value {
            Some(Value::User(user)) => {
                let from = from.or_else(|| named(&user));
                self.emit(RoomEvent::DataReceived {
                    payload: user.payload.into(),
                    topic: user.topic,
                    from,
                    reliable,
                });
            }
            Some(Value::SipDtmf(dtmf)) => {
                self.emit(RoomEvent::DtmfReceived { code: dtmf.code, digit: dtmf.digit, from });
            }
            Some(Value::StreamHeader(header)) => {
                let completed = self.streams.header(&identity, header, now);
                self.report_stream(completed);
            }
            Some(Value::StreamChunk(chunk)) => self.streams.chunk(&identity, &chunk, now),
            Some(Value::StreamTrailer(trailer)) => {
                let completed = self.streams.trailer(&identity, trailer);
                self.report_stream(completed);
            }
            Some(Value::RpcRequest(request)) => self.on_call(identity, request),
            Some(Value::RpcAck(ack)) => self.calls.acknowledge(&ack.request_id, &identity),
            Some(Value::RpcResponse(response)) => self.on_call_response(&identity, response),
            _ => {}
        }
    }

    fn report_stream(&mut self, completed: Option<Completed>) {
        match completed {
            Some(Completed::Text(message)) => self.emit(RoomEvent::TextReceived(message)),
            Some(Completed::Bytes(message)) => self.emit(RoomEvent::BytesReceived(message)),
            None => {}
        }
    }

    /// A call of ours, about to be sent.
    pub(super) fn call(
        &mut self,
        id: String,
        identity: String,
        timeout: Duration,
        reply: oneshot::Sender<Result<String, RpcError>>,
    ) {
        if self.roster().by_identity(&identity).is_none() {
            let _ = reply.send(Err(RpcError::built_in(RpcError::RECIPIENT_NOT_FOUND)));
            return;
        }
        self.calls.start(id, identity, reply, timeout, self.now());
    }

    fn on_call_response(&mut self, identity: &str, response: proto::RpcResponse) {
        use proto::rpc_response::Value;
        let Some(reply) = self.calls.respond(&response.request_id, identity) else { return };
        let outcome = match response.value {
            Some(Value::Payload(payload)) => Ok(payload),
            Some(Value::Error(error)) => Err(error.into()),
            _ => Err(RpcError::built_in(RpcError::UNSUPPORTED_VERSION)),
        };
        let _ = reply.send(outcome);
    }

    /// Someone calls us. The method runs in a task of its own.
    fn on_call(&mut self, identity: String, request: proto::RpcRequest) {
        let handler =
            self.handlers.lock().unwrap_or_else(PoisonError::into_inner).get(&request.method).map(Arc::clone);
        self.tasks.spawn("rpc", serve_call(self.data.clone(), handler, identity, request));
    }
}

async fn serve_call(
    data: DataSender,
    handler: Option<RpcHandler>,
    identity: String,
    request: proto::RpcRequest,
) {
    use proto::rpc_response::Value as Answer;
    let send = async |value| {
        let packet = Outgoing { value, reliable: true, destinations: vec![identity.clone()] };
        if let Err(error) = data.send(packet).await {
            tracing::debug!(%error, "could not answer a call");
        }
    };
    send(Value::RpcAck(proto::RpcAck { request_id: request.id.clone() })).await;
    let id = request.id.clone();
    let outcome = match (handler, request.version) {
        (_, version) if version > 1 => Err(RpcError::built_in(RpcError::UNSUPPORTED_VERSION)),
        (None, _) => Err(RpcError::built_in(RpcError::UNSUPPORTED_METHOD)),
        (Some(handler), _) => {
            let invocation = RpcInvocation {
                request_id: request.id,
                caller: identity.clone(),
                method: request.method,
                payload: request.payload,
                response_timeout: Duration::from_millis(request.response_timeout_ms.into()),
            };
            handler(invocation).await
        }
    };
    let value = match outcome {
        Ok(payload) if payload.len() > MAX_PAYLOAD_BYTES => {
            Answer::Error(RpcError::built_in(RpcError::RESPONSE_PAYLOAD_TOO_LARGE).into())
        }
        Ok(payload) => Answer::Payload(payload),
        Err(error) => Answer::Error(error.into()),
    };
    send(Value::RpcResponse(proto::RpcResponse { request_id: id, value: Some(value) })).await;
}

/// Servers before the packet-level field name the sender here.
fn named(user: &proto::UserPacket) -> Option<String> {
    #[expect(deprecated, reason = "older servers")]
    let identity = &user.participant_identity;
    (!identity.is_empty()).then(|| identity.clone())
}
