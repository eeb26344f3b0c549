//! Data tracks of a session: announcing, subscribing, packets in; and the way back.
//!
//! A resume tells the server what we believe; a new session publishes and subscribes everything again. Tracks of
//! ours live on through both, those of others as long as their publisher's session.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aura_media::data_track::Packet;
use bytes::Bytes;
use livekit_protocol as proto;
use livekit_protocol::signal_request::Message as Request;
use tokio::sync::oneshot;
use webrtc::data_channel::DataChannel;

use super::Session;
use crate::data_track::{LocalDataTrack, RemoteDataTrack};
use crate::error::{Result, RoomError};
use crate::event::RoomEvent;
use crate::frame::DataAssembler;
use crate::transport::is_lost;

/// How long the server may take to publish or subscribe.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What callers ask.
pub(crate) enum DataTrackCommand {
    Publish { name: String, reply: oneshot::Sender<Result<LocalDataTrack>> },
    Unpublish { track: LocalDataTrack, reply: oneshot::Sender<Result<()>> },
    Subscribe { track_sid: String, reply: oneshot::Sender<Result<RemoteDataTrack>> },
    Unsubscribe { track_sid: String },
}

/// Ours by handle, theirs by id.
#[derive(Default)]
pub(super) struct DataTracks {
    published: HashMap<u16, Published>,
    last_handle: u16,
    channel: Option<Arc<dyn DataChannel>>,
    subscribed: HashMap<String, Subscribed>,
    /// Ids by the server's handles.
    handles: HashMap<u16, String>,
}

struct Published {
    track: LocalDataTrack,
    info: Option<proto::DataTrackInfo>,
    reply: Option<oneshot::Sender<Result<LocalDataTrack>>>,
    by: Instant,
}

struct Subscribed {
    track: RemoteDataTrack,
    assembler: DataAssembler,
    /// Callers who wait for the subscription.
    waiting: Vec<oneshot::Sender<Result<RemoteDataTrack>>>,
    is_confirmed: bool,
    by: Instant,
}

impl Published {
    fn request(&self) -> Request {
        Request::PublishDataTrackRequest(proto::PublishDataTrackRequest {
            pub_handle: self.track.handle().into(),
            name: self.track.name().to_owned(),
            ..Default::default()
        })
    }

    /// Tells the caller once there is an id and a channel.
    fn settle(&mut self, channel: Option<&Arc<dyn DataChannel>>) {
        let (Some(info), Some(channel)) = (&self.info, channel) else { return };
        self.track.set_sid(Some(info.sid.clone()));
        self.track.set_link(Some(Arc::clone(channel)));
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(Ok(self.track.clone()));
        }
    }

    fn give_up(self, error: RoomError) {
        self.track.set_sid(None);
        self.track.set_link(None);
        match self.reply {
            Some(reply) => {
                let _ = reply.send(Err(error));
            }
            None if matches!(error, RoomError::Closed) => {}
            None => {
                tracing::warn!(%error, track = self.track.name(), "a data track could not be published again");
            }
        }
    }
}

impl Subscribed {
    fn end(self, error: impl Fn() -> RoomError) {
        self.track.end();
        for waiting in self.waiting {
            let _ = waiting.send(Err(error()));
        }
    }
}

impl DataTracks {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let published = self.published.values().filter(|it| it.reply.is_some()).map(|it| it.by);
        let subscribed = self.subscribed.values().filter(|it| !it.waiting.is_empty()).map(|it| it.by);
        published.chain(subscribed).min()
    }

    /// Nothing more comes or goes.
    pub(super) fn close(&mut self) {
        for (_, published) in self.published.drain() {
            published.give_up(RoomError::Closed);
        }
        for (_, subscribed) in self.subscribed.drain() {
            subscribed.end(|| RoomError::Closed);
        }
    }

    /// Our connections are replaced; the channel is gone until the next opens.
    pub(super) fn disconnected(&mut self) {
        self.channel = None;
        for published in self.published.values() {
            published.track.set_link(None);
        }
    }

    pub(super) fn opened(&mut self, channel: &Arc<dyn DataChannel>) {
        self.channel = Some(Arc::clone(channel));
        for published in self.published.values_mut() {
            published.settle(Some(channel));
        }
    }

    /// For `sync_state`.
    pub(super) fn responses(&self) -> Vec<proto::PublishDataTrackResponse> {
        let response =
            |info: &proto::DataTrackInfo| proto::PublishDataTrackResponse { info: Some(info.clone()) };
        self.published.values().filter_map(|it| it.info.as_ref()).map(response).collect()
    }

    /// For `sync_state`, and for a new session.
    pub(super) fn wishes(&self) -> proto::UpdateDataSubscription {
        let updates = self.subscribed.keys().map(|sid| wish(sid.clone(), true)).collect();
        proto::UpdateDataSubscription { updates }
    }

    fn free_handle(&mut self) -> Option<u16> {
        let is_free = |handle: &u16| *handle != 0 && !self.published.contains_key(handle);
        let handle = (1..=u16::MAX).map(|step| self.last_handle.wrapping_add(step)).find(is_free)?;
        self.last_handle = handle;
        Some(handle)
    }

    fn end(&mut self, track_sid: &str) {
        self.handles.retain(|_, sid| sid != track_sid);
        if let Some(subscribed) = self.subscribed.remove(track_sid) {
            subscribed.end(|| RoomError::UnknownTrack(track_sid.to_owned()));
        }
    }
}

fn wish(track_sid: String, subscribe: bool) -> proto::update_data_subscription::Update {
    proto::update_data_subscription::Update { track_sid, subscribe, options: None }
}

impl Session {
    pub(super) fn on_data_track_command(&mut self, command: DataTrackCommand) {
        match command {
            DataTrackCommand::Publish { name, reply } => self.publish_data_track(name, reply),
            DataTrackCommand::Unpublish { track, reply } => {
                let _ = reply.send(self.unpublish_data_track(&track));
            }
            DataTrackCommand::Subscribe { track_sid, reply } => self.subscribe_data_track(track_sid, reply),
            DataTrackCommand::Unsubscribe { track_sid } => {
                if self.data_tracks.subscribed.contains_key(&track_sid) {
                    self.data_tracks.end(&track_sid);
                    self.update_data_subscription(vec![wish(track_sid, false)]);
                }
            }
        }
    }

    fn publish_data_track(&mut self, name: String, reply: oneshot::Sender<Result<LocalDataTrack>>) {
        let Some(handle) = self.data_tracks.free_handle() else {
            let message = "no handle is free".to_owned();
            let _ = reply.send(Err(RoomError::RequestRefused { reason: "LIMIT_EXCEEDED", message }));
            return;
        };
        if !self.offers.has_negotiated() {
            self.offers.request();
        }
        let track =
            LocalDataTrack::new(name, handle, self.options.simulated_loss, self.options.clock.clone());
        let by = self.later(ANSWER_TIMEOUT);
        let published = Published { track, info: None, reply: Some(reply), by };
        let request = published.request();
        self.data_tracks.published.insert(handle, published);
        self.send(request);
    }

    fn unpublish_data_track(&mut self, track: &LocalDataTrack) -> Result<()> {
        let Some(published) = self.data_tracks.published.remove(&track.handle()) else {
            return Err(RoomError::UnknownTrack(track.name().to_owned()));
        };
        published.give_up(RoomError::Closed);
        self.send_unpublish(track.handle());
        Ok(())
    }

    fn send_unpublish(&mut self, handle: u16) {
        let request = proto::UnpublishDataTrackRequest { pub_handle: handle.into() };
        self.send(Request::UnpublishDataTrackRequest(request));
    }

    fn subscribe_data_track(&mut self, track_sid: String, reply: oneshot::Sender<Result<RemoteDataTrack>>) {
        let by = self.later(ANSWER_TIMEOUT);
        if let Some(known) = self.data_tracks.subscribed.get_mut(&track_sid) {
            if known.is_confirmed {
                let _ = reply.send(Ok(known.track.clone()));
            } else {
                known.waiting.push(reply);
            }
            return;
        }
        let found = self.roster().data_publication(&track_sid).map(|(publication, participant)| {
            RemoteDataTrack::new(publication.clone(), participant.identity.clone())
        });
        let Some(track) = found else {
            let _ = reply.send(Err(RoomError::UnknownTrack(track_sid)));
            return;
        };
        let (assembler, waiting) = (DataAssembler::default(), vec![reply]);
        let subscribed = Subscribed { track, assembler, waiting, is_confirmed: false, by };
        self.data_tracks.subscribed.insert(track_sid.clone(), subscribed);
        self.update_data_subscription(vec![wish(track_sid, true)]);
    }

    fn update_data_subscription(&mut self, updates: Vec<proto::update_data_subscription::Update>) {
        self.send(Request::UpdateDataSubscription(proto::UpdateDataSubscription { updates }));
    }

    pub(super) fn on_data_track_published(&mut self, response: proto::PublishDataTrackResponse) {
        let Some(info) = response.info else { return };
        let handle = u16::try_from(info.pub_handle).unwrap_or_default();
        let Some(published) = self.data_tracks.published.get_mut(&handle) else { return };
        published.info = Some(info);
        published.settle(self.data_tracks.channel.as_ref());
    }

    /// The server took a track away, or confirms that we did.
    pub(super) fn on_data_track_unpublished(&mut self, response: proto::UnpublishDataTrackResponse) {
        let Some(info) = response.info else { return };
        let is_ours =
            |published: &Published| published.info.as_ref().is_some_and(|known| known.sid == info.sid);
        let handle = u16::try_from(info.pub_handle).unwrap_or_default();
        if self.data_tracks.published.get(&handle).is_some_and(is_ours)
            && let Some(published) = self.data_tracks.published.remove(&handle)
        {
            published.give_up(RoomError::Closed);
            self.emit(RoomEvent::LocalDataTrackUnpublished { name: info.name });
        }
    }

    pub(super) fn on_data_track_refused(&mut self, pub_handle: u32, error: RoomError) {
        let handle = u16::try_from(pub_handle).unwrap_or_default();
        if let Some(published) = self.data_tracks.published.remove(&handle) {
            published.give_up(error);
        }
    }

    /// The numbers under which packets of our subscriptions come.
    pub(super) fn on_data_track_handles(&mut self, handles: proto::DataTrackSubscriberHandles) {
        for (handle, published) in handles.sub_handles {
            let sid = published.track_sid;
            let (Ok(handle), Some(subscribed)) =
                (u16::try_from(handle), self.data_tracks.subscribed.get_mut(&sid))
            else {
                continue;
            };
            subscribed.is_confirmed = true;
            for waiting in subscribed.waiting.drain(..) {
                let _ = waiting.send(Ok(subscribed.track.clone()));
            }
            self.data_tracks.handles.retain(|_, other| *other != sid);
            self.data_tracks.handles.insert(handle, sid);
        }
    }

    pub(super) fn on_data_track_packet(&mut self, packet: &Bytes) {
        if is_lost(self.options.simulated_loss) {
            return;
        }
        let tracks = &mut self.data_tracks;
        let outcome = Packet::parse(packet).and_then(|parsed| {
            let sid = tracks.handles.get(&parsed.header.handle);
            // Packets of a subscription that has just ended are nobody's.
            let Some(subscribed) = sid.and_then(|sid| tracks.subscribed.get_mut(sid)) else { return Ok(()) };
            if let Some(frame) = subscribed.assembler.push(&parsed, packet.slice_ref(parsed.payload))? {
                subscribed.track.push(frame);
            }
            Ok(())
        });
        if let Err(error) = outcome {
            tracing::debug!(%error, "undecodable data-track packet");
        }
    }

    /// Whoever left, or came back in a new session, publishes nothing any more.
    pub(super) fn end_data_tracks_of(&mut self, identity: &str) {
        let theirs = self.data_tracks.subscribed.iter().filter(|(_, it)| it.track.identity() == identity);
        for sid in theirs.map(|(sid, _)| sid.clone()).collect::<Vec<_>>() {
            self.data_tracks.end(&sid);
        }
    }

    pub(super) fn end_data_track(&mut self, track_sid: &str) {
        self.data_tracks.end(track_sid);
    }

    pub(super) fn expire_data_tracks(&mut self, now: Instant) {
        let timeout = || RoomError::Timeout { what: "data track", limit: ANSWER_TIMEOUT };
        let late = |it: &Published| it.reply.is_some() && now >= it.by;
        let handles: Vec<_> =
            self.data_tracks.published.iter().filter(|(_, it)| late(it)).map(|(handle, _)| *handle).collect();
        for handle in handles {
            self.on_data_track_refused(handle.into(), timeout());
            // It may have been published, and the answer lost.
            self.send_unpublish(handle);
        }
        let late = |it: &Subscribed| !it.waiting.is_empty() && now >= it.by;
        let sids: Vec<_> = self
            .data_tracks
            .subscribed
            .iter()
            .filter(|(_, it)| late(it))
            .map(|(sid, _)| sid.clone())
            .collect();
        for sid in sids {
            if let Some(subscribed) = self.data_tracks.subscribed.remove(&sid) {
                subscribed.end(timeout);
            }
            self.update_data_subscription(vec![wish(sid, false)]);
        }
    }

    /// A new session: everything is published and subscribed again, past the queue that waits for media.
    pub(super) fn restore_data_tracks(&mut self) {
        self.data_tracks.handles.clear();
        let Some(signal) = &self.signal else { return };
        for published in self.data_tracks.published.values_mut() {
            published.info = None;
            published.track.set_sid(None);
            published.track.set_link(None);
            signal.send(published.request());
        }
        for subscribed in self.data_tracks.subscribed.values_mut() {
            // Numbers of frames go on, their halves do not.
            subscribed.assembler = DataAssembler::default();
            subscribed.is_confirmed = false;
        }
        let wishes = self.data_tracks.wishes();
        if !wishes.updates.is_empty() {
            signal.send(Request::UpdateDataSubscription(wishes));
        }
    }
}
