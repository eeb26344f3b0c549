//! The way back after a break.
//!
//! First the old session is resumed on a new signalling connection; if that fails, a fresh join with everything
//! published again. Callers see `Reconnecting`, then `Reconnected` or `Disconnected`, never anything between.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use livekit_protocol::signal_request::Message as Request;

use super::{Phase, Session};
use crate::engine::outbox::Inbox;
use crate::engine::reconnect::{Plan, Reconnect};
use crate::error::{Result, RoomError};
use crate::event::RoomEvent;
use crate::participant::DisconnectReason;
use crate::signal::{Dial, First, Resume, Signal, dial};
use crate::transport::{DATA_TRACK, LOSSY, RELIABLE, Target, WriterControl};

/// How long a resumed server may take to offer again before we stop waiting for it.
const OFFER_GRACE: Duration = Duration::from_secs(3);

type Dialling = Pin<Box<dyn Future<Output = Result<(Signal, First)>> + Send>>;

/// A way back under way.
pub(super) struct Restoring {
    reconnect: Reconnect,
    dialling: Option<Dialling>,
    media: Option<Media>,
}

/// Signalling is back; media is awaited.
struct Media {
    plan: Plan,
    by: Instant,
    /// Until then the server's new offer is awaited, if it has not come.
    offer_by: Option<Instant>,
}

impl Restoring {
    /// The outcome of the dial under way; waits for ever when there is none. Cancel safe.
    pub(super) async fn dialled(&mut self) -> Result<(Signal, First)> {
        let Some(dialling) = &mut self.dialling else { return std::future::pending().await };
        let outcome = dialling.await;
        self.dialling = None;
        outcome
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.media {
            Some(media) => Some(media.offer_by.map_or(media.by, |offer_by| offer_by.min(media.by))),
            None => self.reconnect.deadline(),
        }
    }
}

impl Session {
    pub(super) fn on_signal_lost(&mut self) -> Result<(), DisconnectReason> {
        self.signal = None;
        match &self.phase {
            Phase::Connecting { .. } => Err(DisconnectReason::SignalClose),
            Phase::Active => self.break_off(Plan::Resume),
            Phase::Restoring(_) => self.attempt_failed(),
        }
    }

    /// Signalling was given up because it could not keep up.
    pub(super) fn on_missing_signal(&mut self) -> Result<(), DisconnectReason> {
        match &self.phase {
            Phase::Restoring(restoring) if restoring.media.is_none() => Ok(()),
            _ => self.on_signal_lost(),
        }
    }

    pub(super) fn on_transport_failed(&mut self, target: Target) -> Result<(), DisconnectReason> {
        tracing::info!(?target, "media transport failed");
        match &self.phase {
            // The deadline of connecting decides.
            Phase::Connecting { .. } => Ok(()),
            Phase::Active => self.break_off(Plan::Resume),
            Phase::Restoring(restoring) if restoring.media.is_some() => self.attempt_failed(),
            Phase::Restoring(_) => Ok(()),
        }
    }

    /// The session is broken; a way back begins, or changes its course.
    pub(super) fn break_off(&mut self, plan: Plan) -> Result<(), DisconnectReason> {
        self.signal = None;
        let now = self.now();
        if let Phase::Restoring(restoring) = &mut self.phase {
            if plan == Plan::Resume {
                return self.attempt_failed();
            }
            (restoring.media, restoring.dialling) = (None, None);
            restoring.reconnect.require_full(now);
            return Ok(());
        }
        let reconnect = Reconnect::new(plan, self.options.reconnect_attempts, now);
        self.phase = Phase::Restoring(Restoring { reconnect, dialling: None, media: None });
        self.emit(RoomEvent::Reconnecting);
        Ok(())
    }

    /// The try under way came to nothing; nothing happens when none is.
    fn attempt_failed(&mut self) -> Result<(), DisconnectReason> {
        let now = self.now();
        self.signal = None;
        let Phase::Restoring(restoring) = &mut self.phase else { return Ok(()) };
        if restoring.reconnect.deadline().is_some() {
            return Ok(());
        }
        (restoring.media, restoring.dialling) = (None, None);
        if restoring.reconnect.failed(now) { Ok(()) } else { Err(DisconnectReason::ConnectionTimeout) }
    }

    /// Moves on to whatever the phase waits for.
    pub(super) async fn check_phase(&mut self, now: Instant) -> Result<(), DisconnectReason> {
        let up = self.media_is_up();
        match &mut self.phase {
            Phase::Active => Ok(()),
            Phase::Connecting { .. } if up => {
                if let Phase::Connecting { ready, .. } = std::mem::replace(&mut self.phase, Phase::Active) {
                    let _ = ready.send(Ok(()));
                }
                Ok(())
            }
            Phase::Connecting { by, .. } => {
                if now < *by {
                    return Ok(());
                }
                let error =
                    RoomError::Timeout { what: "media connection", limit: self.options.media_timeout };
                if let Phase::Connecting { ready, .. } = std::mem::replace(&mut self.phase, Phase::Active) {
                    let _ = ready.send(Err(error));
                }
                Err(DisconnectReason::ConnectionTimeout)
            }
            Phase::Restoring(restoring) => {
                let Some(media) = &restoring.media else {
                    if let Some(plan) = restoring.reconnect.start(now) {
                        self.start_dial(plan);
                    }
                    return Ok(());
                };
                let offered = media.offer_by.is_none_or(|by| now >= by);
                if up && offered && self.offers.is_idle() {
                    self.restored();
                    return Ok(());
                }
                if now >= media.by { self.attempt_failed() } else { Ok(()) }
            }
        }
    }

    fn start_dial(&mut self, plan: Plan) {
        tracing::info!(?plan, "reconnecting");
        let resume = Resume { participant_sid: self.roster().local.sid.clone() };
        let resume = (plan == Plan::Resume).then_some(&resume);
        let target = Dial::new(&self.address, &self.token, &self.options, resume)
            .expect("the address was good enough for the first join");
        let dialling = Box::pin(dial(target, self.options.signal_timeout, self.tasks.clone()));
        if let Phase::Restoring(restoring) = &mut self.phase {
            restoring.dialling = Some(dialling);
        }
    }

    pub(super) async fn on_dialled(
        &mut self,
        outcome: Result<(Signal, First)>,
    ) -> Result<(), DisconnectReason> {
        match outcome {
            Ok((signal, First::Reconnect(reconnect))) => {
                self.signal = Some(signal);
                self.resume(&reconnect);
                Ok(())
            }
            Ok((signal, First::Join(join))) => {
                self.signal = Some(signal);
                self.rejoin(*join).await
            }
            Ok((_, First::Leave(leave))) => self.on_leave(&leave),
            Err(RoomError::Refused { status: status @ (401 | 403), message }) => {
                tracing::warn!(status, message, "the server does not let us back in");
                Err(DisconnectReason::JoinFailure)
            }
            Err(error) => {
                tracing::info!(%error, "reconnecting failed");
                self.attempt_failed()
            }
        }
    }

    fn resume(&mut self, reconnect: &proto::ReconnectResponse) {
        let now = self.now();
        self.keepalive.heard(now);
        self.peer_config.ice_servers.clone_from(&reconnect.ice_servers);
        let state = self.sync_state();
        self.send(Request::SyncState(state));
        if self.offers.has_negotiated() {
            self.offers.request_restart();
        }
        let _ = self.writer.try_send(WriterControl::Resumed { last_seen: reconnect.last_message_seq });
        let offer_by =
            self.subscriber.as_ref().and_then(|peer| peer.local.as_ref()).map(|_| now + OFFER_GRACE);
        self.await_media(Plan::Resume, offer_by);
    }

    async fn rejoin(&mut self, join: proto::JoinResponse) -> Result<(), DisconnectReason> {
        let _ = self.writer.try_send(WriterControl::Restarted);
        self.inbox = Inbox::default();
        self.end_remote_tracks();
        // These name tracks by ids of the old session; what is published is announced again with its state.
        self.held.retain(|request| {
            !matches!(
                request,
                Request::AddTrack(_)
                    | Request::Mute(_)
                    | Request::PublishDataTrackRequest(_)
                    | Request::UnpublishDataTrackRequest(_)
                    | Request::UpdateDataSubscription(_)
            )
        });
        if let Err(error) = self.joined(join).await {
            tracing::warn!(%error, "could not set up the new session");
            return self.attempt_failed();
        }
        self.republish();
        self.restore_data_tracks();
        self.await_media(Plan::Full, None);
        Ok(())
    }

    fn await_media(&mut self, plan: Plan, offer_by: Option<Instant>) {
        let by = self.later(self.options.media_timeout);
        if let Phase::Restoring(restoring) = &mut self.phase {
            restoring.media = Some(Media { plan, by, offer_by });
        }
    }

    /// The server made its new offer.
    pub(super) fn subscriber_offered(&mut self) {
        if let Phase::Restoring(Restoring { media: Some(media), .. }) = &mut self.phase {
            media.offer_by = None;
        }
    }

    fn restored(&mut self) {
        let Phase::Restoring(restoring) = std::mem::replace(&mut self.phase, Phase::Active) else { return };
        let resumed = restoring.media.is_some_and(|media| media.plan == Plan::Resume);
        if !resumed {
            self.repeat_wishes();
        }
        for request in std::mem::take(&mut self.held) {
            self.send(request);
        }
        self.emit(RoomEvent::Reconnected { resumed });
    }

    /// What we believe the session to be, for the server to compare.
    fn sync_state(&self) -> proto::SyncState {
        let peer = if self.is_dual() { &self.subscriber } else { &self.publisher };
        let description = |kind: &str, sdp: &Option<String>| {
            sdp.clone().map(|sdp| proto::SessionDescription {
                r#type: kind.to_owned(),
                sdp,
                ..Default::default()
            })
        };
        let (mut offer, mut answer) = (None, None);
        if let Some(peer) = peer {
            let (offered, answered) =
                if self.is_dual() { (&peer.remote, &peer.local) } else { (&peer.local, &peer.remote) };
            offer = description("offer", offered);
            answer = description("answer", answered);
        }
        let channel = |(index, label): (u32, &str)| proto::DataChannelInfo {
            label: label.to_owned(),
            id: index,
            target: proto::SignalTarget::Publisher.into(),
        };
        let receive_state = |(publisher_sid, last_seq): (&str, u32)| proto::DataChannelReceiveState {
            publisher_sid: publisher_sid.to_owned(),
            last_seq,
        };
        proto::SyncState {
            answer,
            offer,
            subscription: Some(self.subscribed.deviations(self.options.auto_subscribe)),
            publish_tracks: self.publishing.responses(),
            publish_data_tracks: self.data_tracks.responses(),
            data_subscription: Some(self.data_tracks.wishes()),
            data_channels: [(0, RELIABLE), (1, LOSSY), (2, DATA_TRACK)].into_iter().map(channel).collect(),
            track_sids_disabled: self.subscribed.disabled(),
            datachannel_receive_states: self.inbox.states().map(receive_state).collect(),
        }
    }
}
