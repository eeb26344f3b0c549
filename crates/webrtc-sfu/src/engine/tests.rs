//! The room's rules, told as stories.
//!
//! Long because there is one story per rule, and they share the stage.
#![expect(clippy::disallowed_methods, reason = "any instant will do")]

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use aura_media::layer::Layer;
use aura_media::{Codec, MediaKind};
use aura_types::{ParticipantSid, TrackSid};
use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_response::Message;

use super::admin::{AdminError, AdminReply, AdminRequest};
use super::data::DataRefusal;
use super::feedback::{Heard, Uplink};
use super::participant::{ConnectionMode, Joiner};
use super::publish::MediaFacts;
use super::room::{Refusal, Room, RoomPolicy};
use super::{DataChannel, Moment, Output, RoomEvent, limit};

mod clients;
mod data_track;
mod load;
mod resume;

/// A room and everything it said, by who was told.
struct Stage {
    room: Room,
    now: Moment,
    told: Vec<(ParticipantSid, Message)>,
    /// Messages made; one may go to many.
    messages: usize,
    outputs: Vec<Output>,
}

impl Stage {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut RoomPolicy)) -> Self {
        let mut policy = RoomPolicy {
            empty_timeout: Duration::from_secs(300),
            departure_timeout: Duration::from_secs(20),
            max_participants: 0,
            remote_unmute: false,
            node_id: "ND_test".into(),
            region: String::new(),
        };
        change(&mut policy);
        let now = Moment { at: Instant::now(), unix_ms: 1_000 };
        Self {
            room: Room::new("hall".into(), policy, now),
            now,
            told: Vec::new(),
            messages: 0,
            outputs: Vec::new(),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.at += time;
        self.now.unix_ms += i64::try_from(time.as_millis()).unwrap();
        self.room.tick(self.now);
    }

    fn join(&mut self, identity: &str) -> ParticipantSid {
        self.join_as(joiner(identity)).unwrap()
    }

    fn join_as(&mut self, joiner: Joiner) -> Result<ParticipantSid, Refusal> {
        let sid = self.room.join(joiner, self.now);
        self.collect();
        sid
    }

    fn collect(&mut self) {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Signal { to, message } => {
                    self.messages += 1;
                    self.told.extend(to.into_iter().map(|to| (to, (*message).clone())));
                }
                other => self.outputs.push(other),
            }
        }
    }

    fn forget(&mut self) {
        self.collect();
        self.told.clear();
        self.messages = 0;
        self.outputs.clear();
    }

    fn told_to<'a>(&'a self, sid: &'a ParticipantSid) -> impl Iterator<Item = &'a Message> {
        self.told.iter().filter(move |(to, _)| to == sid).map(|(_, message)| message)
    }

    fn publish(&mut self, sid: &ParticipantSid, cid: &str, kind: MediaKind) -> TrackSid {
        let video = kind == MediaKind::Video;
        let request = proto::AddTrackRequest {
            cid: cid.into(),
            r#type: if video { proto::TrackType::Video } else { proto::TrackType::Audio } as i32,
            source: if video { proto::TrackSource::Camera } else { proto::TrackSource::Microphone } as i32,
            layers: if video { layers() } else { Vec::new() },
            ..Default::default()
        };
        self.room.add_track(sid, request);
        let facts = MediaFacts { cid, kind, mid: "0", codecs: &[], aic: false, simulcast: video };
        let track = self.room.claim_media(sid, &facts).unwrap();
        self.collect();
        track
    }

    fn subscriptions(&self) -> Vec<(&ParticipantSid, &TrackSid)> {
        let subscribed = |output: &'_ Output| matches!(output, Output::Subscribe { .. });
        self.outputs
            .iter()
            .filter(|output| subscribed(output))
            .map(|output| match output {
                Output::Subscribe { subscriber, track, .. } => (subscriber, track),
                _ => unreachable!("filtered above"),
            })
            .collect()
    }

    fn preferred(&self, subscriber: &ParticipantSid, track: &TrackSid) -> Option<Layer> {
        self.room.preferred_layer(subscriber, track)
    }
}

fn layers() -> Vec<proto::VideoLayer> {
    [(0, 180), (1, 360), (2, 720)]
        .map(|(quality, height)| proto::VideoLayer {
            quality,
            height,
            width: height * 16 / 9,
            ..Default::default()
        })
        .to_vec()
}

fn joiner(identity: &str) -> Joiner {
    Joiner {
        identity: identity.into(),
        holder: identity.into(),
        issued_s: 0,
        name: identity.to_uppercase(),
        metadata: String::new(),
        attributes: HashMap::new(),
        own_words_bytes: 0,
        kind: proto::participant_info::Kind::Standard,
        permission: proto::ParticipantPermission {
            can_subscribe: true,
            can_publish: true,
            can_publish_data: true,
            ..Default::default()
        },
        kind_details: Vec::new(),
        client: proto::ClientInfo { protocol: 17, ..Default::default() },
        mode: ConnectionMode::Single,
        auto_subscribe: true,
        auto_subscribe_data: false,
        token_allowance: 32_000,
    }
}

fn user_packet(text: &str) -> proto::DataPacket {
    proto::DataPacket {
        value: Some(proto::data_packet::Value::User(proto::UserPacket {
            payload: text.into(),
            ..Default::default()
        })),
        ..Default::default()
    }
}

#[test]
fn the_first_word_is_join_and_the_others_learn_of_it() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.forget();
    let bob = stage.join("bob");
    let Some(Message::Join(join)) = stage.told_to(&bob).next() else { panic!("join comes first") };
    assert_eq!(join.other_participants.len(), 1);
    assert_eq!(join.participant.as_ref().unwrap().sid, bob.to_string());
    assert!(join.ping_interval > 0 && join.ping_timeout > 0, "zero makes clients panic");
    assert!(!join.subscriber_primary, "never with a single connection");
    let Some(Message::Update(update)) = stage.told_to(&alice).next() else { panic!("alice is told") };
    assert_eq!(update.participants[0].identity, "bob");
}

#[test]
fn the_same_identity_again_sends_the_first_away() {
    let mut stage = Stage::new();
    let first = stage.join("alice");
    stage.forget();
    let second = stage.join("alice");
    assert_ne!(first, second);
    let Some(Message::Leave(leave)) = stage.told_to(&first).next() else { panic!("the first is told why") };
    assert_eq!(leave.reason, proto::DisconnectReason::DuplicateIdentity as i32);
    assert!(
        stage.outputs.iter().any(|o| matches!(o, Output::Close { participant } if *participant == first))
    );
    assert_eq!(stage.room.participants.len(), 1);
}

#[test]
fn a_full_room_refuses_people_but_not_agents() {
    let mut stage = Stage::with(|policy| policy.max_participants = 1);
    stage.join("alice");
    assert_eq!(stage.join_as(joiner("bob")), Err(Refusal::RoomFull));
    let agent = Joiner { kind: proto::participant_info::Kind::Agent, ..joiner("helper") };
    assert!(stage.join_as(agent).is_ok());
}

#[test]
fn published_media_reaches_everyone_but_its_publisher() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.forget();
    let track = stage.publish(&alice, "mic", MediaKind::Audio);
    assert_eq!(stage.subscriptions(), [(&bob, &track)]);
    stage.forget();
    let carol = stage.join("carol");
    assert_eq!(stage.subscriptions(), [(&carol, &track)], "late joiners get it too");
}

#[test]
fn a_track_needs_a_promise_and_matches_it_by_name_then_by_kind() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let kind = MediaKind::Video;
    let facts = MediaFacts { cid: "cam", kind, mid: "1", codecs: &[], aic: false, simulcast: false };
    assert_eq!(stage.room.claim_media(&alice, &facts), None, "media before its promise waits");
    let promise = |cid: &str, kind: proto::TrackType| proto::AddTrackRequest {
        cid: cid.into(),
        r#type: kind as i32,
        ..Default::default()
    };
    stage.room.add_track(&alice, promise("other", proto::TrackType::Audio));
    assert_eq!(stage.room.claim_media(&alice, &facts), None, "audio is no promise of video");
    stage.room.add_track(&alice, promise("renamed-by-the-browser", proto::TrackType::Video));
    let track = stage.room.claim_media(&alice, &facts).unwrap();
    assert_eq!(stage.room.claim_media(&alice, &facts), Some(track), "asking again changes nothing");
}

#[test]
fn media_whose_track_was_taken_back_is_not_taken_for_the_next() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let old = stage.publish(&alice, "mic", MediaKind::Audio);
    stage.room.unpublish(&alice, &old, true);
    let promise = |cid: &str| proto::AddTrackRequest { cid: cid.into(), ..Default::default() };
    let facts = |cid: &'static str, mid: &'static str| MediaFacts {
        cid,
        kind: MediaKind::Audio,
        mid,
        codecs: &[],
        aic: false,
        simulcast: false,
    };
    stage.room.add_track(&alice, promise("another mic"));
    assert_eq!(stage.room.claim_media(&alice, &facts("mic", "0")), None, "still offered, but nobody's");
    let new = stage.room.claim_media(&alice, &facts("another mic", "1"));
    assert!(new.is_some_and(|new| new != old));
    stage.room.add_track(&alice, promise("mic"));
    assert!(stage.room.claim_media(&alice, &facts("mic", "0")).is_some(), "promised again by its name");
}

#[test]
fn what_is_not_granted_is_not_published() {
    let mut stage = Stage::new();
    let mut mute = joiner("alice");
    mute.permission.can_publish_sources = vec![proto::TrackSource::Microphone as i32];
    let alice = stage.join_as(mute).unwrap();
    stage.forget();
    let camera = proto::AddTrackRequest {
        cid: "cam".into(),
        r#type: proto::TrackType::Video as i32,
        source: proto::TrackSource::Camera as i32,
        ..Default::default()
    };
    stage.room.add_track(&alice, camera);
    stage.collect();
    let Some(Message::RequestResponse(answer)) = stage.told_to(&alice).next() else {
        panic!("refusal is said")
    };
    assert_eq!(answer.reason, proto::request_response::Reason::NotAllowed as i32);
    assert!(stage.room.participants[&alice].pending.is_empty());
}

#[test]
fn revoking_publication_takes_tracks_away_live() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let track = stage.publish(&alice, "mic", MediaKind::Audio);
    stage.forget();
    let permission = proto::ParticipantPermission { can_subscribe: true, ..Default::default() };
    let request = AdminRequest::UpdateParticipant {
        identity: "alice".into(),
        name: None,
        metadata: None,
        attributes: HashMap::new(),
        permission: Some(Box::new(permission)),
    };
    stage.room.administer(request, stage.now).unwrap();
    stage.collect();
    assert!(
        stage
            .told_to(&alice)
            .any(|m| matches!(m, Message::TrackUnpublished(t) if t.track_sid == track.as_str()))
    );
    assert!(
        stage
            .outputs
            .iter()
            .any(|o| matches!(o, Output::Unsubscribe { subscriber, .. } if *subscriber == bob))
    );
    assert!(stage.outputs.iter().any(|o| matches!(o, Output::TrackGone { .. })));
}

#[test]
fn a_publisher_decides_who_may_subscribe() {
    let mut stage = Stage::new();
    let (alice, bob, carol) = (stage.join("alice"), stage.join("bob"), stage.join("carol"));
    let track = stage.publish(&alice, "mic", MediaKind::Audio);
    stage.forget();
    let only_bob = proto::SubscriptionPermission {
        all_participants: false,
        track_permissions: vec![proto::TrackPermission {
            participant_identity: "bob".into(),
            all_tracks: true,
            ..Default::default()
        }],
    };
    stage.room.set_subscription_rules(&alice, only_bob);
    stage.collect();
    let lost = |sid: &ParticipantSid| {
        stage.outputs.iter().any(|o| matches!(o, Output::Unsubscribe { subscriber, .. } if subscriber == sid))
    };
    assert!(lost(&carol) && !lost(&bob));
    let told = stage.told_to(&carol).any(|m| {
        matches!(m, Message::SubscriptionPermissionUpdate(u) if !u.allowed && u.track_sid == track.as_str())
    });
    assert!(told);
}

#[test]
fn the_tile_decides_the_layer_and_hiding_it_pauses() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let track = stage.publish(&alice, "cam", MediaKind::Video);
    assert_eq!(stage.preferred(&bob, &track), Some(Layer::High));
    let setting = |disabled, quality: proto::VideoQuality, height| proto::UpdateTrackSettings {
        track_sids: vec![track.to_string()],
        disabled,
        quality: quality as i32,
        height,
        ..Default::default()
    };
    stage.room.update_track_settings(&bob, &setting(false, proto::VideoQuality::Low, 664));
    assert_eq!(stage.preferred(&bob, &track), Some(Layer::High), "with a size, quality is a default");
    stage.room.update_track_settings(&bob, &setting(false, proto::VideoQuality::Low, 200));
    assert_eq!(stage.preferred(&bob, &track), Some(Layer::Low));
    stage.room.update_track_settings(&bob, &setting(false, proto::VideoQuality::Medium, 0));
    assert_eq!(stage.preferred(&bob, &track), Some(Layer::Medium));
    stage.room.update_track_settings(&bob, &setting(true, proto::VideoQuality::High, 0));
    assert_eq!(stage.preferred(&bob, &track), None);
    stage.room.review_subscribed_qualities();
    stage.collect();
    let told = stage.told_to(&alice).filter_map(|message| match message {
        Message::SubscribedQualityUpdate(update) => Some(update),
        _ => None,
    });
    let last = told.last().unwrap();
    assert!(last.subscribed_codecs[0].qualities.iter().all(|quality| !quality.enabled), "nobody watches");
}

#[test]
fn hidden_participants_are_announced_to_nobody() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.forget();
    let mut ghost = joiner("ghost");
    ghost.permission.hidden = true;
    let ghost = stage.join_as(ghost).unwrap();
    assert_eq!(stage.told_to(&alice).count(), 0);
    stage.forget();
    stage.room.data_received(&ghost, DataChannel::Reliable, &user_packet("boo").encode_to_vec()).unwrap();
    let Some(Output::Data { payload, .. }) = stage.room.poll_output() else { panic!("data is delivered") };
    assert_eq!(proto::DataPacket::decode(&payload[..]).unwrap().participant_identity, "", "without a name");
}

#[test]
fn nobody_speaks_for_another() {
    let mut stage = Stage::new();
    let (alice, _bob) = (stage.join("alice"), stage.join("bob"));
    stage.forget();
    let forged = proto::DataPacket {
        participant_identity: "bob".into(),
        participant_sid: "PA_bob".into(),
        ..user_packet("hello")
    };
    stage.room.data_received(&alice, DataChannel::Reliable, &forged.encode_to_vec()).unwrap();
    let Some(Output::Data { payload, .. }) = stage.room.poll_output() else { panic!("delivered") };
    let received = proto::DataPacket::decode(&payload[..]).unwrap();
    assert_eq!(
        (received.participant_identity.as_str(), received.participant_sid),
        ("alice", alice.to_string())
    );
    assert!(stage.room.poll_output().is_none(), "the sender gets no copy");
}

#[test]
fn data_is_refused_without_the_right_twice_or_broken() {
    let mut stage = Stage::new();
    let mut silent = joiner("silent");
    silent.permission.can_publish_data = false;
    let silent = stage.join_as(silent).unwrap();
    let alice = stage.join("alice");
    let bytes = user_packet("x").encode_to_vec();
    let refused = |room: &mut Room, sid, bytes: &[u8]| room.data_received(sid, DataChannel::Reliable, bytes);
    assert_eq!(refused(&mut stage.room, &silent, &bytes), Err(DataRefusal::NotAllowed));
    assert_eq!(refused(&mut stage.room, &alice, b"\xff\xff"), Err(DataRefusal::Malformed));
    assert_eq!(refused(&mut stage.room, &alice, &vec![0; 70_000]), Err(DataRefusal::TooLarge));
    let numbered = proto::DataPacket { sequence: 5, ..user_packet("x") }.encode_to_vec();
    assert_eq!(refused(&mut stage.room, &alice, &numbered), Ok(()));
    assert_eq!(
        refused(&mut stage.room, &alice, &numbered),
        Err(DataRefusal::Duplicate),
        "resent after a resume"
    );
    let transcription = proto::DataPacket {
        value: Some(proto::data_packet::Value::Transcription(proto::Transcription::default())),
        ..Default::default()
    };
    assert_eq!(
        refused(&mut stage.room, &alice, &transcription.encode_to_vec()),
        Err(DataRefusal::NotAllowed)
    );
}

#[test]
fn a_destination_list_is_honoured() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.join("carol");
    stage.forget();
    let to_bob = proto::DataPacket { destination_identities: vec!["bob".into()], ..user_packet("psst") };
    stage.room.data_received(&alice, DataChannel::Lossy, &to_bob.encode_to_vec()).unwrap();
    let reached: Vec<_> = std::iter::from_fn(|| stage.room.poll_output())
        .filter_map(|output| match output {
            Output::Data { to, .. } => Some(to),
            _ => None,
        })
        .collect();
    assert_eq!(reached, [bob]);
}

#[test]
fn a_lost_signal_can_be_resumed_while_media_lives_and_not_before() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.room.media_connected(&alice);
    stage.room.signal_lost(&alice, stage.now);
    stage.room.signal_lost(&bob, stage.now);
    assert!(stage.room.participants.contains_key(&alice));
    assert!(!stage.room.participants.contains_key(&bob), "never connected: nothing to resume");
    stage.pass(Duration::from_secs(20));
    stage.forget();
    stage.room.resume(&alice);
    stage.collect();
    assert!(matches!(stage.told_to(&alice).next(), Some(Message::Reconnect(_))), "reconnect comes first");
    stage.pass(Duration::from_secs(120));
    assert!(stage.room.participants.contains_key(&alice), "resumed: the window is closed");
    stage.room.signal_lost(&alice, stage.now);
    stage.pass(Duration::from_secs(31));
    assert!(stage.room.participants.is_empty(), "and is gone if it never comes back");
}

#[test]
fn rooms_end_when_nobody_came_or_everybody_left() {
    let mut stage = Stage::new();
    stage.pass(Duration::from_secs(299));
    assert!(!stage.room.is_ended());
    stage.pass(Duration::from_secs(2));
    assert!(stage.room.is_ended(), "nobody came");

    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.room.media_connected(&alice);
    stage.room.remove(&alice, proto::DisconnectReason::ClientInitiated, stage.now);
    stage.pass(Duration::from_secs(19));
    assert!(!stage.room.is_ended());
    stage.pass(Duration::from_secs(2));
    assert!(stage.room.is_ended(), "everybody left");
    stage.collect();
    let events: Vec<_> = stage
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Event(RoomEvent::Created { .. }) => Some("created"),
            Output::Event(RoomEvent::ParticipantJoined { .. }) => Some("joined"),
            Output::Event(RoomEvent::ParticipantLeft { .. }) => Some("left"),
            Output::Event(RoomEvent::Ended { .. }) => Some("ended"),
            _ => None,
        })
        .collect();
    assert_eq!(events, ["created", "joined", "left", "ended"]);
}

#[test]
fn an_agent_alone_keeps_no_room_open() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let agent = Joiner { kind: proto::participant_info::Kind::Agent, ..joiner("helper") };
    let agent = stage.join_as(agent).unwrap();
    stage.room.media_connected(&agent);
    stage.room.remove(&alice, proto::DisconnectReason::ClientInitiated, stage.now);
    stage.pass(Duration::from_secs(21));
    assert!(stage.room.is_ended());
}

#[test]
fn both_connections_of_a_client_may_fail_and_it_still_resumes() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.room.media_connected(&alice);
    stage.forget();
    stage.room.media_failed(&alice, stage.now);
    stage.room.media_failed(&alice, stage.now);
    stage.collect();
    let Some(Message::Leave(leave)) = stage.told_to(&alice).next() else { panic!("asked to resume") };
    assert_eq!(leave.action, proto::leave_request::Action::Resume as i32);
    assert!(stage.room.participants.contains_key(&alice));
}

#[test]
fn an_administrator_mutes_and_may_not_unmute() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let track = stage.publish(&alice, "mic", MediaKind::Audio);
    stage.forget();
    let mute = |muted| AdminRequest::Mute { identity: "alice".into(), track: track.to_string(), muted };
    let reply = stage.room.administer(mute(true), stage.now).unwrap();
    assert!(matches!(reply, AdminReply::Track(info) if info.muted));
    stage.collect();
    assert!(stage.told_to(&alice).any(|m| matches!(m, Message::Mute(order) if order.muted)));
    assert!(
        stage.outputs.iter().any(|o| matches!(o, Output::Gate { open: false, .. })),
        "the server enforces it"
    );
    let refused = stage.room.administer(mute(false), stage.now);
    assert_eq!(refused.unwrap_err(), AdminError::RemoteUnmuteDisabled);
}

#[test]
fn speakers_and_quality_are_told_when_they_change() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.publish(&alice, "mic", MediaKind::Audio);
    stage.forget();
    let speaking = BTreeMap::from([(alice.clone(), 0.5)]);
    stage.room.update_speakers(&speaking);
    stage.room.update_speakers(&speaking);
    stage.room.update_speakers(&BTreeMap::new());
    stage.collect();
    let levels: Vec<_> = stage
        .told_to(&bob)
        .filter_map(|message| match message {
            Message::SpeakersChanged(changed) => {
                Some((changed.speakers[0].level, changed.speakers[0].active))
            }
            _ => None,
        })
        .collect();
    assert_eq!(levels, [(0.5, true), (0.0, false)], "once each");

    stage.forget();
    stage.room.update_quality(&BTreeMap::from([(alice.clone(), Uplink { loss_percent: 20.0 })]));
    stage.collect();
    assert_eq!(qualities_told(&stage, &bob), [(alice.clone(), proto::ConnectionQuality::Poor)]);
}

/// The connection qualities somebody was told since the stage last forgot, but not their own.
fn qualities_told(stage: &Stage, who: &ParticipantSid) -> Vec<(ParticipantSid, proto::ConnectionQuality)> {
    stage
        .told_to(who)
        .filter_map(|message| match message {
            Message::ConnectionQuality(told) => Some(told.updates.clone()),
            _ => None,
        })
        .flatten()
        .filter(|update| update.participant_sid != who.to_string())
        .map(|update| (update.participant_sid.parse().unwrap(), update.quality()))
        .collect()
}

#[test]
fn who_is_not_heard_any_more_is_lost_for_everyone_at_once() {
    use proto::ConnectionQuality::{Lost, Poor};
    let mut stage = Stage::new();
    // Bob subscribes to nothing: there is nothing to subscribe to.
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    stage.forget();
    let heard = stage.now.at;
    let at = |sending| BTreeMap::from([(alice.clone(), Heard { at: heard, sending })]);
    let nobody: [(ParticipantSid, proto::ConnectionQuality); 0] = [];
    let after = |stage: &mut Stage, sending: bool, seconds: f32| {
        stage.forget();
        stage.room.update_presence(&at(sending), heard + Duration::from_secs_f32(seconds));
        stage.collect();
        qualities_told(stage, &bob)
    };
    assert_eq!(after(&mut stage, false, 6.5), nobody, "an idle client checks every six seconds");
    assert_eq!(after(&mut stage, false, 7.5), [(alice.clone(), Lost)]);
    assert_eq!(after(&mut stage, false, 8.5), nobody, "once");
    assert_eq!(after(&mut stage, false, 0.5), [(alice.clone(), Poor)], "heard again");
    assert_eq!(after(&mut stage, true, 2.5), nobody);
    assert_eq!(after(&mut stage, true, 3.5), [(alice.clone(), Lost)], "media that were coming stopped");
    stage.room.update_quality(&BTreeMap::from([(alice.clone(), Uplink { loss_percent: 0.0 })]));
    assert_eq!(after(&mut stage, true, 4.5), nobody, "no window without packets makes it excellent");

    after(&mut stage, false, 0.5);
    let now = Moment { at: heard, ..stage.now };
    stage.room.participants.get_mut(&alice).unwrap().state = proto::participant_info::State::Active;
    stage.room.signal_lost(&alice, now);
    assert_eq!(after(&mut stage, false, 3.5), [(alice.clone(), Lost)], "signalling is gone too");
}

#[test]
fn metadata_has_limits_and_rights_and_empty_attributes_are_deleted() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.forget();
    let change = |key: &str, value: &str| proto::UpdateParticipantMetadata {
        attributes: HashMap::from([(key.to_owned(), value.to_owned())]),
        request_id: 7,
        ..Default::default()
    };
    stage.room.update_own_metadata(&alice, change("hand", "up"));
    stage.room.participants.get_mut(&alice).unwrap().permission.can_update_metadata = true;
    stage.room.update_own_metadata(&alice, change("hand", &"x".repeat(65 * 1024)));
    stage.room.update_own_metadata(&alice, change("hand", "up"));
    assert_eq!(stage.room.participants[&alice].attributes["hand"], "up");
    stage.room.update_own_metadata(&alice, change("hand", ""));
    assert!(stage.room.participants[&alice].attributes.is_empty());
    stage.collect();
    use proto::request_response::Reason;
    let reasons: Vec<_> = stage
        .told_to(&alice)
        .filter_map(|message| match message {
            Message::RequestResponse(response) => Some(response.reason),
            _ => None,
        })
        .collect();
    assert_eq!(
        reasons,
        [Reason::NotAllowed, Reason::LimitExceeded, Reason::Ok, Reason::Ok].map(|r| r as i32)
    );
}

#[test]
fn a_track_of_aic_names_both_codecs_and_its_publisher_hears_which_is_wanted() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.join("bob");
    let request = proto::AddTrackRequest {
        cid: "mic".into(),
        r#type: proto::TrackType::Audio as i32,
        source: proto::TrackSource::Microphone as i32,
        ..Default::default()
    };
    stage.room.add_track(&alice, request);
    let (codecs, kind) = (&[Codec::Opus][..], MediaKind::Audio);
    let facts = MediaFacts { cid: "mic", kind, mid: "0", codecs, aic: true, simulcast: false };
    let track = stage.room.claim_media(&alice, &facts).unwrap();
    // What is seen first, and any change after it, is news to nobody.
    stage.forget();
    for codec in [Codec::Aic, Codec::Opus, Codec::Aic] {
        stage.room.correct_codec(&alice, &track, codec);
    }
    stage.collect();
    assert!(stage.told.is_empty(), "{:?}", stage.told);
    let info = &stage.room.participants[&alice].track(track.as_str()).unwrap().info;
    let mimes: Vec<_> = info.codecs.iter().map(|codec| codec.mime_type.as_str()).collect();
    assert_eq!((info.mime_type.as_str(), mimes), ("audio/opus", vec!["audio/aic", "audio/opus"]));

    let wanted = |stage: &mut Stage| {
        stage.collect();
        let told: Vec<_> = stage
            .told_to(&alice)
            .filter_map(|message| match message {
                Message::SubscribedQualityUpdate(update) => Some(update.clone()),
                _ => None,
            })
            .collect();
        stage.forget();
        let [update] = &told[..] else { panic!("told once: {told:?}") };
        assert_eq!(update.track_sid, track.as_str());
        let state = |codec: &proto::SubscribedCodec| (codec.codec.clone(), codec.qualities[0].enabled);
        update.subscribed_codecs.iter().map(state).collect::<Vec<_>>()
    };
    stage.room.announce_aic(&alice, &track, false);
    let opus_only = [("audio/aic".to_owned(), false), ("audio/opus".to_owned(), true)];
    assert_eq!(wanted(&mut stage), opus_only);
    stage.room.repeat_feedback(&alice);
    assert_eq!(wanted(&mut stage), opus_only, "said again after a resume");
}

#[test]
fn the_codec_asked_for_is_promised_and_kept() {
    use proto::video_layer::Mode::{MultipleSpatialLayersPerStream, OneSpatialLayerPerStream};
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let offered = [Codec::Vp8, Codec::Vp9, Codec::H264];
    let mut publish = |asked: &[&str], cid: &str| {
        let codec = |name: &&str| proto::SimulcastCodec {
            codec: (*name).into(),
            cid: if *name == asked[0] { cid.into() } else { String::new() },
            ..Default::default()
        };
        let request = proto::AddTrackRequest {
            cid: cid.into(),
            r#type: proto::TrackType::Video as i32,
            layers: layers(),
            simulcast_codecs: asked.iter().map(codec).collect(),
            ..Default::default()
        };
        stage.room.add_track(&alice, request);
        let asked = stage.room.participants[&alice].asked_video_codec(cid);
        let facts = MediaFacts {
            cid,
            kind: MediaKind::Video,
            mid: "0",
            codecs: &offered,
            aic: false,
            simulcast: false,
        };
        let track = stage.room.claim_media(&alice, &facts).unwrap();
        (asked, stage.room.participants[&alice].track(track.as_str()).unwrap().info.clone())
    };
    let named = |info: &proto::TrackInfo| {
        info.codecs.iter().map(|codec| (codec.mime_type.clone(), codec.mid.clone())).collect::<Vec<_>>()
    };
    let entry = |mime: &str, mid: &str| (mime.to_owned(), mid.to_owned());

    let (asked, info) = publish(&["vp9", "vp8"], "with-backup");
    assert_eq!((asked, info.mime_type.as_str()), (Some(Codec::Vp9), "video/VP9"));
    assert_eq!(named(&info), [entry("video/VP9", "0"), entry("video/VP8", "")]);
    let modes: Vec<_> = info.codecs.iter().map(|codec| codec.video_layer_mode).collect();
    assert_eq!(modes, [MultipleSpatialLayersPerStream as i32, OneSpatialLayerPerStream as i32]);
    assert_eq!(info.codecs[0].layers, layers());

    let (asked, info) = publish(&["h264"], "plain");
    assert_eq!((asked, info.mime_type.as_str()), (Some(Codec::H264), "video/H264"));
    let (asked, info) = publish(&[], "silent");
    assert_eq!((asked, info.mime_type.as_str()), (None, "video/VP8"), "the first it offers");
    let (_, info) = publish(&["av1", "vp8"], "not-offered");
    assert_eq!(named(&info), [entry("video/VP8", "0")], "what is not offered cannot be kept");
    let (asked, _) = publish(&["h265"], "not-ours");
    assert_eq!(asked, Some(Codec::Vp8), "what we do not forward is not promised");
}
