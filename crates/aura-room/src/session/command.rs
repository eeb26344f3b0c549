//! What callers and helper tasks ask of the session.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use livekit_protocol as proto;
use livekit_protocol::signal_request::Message as Request;
use tokio::sync::oneshot;
use webrtc::data_channel::DataChannel;

use super::{DataTrackCommand, Phase, Session};
use crate::engine::rpc::RpcError;
use crate::error::{Result, RoomError};
use crate::participant::DisconnectReason;
use crate::room::RpcInvocation;
use crate::track::{LocalTrack, PublishOptions, TrackSettings};

/// How long the server may take to answer a request.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A method others may call.
pub(crate) type RpcHandler = Arc<
    dyn Fn(RpcInvocation) -> Pin<Box<dyn Future<Output = Result<String, RpcError>> + Send>> + Send + Sync,
>;

/// The methods others may call, by name.
pub(crate) type RpcHandlers = Arc<Mutex<HashMap<String, RpcHandler>>>;

/// A caller's wish.
pub(crate) enum Command {
    Publish {
        track: LocalTrack,
        options: PublishOptions,
        reply: oneshot::Sender<Result<()>>,
    },
    Unpublish {
        track: LocalTrack,
        reply: oneshot::Sender<Result<()>>,
    },
    Mute {
        track: LocalTrack,
        muted: bool,
        reply: oneshot::Sender<Result<()>>,
    },
    Subscribe {
        track_sids: Vec<String>,
        subscribe: bool,
    },
    Settings {
        track_sid: String,
        settings: TrackSettings,
    },
    UpdateMetadata {
        update: proto::UpdateParticipantMetadata,
        reply: oneshot::Sender<Result<()>>,
    },
    /// Someone wants to send data: the channels must be open.
    OpenChannels,
    DataTrack(DataTrackCommand),
    Call {
        id: String,
        identity: String,
        timeout: Duration,
        reply: oneshot::Sender<Result<String, RpcError>>,
    },
    CallFailed {
        id: String,
        identity: String,
        error: RpcError,
    },
    Keyframe {
        track: LocalTrack,
    },
    Simulate(proto::SimulateScenario),
    /// Drops signalling as a broken network would.
    DropSignal,
}

/// What the data channels bring.
pub(crate) enum DataIn {
    Opened { generation: u64, label: String, channel: Arc<dyn DataChannel> },
    Message { generation: u64, label: String, payload: Bytes },
}

impl Session {
    pub(super) async fn on_command(&mut self, command: Command) -> Result<(), DisconnectReason> {
        match command {
            Command::Publish { track, options, reply } => self.publish(track, options, reply),
            Command::Unpublish { track, reply } => {
                let outcome = self.unpublish(&track).await;
                let _ = reply.send(outcome);
            }
            Command::Mute { track, muted, reply } => {
                let _ = reply.send(self.mute(&track, muted));
            }
            Command::Subscribe { track_sids, subscribe } => self.subscribe(track_sids, subscribe),
            Command::Settings { track_sid, settings } => self.track_settings(track_sid, settings),
            Command::UpdateMetadata { mut update, reply } => {
                self.next_request_id += 1;
                update.request_id = self.next_request_id;
                self.replies.insert(update.request_id, (reply, self.now() + REQUEST_TIMEOUT));
                self.send(Request::UpdateMetadata(update));
            }
            Command::OpenChannels => {
                if !self.offers.has_negotiated() {
                    self.offers.request();
                }
            }
            Command::DataTrack(command) => self.on_data_track_command(command),
            Command::Call { id, identity, timeout, reply } => self.call(id, identity, timeout, reply),
            Command::CallFailed { id, identity, error } => {
                if let Some(reply) = self.calls.respond(&id, &identity) {
                    let _ = reply.send(Err(error));
                }
            }
            Command::Keyframe { track } => self.on_keyframe_wanted(&track),
            Command::Simulate(scenario) => self.send(Request::Simulate(scenario)),
            Command::DropSignal => {
                if matches!(self.phase, Phase::Active) {
                    return self.on_signal_lost();
                }
            }
        }
        Ok(())
    }

    /// The server's verdict on a request that carried an id.
    pub(super) fn on_request_response(&mut self, response: proto::RequestResponse) {
        use proto::request_response::{Reason, Request};
        let reason = response.reason();
        if reason == Reason::Queued {
            return;
        }
        let outcome = if reason == Reason::Ok {
            Ok(())
        } else {
            Err(RoomError::RequestRefused { reason: reason.as_str_name(), message: response.message })
        };
        if let Some(Request::AddTrack(request)) = response.request {
            if let Err(error) = outcome {
                self.publishing.refuse(&request.cid, error);
            }
        } else if let Some(Request::PublishDataTrack(request)) = response.request {
            if let Err(error) = outcome {
                self.on_data_track_refused(request.pub_handle, error);
            }
        } else if let Some((reply, _)) = self.replies.remove(&response.request_id) {
            let _ = reply.send(outcome);
        }
    }

    pub(super) fn later(&self, limit: Duration) -> Instant {
        self.now() + limit
    }
}
