//! The room: joining, leaving, timers, and telling everyone.
//!
//! Invariants: one participant per identity; a participant's `version` grows with every change others see; hidden
//! participants are announced to nobody but themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use aura_types::{ParticipantSid, RoomSid, TrackSid};
use livekit_protocol as proto;
use proto::signal_response::Message;

use super::announce::Allowances;
use super::budget::BudgetsByHolder;
use super::device::room_codecs;
use super::feedback::speaker;
use super::gone::GoneLately;
use super::joiner::{ConnectionMode, Joiner};
use super::participant::Participant;
use super::{Moment, Output, RoomEvent, RoomFacts, limit};

/// A participant that never connects its media is removed after this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// Without signalling, a participant whose media still flows is kept this long for a resume.
const RESUME_WINDOW: Duration = Duration::from_secs(30);

/// Room updates that only change counts come no more often.
const COUNTS_INTERVAL: Duration = Duration::from_secs(5);

/// How the node runs rooms.
#[derive(Debug, Clone)]
pub(crate) struct RoomPolicy {
    /// A room nobody joined is ended after this.
    pub(crate) empty_timeout: Duration,
    /// A room is ended this long after the last leaver.
    pub(crate) departure_timeout: Duration,
    pub(crate) max_participants: u32,
    pub(crate) remote_unmute: bool,
    pub(crate) node_id: String,
    pub(crate) region: String,
}

/// One live room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) sid: RoomSid,
    pub(crate) name: String,
    pub(crate) metadata: String,
    pub(crate) policy: RoomPolicy,
    /// The node's limit, where the room has none of its own.
    default_max_participants: u32,
    pub(crate) created_at_ms: i64,
    /// Since when nobody who counts is here.
    empty_since: Option<Instant>,
    was_joined: bool,
    pub(crate) participants: BTreeMap<ParticipantSid, Participant>,
    identities: HashMap<String, ParticipantSid>,
    /// Whose each published track is.
    pub(crate) publishers: HashMap<TrackSid, ParticipantSid>,
    /// Tracks whose audience changed since the publisher was last told what is watched.
    pub(crate) unreviewed: BTreeSet<TrackSid>,
    pub(crate) allowances: Allowances,
    pub(crate) budgets: BudgetsByHolder,
    /// Who left within the time in which somebody may not have heard of it.
    pub(crate) gone_lately: GoneLately,
    pub(crate) speakers: BTreeMap<ParticipantSid, f32>,
    /// Participants and publishers everyone was last told of, and when.
    counts_told: (u32, u32),
    counts_told_at: Instant,
    pub(crate) outputs: VecDeque<Output>,
    sif_trailer: Vec<u8>,
    ended: bool,
    /// How many pairs of subscriber and track were looked at.
    #[cfg(test)]
    pub(crate) looks: std::cell::Cell<usize>,
}

/// Why a join was refused after the token was found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the room is full")]
    RoomFull,
    #[error("its token was issued before it was sent away")]
    SentAway,
    #[error("its token has as many further connections as it may have")]
    TooManyConnections,
    #[error("somebody with a token of that name is here")]
    NameTaken,
}

impl Room {
    pub(crate) fn new(name: String, policy: RoomPolicy, now: Moment) -> Self {
        let mut room = Self {
            sid: RoomSid::generate(),
            name,
            metadata: String::new(),
            default_max_participants: policy.max_participants,
            policy,
            created_at_ms: now.unix_ms,
            empty_since: Some(now.at),
            was_joined: false,
            participants: BTreeMap::new(),
            identities: HashMap::new(),
            publishers: HashMap::new(),
            unreviewed: BTreeSet::new(),
            allowances: Allowances::default(),
            budgets: BudgetsByHolder::default(),
            gone_lately: GoneLately::default(),
            speakers: BTreeMap::new(),
            counts_told: (0, 0),
            counts_told_at: now.at,
            outputs: VecDeque::new(),
            sif_trailer: RoomSid::generate().as_str().as_bytes().to_vec(),
            ended: false,
            #[cfg(test)]
            looks: Default::default(),
        };
        room.outputs.push_back(Output::Event(RoomEvent::Created { room: room.facts() }));
        room
    }

    pub(crate) fn facts(&self) -> RoomFacts {
        RoomFacts { sid: self.sid.to_string(), name: self.name.clone(), created_at_ms: self.created_at_ms }
    }

    pub(crate) fn info(&self) -> proto::Room {
        let count = |counts: fn(&Participant) -> bool| {
            let counted = self.participants.values().filter(|participant| counts(participant)).count();
            u32::try_from(counted).unwrap_or(u32::MAX)
        };
        proto::Room {
            sid: self.sid.to_string(),
            name: self.name.clone(),
            empty_timeout: whole_seconds(self.policy.empty_timeout),
            departure_timeout: whole_seconds(self.policy.departure_timeout),
            max_participants: self.policy.max_participants,
            creation_time: self.created_at_ms / 1000,
            creation_time_ms: self.created_at_ms,
            enabled_codecs: room_codecs(),
            metadata: self.metadata.clone(),
            num_participants: count(Participant::is_occupant),
            num_publishers: count(Participant::is_publisher),
            active_recording: self.is_recorded(),
            ..Default::default()
        }
    }

    /// How many may come, where that is not what the node has for every room.
    pub(crate) fn own_limit(&self) -> Option<u32> {
        let max = self.policy.max_participants;
        (max != self.default_max_participants).then_some(max)
    }

    /// Sets that; 0: what the node has. True when it changed.
    pub(crate) fn set_limit(&mut self, max: u32) -> bool {
        let max = if max == 0 { self.default_max_participants } else { max };
        std::mem::replace(&mut self.policy.max_participants, max) != max
    }

    /// Takes the next effect to carry out.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether the room is over; the shard drops it then.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn by_identity(&self, identity: &str) -> Option<&Participant> {
        self.participants.get(self.identities.get(identity)?)
    }

    pub(crate) fn signal(&mut self, to: &ParticipantSid, message: Message) {
        self.signal_many(vec![to.clone()], message);
    }

    /// Tells a participant what became of a request. Some clients cannot read that, and older ones know failures only.
    pub(crate) fn answer_request(&mut self, to: &ParticipantSid, response: proto::RequestResponse) {
        let Some(client) = self.participants.get(to).map(|participant| &participant.client) else { return };
        let is_old_rust = client.sdk() == proto::client_info::Sdk::Rust && client.protocol < 10;
        let is_news = response.reason() != proto::request_response::Reason::Ok || client.protocol > 14;
        if is_news && !is_old_rust {
            self.signal(to, Message::RequestResponse(response));
        }
    }

    /// Lets a participant in. Its first message is `join`; an older session of the same identity is sent away.
    pub(crate) fn join(&mut self, joiner: Joiner, now: Moment) -> Result<ParticipantSid, Refusal> {
        let old = self.by_identity(&joiner.identity);
        if joiner.is_further_connection() {
            // Its token does not name it: it must not push out whose token does.
            if old.is_some_and(|old| old.holder != joiner.holder) {
                return Err(Refusal::NameTaken);
            }
            if old.is_none() && self.further_connections_of(&joiner.holder) >= limit::FURTHER_CONNECTIONS {
                return Err(Refusal::TooManyConnections);
            }
        }
        if let Some(old) = old.map(|old| old.sid.clone()) {
            self.remove(&old, proto::DisconnectReason::DuplicateIdentity, now);
        }
        let counted = self.participants.values().filter(|p| p.is_occupant()).count();
        let limit = usize::try_from(self.policy.max_participants).unwrap_or(usize::MAX);
        let own_words_bytes = joiner.own_words_bytes;
        let participant = Participant::new(joiner, now);
        if limit > 0 && counted >= limit && participant.is_occupant() {
            return Err(Refusal::RoomFull);
        }
        if own_words_bytes > 0 && !self.has_room_for(&participant.sid, participant.own_bytes()) {
            return Err(Refusal::RoomFull);
        }
        let sid = participant.sid.clone();
        let was_recorded = self.is_recorded();
        let subscriber_primary =
            participant.mode == ConnectionMode::Dual && participant.permission.can_subscribe;
        let fast_publish = participant.permission.can_publish;
        self.identities.insert(participant.identity.clone(), sid.clone());
        self.participants.insert(sid.clone(), participant);
        self.review_occupancy(now);
        self.bump(&sid);
        let me = &self.participants[&sid];
        let join = proto::JoinResponse {
            room: Some(self.info()),
            participant: Some(me.info()),
            other_participants: self
                .participants
                .values()
                .filter(|other| other.sid != sid && !other.is_hidden())
                .map(Participant::info)
                .collect(),
            server_version: SERVER_VERSION.into(),
            subscriber_primary,
            client_configuration: Some(me.device.configuration()),
            server_region: self.policy.region.clone(),
            ping_timeout: 15,
            ping_interval: 5,
            server_info: Some(self.server_info()),
            sif_trailer: self.sif_trailer.clone(),
            enabled_publish_codecs: me.device.published_codecs(),
            fast_publish,
            ..Default::default()
        };
        let facts = me.facts();
        self.signal(&sid, Message::Join(join));
        self.tell_speakers(&sid);
        self.outputs.push_back(Output::TokenChanged { of: sid.clone() });
        self.outputs.push_back(Output::Event(RoomEvent::ParticipantJoined {
            room: self.facts(),
            participant: facts,
        }));
        self.broadcast_update(&sid, false);
        if self.is_recorded() != was_recorded {
            self.broadcast_room();
        }
        self.subscribe_to_everything(&sid);
        self.subscribe_to_all_data(&sid);
        Ok(sid)
    }

    fn further_connections_of(&self, holder: &str) -> usize {
        self.participants.values().filter(|other| other.holder == holder && other.identity != holder).count()
    }

    /// The signalling channel of a known participant came back. First message is `reconnect`.
    pub(crate) fn resume(&mut self, sid: &ParticipantSid) {
        let server_info = self.server_info();
        let Some(me) = self.participants.get_mut(sid) else { return };
        me.signal_lost_at = None;
        let last_message_seq = me.last_reliable_sequence;
        let client_configuration = Some(me.device.configuration());
        self.signal(
            sid,
            Message::Reconnect(proto::ReconnectResponse {
                client_configuration,
                server_info: Some(server_info),
                last_message_seq,
                ..Default::default()
            }),
        );
        self.repeat_mute_orders(sid);
        self.silence_gone_speakers(sid);
        // Who left while this one was away: clients drop nobody of whom they are not told.
        let gone = self.gone_lately.iter().filter(|gone| self.by_identity(&gone.identity).is_none()).cloned();
        let here = self
            .participants
            .values()
            .filter(|other| !other.is_hidden() || &other.sid == sid)
            .map(Participant::info);
        let participants = gone.chain(here).collect();
        self.signal(sid, Message::Update(proto::ParticipantUpdate { participants }));
        let room = self.info();
        self.signal(sid, Message::RoomUpdate(proto::RoomUpdate { room: Some(room) }));
        self.outputs.push_back(Output::TokenChanged { of: sid.clone() });
        self.repeat_feedback(sid);
    }

    /// The signalling channel is gone. Before media connected there is nothing to resume.
    pub(crate) fn signal_lost(&mut self, sid: &ParticipantSid, now: Moment) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        participant.signal_lost_at = Some(now.at);
        if participant.state != proto::participant_info::State::Active {
            self.remove(sid, proto::DisconnectReason::SignalClose, now);
        }
    }

    /// The participant's primary media connection is up.
    pub(crate) fn media_connected(&mut self, sid: &ParticipantSid) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        if participant.state == proto::participant_info::State::Active {
            return;
        }
        participant.state = proto::participant_info::State::Active;
        self.bump(sid);
        self.broadcast_update(sid, true);
    }

    /// A media connection failed. A client with signalling is asked to resume.
    pub(crate) fn media_failed(&mut self, sid: &ParticipantSid, now: Moment) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        // Already asked to resume, by this connection or its twin: the window decides.
        if participant.signal_lost_at.is_some() {
            return;
        }
        participant.signal_lost_at = Some(now.at);
        self.signal(sid, leave(proto::DisconnectReason::UnknownReason, proto::leave_request::Action::Resume));
        self.outputs.push_back(Output::CloseSignal { participant: sid.clone() });
    }

    /// Sends a participant away, telling it why, and tells the others that it left.
    pub(crate) fn remove(&mut self, sid: &ParticipantSid, reason: proto::DisconnectReason, now: Moment) {
        use proto::leave_request::Action;
        let Some(mut gone) = self.participants.remove(sid) else { return };
        let action = match reason {
            proto::DisconnectReason::StateMismatch | proto::DisconnectReason::ServerShutdown => {
                Action::Reconnect
            }
            _ => Action::Disconnect,
        };
        if reason != proto::DisconnectReason::ClientInitiated {
            self.signal(sid, leave(reason, action));
        }
        self.identities.remove(&gone.identity);
        for track in std::mem::take(&mut gone.tracks) {
            self.forget_track(track);
        }
        self.forget_data_tracks_of(&mut gone);
        self.forget_subscriptions_of(&gone);
        self.outputs.push_back(Output::Close { participant: sid.clone() });
        if self.speakers.remove(sid).is_some() && !gone.is_hidden() {
            // Before they hear that it left: of whom they do not know, clients believe nothing any more.
            let speakers = vec![speaker(sid.to_string(), 0.0)];
            let message = Message::SpeakersChanged(proto::SpeakersChanged { speakers });
            self.signal_everyone_but(sid, message);
        }
        gone.state = proto::participant_info::State::Disconnected;
        gone.version += 1;
        if !gone.is_hidden() {
            // What it said of itself, others know; those who leave and come must not make everyone read it again.
            (gone.metadata, gone.attributes) = Default::default();
            let info = proto::ParticipantInfo { disconnect_reason: reason as i32, ..gone.info() };
            self.gone_lately.push(info.clone(), gone.has_spoken, now.at);
            let update = Message::Update(proto::ParticipantUpdate { participants: vec![info] });
            self.signal_everyone_but(sid, update);
        }
        self.outputs.push_back(Output::Event(RoomEvent::ParticipantLeft {
            room: self.facts(),
            participant: gone.facts(),
            reason: reason.as_str_name(),
        }));
        if gone.is_recorder() && !self.is_recorded() {
            self.broadcast_room();
        }
        self.review_occupancy(now);
    }

    /// Notes since when nobody who counts is here.
    fn review_occupancy(&mut self, now: Moment) {
        if self.participants.values().any(Participant::is_occupant) {
            self.was_joined = true;
            self.empty_since = None;
        } else {
            self.empty_since.get_or_insert(now.at);
        }
    }

    fn is_recorded(&self) -> bool {
        self.participants.values().any(Participant::is_recorder)
    }

    /// Ends the room for everyone.
    pub(crate) fn end(&mut self, reason: proto::DisconnectReason, now: Moment) {
        for sid in self.participants.keys().cloned().collect::<Vec<_>>() {
            self.remove(&sid, reason, now);
        }
        let first = !std::mem::replace(&mut self.ended, true);
        // A node that stops sends people to come again: the room is not over.
        if first && reason != proto::DisconnectReason::ServerShutdown {
            let duration_ms = now.unix_ms - self.created_at_ms;
            self.outputs.push_back(Output::Event(RoomEvent::Ended { room: self.facts(), duration_ms }));
        }
    }

    /// Runs timers: never-connected participants, lost signalling, emptiness. Call about once a second.
    pub(crate) fn tick(&mut self, now: Moment) {
        let overdue: Vec<_> = self
            .participants
            .values()
            .filter_map(|participant| {
                let connecting = participant.state != proto::participant_info::State::Active
                    && now.at.duration_since(participant.joined_at) > CONNECT_TIMEOUT;
                let abandoned = participant
                    .signal_lost_at
                    .is_some_and(|lost| now.at.duration_since(lost) > RESUME_WINDOW);
                let reason = match (connecting, abandoned) {
                    (true, _) => proto::DisconnectReason::ConnectionTimeout,
                    (_, true) => proto::DisconnectReason::SignalClose,
                    _ => return None,
                };
                Some((participant.sid.clone(), reason))
            })
            .collect();
        for (sid, reason) in overdue {
            self.remove(&sid, reason, now);
        }
        self.gone_lately.expire(now.at);
        self.forget_full_budgets(now.at);
        self.refill_announcements(now.at);
        self.tell_counts(now);
        // Rights may have made an occupant of a recorder, or the other way round.
        self.review_occupancy(now);
        let patience =
            if self.was_joined { self.policy.departure_timeout } else { self.policy.empty_timeout };
        if self.empty_since.is_some_and(|since| now.at.duration_since(since) >= patience) {
            self.end(proto::DisconnectReason::RoomClosed, now);
        }
    }

    /// Tells everyone how many are here, at most every five seconds.
    fn tell_counts(&mut self, now: Moment) {
        let info = self.info();
        let counts = (info.num_participants, info.num_publishers);
        if counts != self.counts_told && now.at.duration_since(self.counts_told_at) >= COUNTS_INTERVAL {
            self.counts_told = counts;
            self.counts_told_at = now.at;
            self.broadcast_room();
        }
    }

    /// Marks a change of the participant that others will see.
    pub(crate) fn bump(&mut self, sid: &ParticipantSid) {
        if let Some(participant) = self.participants.get_mut(sid) {
            participant.version += 1;
        }
    }

    fn server_info(&self) -> proto::ServerInfo {
        proto::ServerInfo {
            version: SERVER_VERSION.into(),
            protocol: PROTOCOL_VERSION,
            region: self.policy.region.clone(),
            node_id: self.policy.node_id.clone(),
            ..Default::default()
        }
    }
}

/// The LiveKit server whose behaviour clients may expect; they switch features by it.
pub(crate) const SERVER_VERSION: &str = "1.13.5";
/// Signalling protocol. 18 would promise out-of-band negotiated data channels.
const PROTOCOL_VERSION: i32 = 17;

/// A leave message; clients up to protocol 12 read only `can_reconnect`.
pub(crate) fn leave(reason: proto::DisconnectReason, action: proto::leave_request::Action) -> Message {
    use proto::leave_request::Action;
    Message::Leave(proto::LeaveRequest {
        can_reconnect: action != Action::Disconnect,
        reason: reason as i32,
        action: action as i32,
        regions: None,
    })
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
