//! Data tracks: who publishes which, who receives which under what handle, and where each packet goes.
//!
//! A publisher numbers its tracks itself; every subscriber gets a number of its own for each (its handle), and a packet's
//! copies differ in nothing else. Nobody is subscribed who did not ask, for a track or for all. A wish outlives the permission to have it fulfilled, but
//! not the track. Payloads are never read, so encryption from end to end passes through.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use aura_media::data_track::Packet;
use aura_types::{DataTrackSid, ParticipantSid};
use livekit_protocol as proto;
use proto::data_track_subscriber_handles::PublishedDataTrack;
use proto::request_response::{Reason, Request};
use proto::signal_response::Message;

use super::data::DataRefusal;
use super::participant::Participant;
use super::room::Room;
use super::{DataChannel, Output, limit};

/// What a participant publishes, and what it wants.
#[derive(Debug, Default)]
pub(crate) struct DataTracks {
    published: Vec<DataTrack>,
    /// The handle it will have each track under, from the moment it asks.
    wishes: BTreeMap<DataTrackSid, u16>,
    /// A handle is not used twice before all others were: a late packet must not be taken for another track's.
    last_handle: u16,
}

#[derive(Debug)]
struct DataTrack {
    sid: DataTrackSid,
    /// The publisher's number for it.
    handle: u16,
    info: proto::DataTrackInfo,
    /// Shared with the packets on their way, which keep the list they were received under.
    copies: Arc<Vec<DataCopy>>,
}

/// One subscriber of a data track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataCopy {
    pub(crate) subscriber: ParticipantSid,
    /// The subscriber's number for the track.
    pub(crate) handle: u16,
}

impl DataTracks {
    pub(crate) fn infos(&self) -> Vec<proto::DataTrackInfo> {
        self.published.iter().map(|track| track.info.clone()).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.published.is_empty()
    }

    fn by_sid(&mut self, sid: &DataTrackSid) -> Option<&mut DataTrack> {
        self.published.iter_mut().find(|track| track.sid == *sid)
    }

    fn by_handle(&self, handle: u32) -> Option<&DataTrack> {
        self.published.iter().find(|track| u32::from(track.handle) == handle)
    }

    fn wish(&mut self, track: &DataTrackSid) {
        if self.wishes.contains_key(track) {
            return;
        }
        let (last, taken) = (self.last_handle, &self.wishes);
        let is_free = |handle: &u16| *handle != 0 && taken.values().all(|other| other != handle);
        // Nobody has a track for every handle; whoever had would get no more.
        if let Some(handle) = (1..=u16::MAX).map(|step| last.wrapping_add(step)).find(is_free) {
            self.last_handle = handle;
            self.wishes.insert(track.clone(), handle);
        }
    }

    /// Why a request to publish cannot be granted, in LiveKit's order.
    fn refusal(&self, request: &proto::PublishDataTrackRequest) -> Option<(Reason, &'static str)> {
        let tracks = &self.published;
        if !(1..=u32::from(u16::MAX)).contains(&request.pub_handle) {
            Some((Reason::InvalidHandle, "handle should be > 0 and < 65536"))
        } else if request.name.is_empty() || request.name.len() > limit::NAME_BYTES {
            Some((Reason::InvalidName, "name should not be empty and should not exceed 256 bytes"))
        } else if self.by_handle(request.pub_handle).is_some() {
            Some((Reason::DuplicateHandle, "a data track with same handle already exists"))
        } else if tracks.iter().any(|track| track.info.name == request.name) {
            Some((Reason::DuplicateName, "a data track with same name already exists"))
        } else if tracks.len() >= limit::DATA_TRACKS {
            Some((Reason::LimitExceeded, "too many data tracks"))
        } else if is_oversized(request) {
            Some((Reason::InvalidRequest, "encoding and schema should not exceed 256 bytes"))
        } else {
            None
        }
    }
}

impl Room {
    /// `publish_data_track`: answered with the track's id, or with the reason why not.
    pub(crate) fn publish_data_track(
        &mut self,
        sid: &ParticipantSid,
        request: proto::PublishDataTrackRequest,
    ) {
        let Some(me) = self.participants.get_mut(sid) else { return };
        let refusal = if me.permission.can_publish_data {
            me.data_tracks.refusal(&request)
        } else {
            Some((Reason::NotAllowed, "does not have permission to publish data"))
        };
        let handle = u16::try_from(request.pub_handle).unwrap_or_default();
        if let Some((reason, message)) = refusal {
            let mut request = request;
            request.name.truncate(request.name.floor_char_boundary(limit::NAME_BYTES));
            (request.frame_encoding, request.schema) = (None, None);
            self.refuse(sid, reason, message, Some(Request::PublishDataTrack(request)));
            return;
        }
        let track = DataTrackSid::generate();
        let info = proto::DataTrackInfo {
            pub_handle: request.pub_handle,
            sid: track.to_string(),
            name: request.name,
            encryption: request.encryption,
            frame_encoding: request.frame_encoding,
            schema: request.schema,
        };
        let published = DataTrack { sid: track.clone(), handle, info: info.clone(), copies: Arc::default() };
        me.data_tracks.published.push(published);
        let response = proto::PublishDataTrackResponse { info: Some(info) };
        self.signal(sid, Message::PublishDataTrackResponse(response));
        self.bump(sid);
        self.broadcast_update(sid, true);
        self.subscribe_automatically(sid, &track);
    }

    /// Subscribes those to a new track who want every track.
    fn subscribe_automatically(&mut self, publisher: &ParticipantSid, track: &DataTrackSid) {
        let eager = self.participants.values().filter(|p| p.auto_subscribe_data && p.sid != *publisher);
        for subscriber in eager.map(|p| p.sid.clone()).collect::<Vec<_>>() {
            self.give_data_track(&subscriber, publisher, track);
        }
    }

    /// A newcomer who wants every data track gets those there are.
    pub(crate) fn subscribe_to_all_data(&mut self, subscriber: &ParticipantSid) {
        if !self.participants.get(subscriber).is_some_and(|me| me.auto_subscribe_data) {
            return;
        }
        for (publisher, track) in self.published_data_tracks() {
            if publisher != *subscriber {
                self.give_data_track(subscriber, &publisher, &track);
            }
        }
    }

    fn give_data_track(
        &mut self,
        subscriber: &ParticipantSid,
        publisher: &ParticipantSid,
        track: &DataTrackSid,
    ) {
        if let Some(me) = self.participants.get_mut(subscriber) {
            me.data_tracks.wish(track);
        }
        self.reconcile_data(subscriber, publisher, track);
        let handle = self.data_handle(subscriber, publisher, track);
        self.tell_handles(subscriber, handle.into_iter().collect());
    }

    /// `unpublish_data_track`.
    pub(crate) fn unpublish_data_track(
        &mut self,
        sid: &ParticipantSid,
        request: proto::UnpublishDataTrackRequest,
    ) {
        let Some(me) = self.participants.get_mut(sid) else { return };
        match me.data_tracks.by_handle(request.pub_handle).map(|track| track.sid.clone()) {
            Some(track) => self.take_data_tracks(sid, |candidate| candidate.sid == track),
            None => {
                let request = Request::UnpublishDataTrack(request);
                self.refuse(sid, Reason::NotFound, "no data track with this handle", Some(request));
            }
        }
    }

    /// `update_data_subscription`: what the participant wants, or no longer wants. Handles are told even for what it
    /// has already, in case it missed them.
    pub(crate) fn update_data_subscription(
        &mut self,
        sid: &ParticipantSid,
        wanted: &proto::UpdateDataSubscription,
    ) {
        let mut unknown = None;
        let mut handles = HashMap::new();
        for update in wanted.updates.iter().take(limit::TRACKS_PER_REQUEST) {
            let Some((publisher, track)) = self.find_data_track(&update.track_sid) else {
                unknown = Some(&update.track_sid);
                continue;
            };
            let Some(me) = self.participants.get_mut(sid) else { return };
            if update.subscribe {
                me.data_tracks.wish(&track);
            } else {
                me.data_tracks.wishes.remove(&track);
            }
            self.reconcile_data(sid, &publisher, &track);
            handles.extend(self.data_handle(sid, &publisher, &track));
        }
        self.tell_handles(sid, handles);
        if let Some(unknown) = unknown {
            let end = unknown.floor_char_boundary(limit::NAME_BYTES);
            let message = format!("data track {} is not published", &unknown[..end]);
            self.refuse(sid, Reason::NotFound, &message, None);
        }
    }

    /// After a resume: whether the client publishes nothing we do not know, and has every handle.
    pub(crate) fn sync_data_tracks(&mut self, sid: &ParticipantSid, state: &proto::SyncState) -> bool {
        let Some(me) = self.participants.get(sid) else { return false };
        let published = &me.data_tracks.published;
        let all_known = state.publish_data_tracks.iter().all(|claimed| {
            let info = claimed.info.as_ref();
            info.is_some_and(|info| published.iter().any(|track| track.info.sid == info.sid))
        });
        if all_known {
            if let Some(wanted) = &state.data_subscription {
                self.update_data_subscription(sid, wanted);
            }
            self.repeat_handles(sid);
        }
        all_known
    }

    /// A packet from the participant's data-track channel.
    pub(crate) fn data_track_received(
        &mut self,
        from: &ParticipantSid,
        packet: Vec<u8>,
        now: Instant,
    ) -> Result<(), DataRefusal> {
        self.spend(from, DataChannel::Lossy, packet.len(), now)?;
        if packet.len() > limit::DATA_BYTES {
            return Err(DataRefusal::TooLarge);
        }
        let header = Packet::parse(&packet).map_err(|_| DataRefusal::Malformed)?.header;
        let sender = self.participants.get(from).ok_or(DataRefusal::NotAllowed)?;
        let track = sender.data_tracks.by_handle(header.handle.into()).ok_or(DataRefusal::UnknownTrack)?;
        if !track.copies.is_empty() {
            let copies = Arc::clone(&track.copies);
            self.outputs.push_back(Output::DataTrack { packet, copies });
        }
        Ok(())
    }

    /// The participant's rights changed: what it may no longer publish ends, and subscriptions follow.
    pub(crate) fn review_data_permission(&mut self, sid: &ParticipantSid) {
        let Some(me) = self.participants.get(sid) else { return };
        if !me.permission.can_publish_data {
            self.take_data_tracks(sid, |_| true);
        }
        let mut handles = HashMap::new();
        for (publisher, track) in self.published_data_tracks() {
            if self.reconcile_data(sid, &publisher, &track) {
                handles.extend(self.data_handle(sid, &publisher, &track));
            }
        }
        self.tell_handles(sid, handles);
    }

    /// The publisher changed who may subscribe to its tracks.
    pub(crate) fn review_data_rules(&mut self, publisher: &ParticipantSid) {
        let Some(owner) = self.participants.get(publisher) else { return };
        let tracks: Vec<_> = owner.data_tracks.published.iter().map(|track| track.sid.clone()).collect();
        for subscriber in self.participants.keys().cloned().collect::<Vec<_>>() {
            let mut handles = HashMap::new();
            for track in &tracks {
                if self.reconcile_data(&subscriber, publisher, track) {
                    handles.extend(self.data_handle(&subscriber, publisher, track));
                }
            }
            self.tell_handles(&subscriber, handles);
        }
    }

    /// The participant has left: its tracks end, and it receives nothing more.
    pub(crate) fn forget_data_tracks_of(&mut self, gone: &mut Participant) {
        let ended: Vec<_> = gone.data_tracks.published.drain(..).map(|track| track.sid).collect();
        for other in self.participants.values_mut() {
            for track in &ended {
                other.data_tracks.wishes.remove(track);
            }
            for track in &mut other.data_tracks.published {
                if track.copies.iter().any(|copy| copy.subscriber == gone.sid) {
                    Arc::make_mut(&mut track.copies).retain(|copy| copy.subscriber != gone.sid);
                }
            }
        }
    }

    /// Ends those tracks of a participant that `which` picks, and tells everyone.
    fn take_data_tracks(&mut self, sid: &ParticipantSid, which: impl Fn(&DataTrack) -> bool) {
        let Some(me) = self.participants.get_mut(sid) else { return };
        let ended: Vec<_> = me.data_tracks.published.extract_if(.., |track| which(track)).collect();
        if ended.is_empty() {
            return;
        }
        for track in ended {
            for other in self.participants.values_mut() {
                other.data_tracks.wishes.remove(&track.sid);
            }
            let response = proto::UnpublishDataTrackResponse { info: Some(track.info) };
            self.signal(sid, Message::UnpublishDataTrackResponse(response));
        }
        self.bump(sid);
        self.broadcast_update(sid, true);
    }

    /// Makes one subscription what wish and permissions say it should be. True when it began.
    fn reconcile_data(
        &mut self,
        subscriber: &ParticipantSid,
        publisher: &ParticipantSid,
        sid: &DataTrackSid,
    ) -> bool {
        if subscriber == publisher {
            return false;
        }
        let (Some(me), Some(owner)) = (self.participants.get(subscriber), self.participants.get(publisher))
        else {
            return false;
        };
        let allowed = me.permission.can_subscribe && owner.allows(me, sid);
        let wanted = me.data_tracks.wishes.get(sid).copied().filter(|_| allowed);
        let Some(track) = self.participants.get_mut(publisher).and_then(|p| p.data_tracks.by_sid(sid)) else {
            return false;
        };
        let has = track.copies.iter().any(|copy| copy.subscriber == *subscriber);
        match wanted {
            Some(handle) if !has => {
                Arc::make_mut(&mut track.copies).push(DataCopy { subscriber: subscriber.clone(), handle });
            }
            None if has => Arc::make_mut(&mut track.copies).retain(|copy| copy.subscriber != *subscriber),
            _ => {}
        }
        wanted.is_some() && !has
    }

    /// Under what handle the subscriber has the track, and whose it is.
    fn data_handle(
        &self,
        subscriber: &ParticipantSid,
        publisher: &ParticipantSid,
        sid: &DataTrackSid,
    ) -> Option<(u32, PublishedDataTrack)> {
        let owner = self.participants.get(publisher)?;
        let track = owner.data_tracks.published.iter().find(|track| track.sid == *sid)?;
        let copy = track.copies.iter().find(|copy| copy.subscriber == *subscriber)?;
        let published = PublishedDataTrack {
            publisher_identity: owner.identity.clone(),
            publisher_sid: owner.sid.to_string(),
            track_sid: sid.to_string(),
        };
        Some((copy.handle.into(), published))
    }

    fn repeat_handles(&mut self, sid: &ParticipantSid) {
        let everything = self.published_data_tracks();
        let handles = everything
            .iter()
            .filter_map(|(publisher, track)| self.data_handle(sid, publisher, track))
            .collect();
        self.tell_handles(sid, handles);
    }

    fn tell_handles(&mut self, sid: &ParticipantSid, sub_handles: HashMap<u32, PublishedDataTrack>) {
        if !sub_handles.is_empty() {
            let handles = proto::DataTrackSubscriberHandles { sub_handles };
            self.signal(sid, Message::DataTrackSubscriberHandles(handles));
        }
    }

    fn published_data_tracks(&self) -> Vec<(ParticipantSid, DataTrackSid)> {
        let of = |owner: &Participant| {
            let sid = owner.sid.clone();
            owner.data_tracks.published.iter().map(move |track| (sid.clone(), track.sid.clone())).collect()
        };
        self.participants.values().flat_map(|owner| -> Vec<_> { of(owner) }).collect()
    }

    fn find_data_track(&self, name: &str) -> Option<(ParticipantSid, DataTrackSid)> {
        self.participants.values().find_map(|owner| {
            let track = owner.data_tracks.published.iter().find(|track| track.sid.as_str() == name)?;
            Some((owner.sid.clone(), track.sid.clone()))
        })
    }

    fn refuse(&mut self, sid: &ParticipantSid, reason: Reason, message: &str, request: Option<Request>) {
        let response = proto::RequestResponse {
            reason: reason as i32,
            message: message.to_owned(),
            request,
            ..Default::default()
        };
        self.answer_request(sid, response);
    }
}

/// Longer names of encodings and schemas than any client has; they are stored and sent to everyone.
fn is_oversized(request: &proto::PublishDataTrackRequest) -> bool {
    use proto::data_track_frame_encoding::Value as Frame;
    use proto::data_track_schema_encoding::Value as Schema;
    let frame = request.frame_encoding.as_ref().and_then(|encoding| encoding.value.as_ref());
    let schema = request.schema.as_ref();
    let schema_encoding = schema.and_then(|schema| schema.encoding.as_ref()?.value.as_ref());
    let texts = [
        schema.map(|schema| &schema.name),
        frame.and_then(|value| if let Frame::Custom(name) = value { Some(name) } else { None }),
        schema_encoding.and_then(|value| if let Schema::Custom(name) = value { Some(name) } else { None }),
    ];
    texts.into_iter().flatten().any(|text| text.len() > limit::NAME_BYTES)
}
