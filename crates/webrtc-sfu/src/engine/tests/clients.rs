//! What stock clients count on being told, and who counts as being there.

use proto::request_response::{Reason, Request};

use super::*;

fn only(permissions: Vec<proto::TrackPermission>) -> proto::SubscriptionPermission {
    proto::SubscriptionPermission { all_participants: false, track_permissions: permissions }
}

fn everything_to(identity: &str) -> proto::TrackPermission {
    proto::TrackPermission { participant_identity: identity.into(), all_tracks: true, ..Default::default() }
}

fn recorder(by_grant: bool) -> Joiner {
    let mut joiner = joiner("recorder");
    match by_grant {
        true => joiner.permission.recorder = true,
        false => joiner.kind = proto::participant_info::Kind::Egress,
    }
    joiner
}

fn agent(by_grant: bool) -> Joiner {
    let mut joiner = joiner("agent");
    match by_grant {
        true => joiner.permission.agent = true,
        false => joiner.kind = proto::participant_info::Kind::Agent,
    }
    joiner
}

impl Stage {
    /// What the participant was told of its permission to have a track, in order.
    fn permissions_told(&self, sid: &ParticipantSid, track: &TrackSid) -> Vec<bool> {
        let of_track = |message: &Message| match message {
            Message::SubscriptionPermissionUpdate(update) if update.track_sid == track.as_str() => {
                Some(update.allowed)
            }
            _ => None,
        };
        self.told_to(sid).filter_map(of_track).collect()
    }

    fn answers<'a>(&'a self, sid: &'a ParticipantSid) -> Vec<&'a proto::RequestResponse> {
        self.told_to(sid)
            .filter_map(|message| match message {
                Message::RequestResponse(response) => Some(response),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn a_subscriber_learns_that_it_may_not_in_whatever_order_things_happen() {
    // Rules, then the track.
    let mut stage = Stage::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| stage.join(name));
    stage.room.set_subscription_rules(&alice, only(vec![everything_to("bob")]));
    let track = stage.publish(&alice, "mic", MediaKind::Audio);
    assert_eq!(stage.permissions_told(&carol, &track), [false]);
    assert!(stage.permissions_told(&bob, &track).is_empty(), "clients take for granted that they may");
    // The participant is known before its track is spoken of.
    let is_about = |message: &Message| match message {
        Message::Update(update) => update.participants.iter().any(|p| !p.tracks.is_empty()),
        _ => false,
    };
    let told: Vec<_> = stage.told_to(&carol).collect();
    let published = told.iter().position(|message| is_about(message)).unwrap();
    let refused = told.iter().position(|m| matches!(m, Message::SubscriptionPermissionUpdate(_))).unwrap();
    assert!(published < refused);

    // Rules and track, then the subscriber; and one who subscribes to nothing by itself.
    let dave = stage.join_as(Joiner { auto_subscribe: false, ..joiner("dave") }).unwrap();
    assert_eq!(stage.permissions_told(&dave, &track), [false]);

    // And back.
    stage.room.set_subscription_rules(&alice, only(vec![everything_to("carol"), everything_to("dave")]));
    stage.collect();
    assert_eq!(stage.permissions_told(&carol, &track), [false, true]);
    assert_eq!(stage.permissions_told(&dave, &track), [false, true]);
    assert_eq!(stage.permissions_told(&bob, &track), [false]);
    let all = proto::SubscriptionPermission { all_participants: true, ..Default::default() };
    stage.room.set_subscription_rules(&alice, all);
    stage.collect();
    assert_eq!(stage.permissions_told(&bob, &track), [false, true]);
    assert_eq!(stage.permissions_told(&carol, &track), [false, true], "no news, no message");
}

#[test]
fn rules_are_about_people_and_the_last_one_counts() {
    let mut stage = Stage::new();
    let [alice, bob] = ["alice", "bob"].map(|name| stage.join(name));
    let track = stage.publish(&alice, "mic", MediaKind::Audio);
    let by_sid =
        proto::TrackPermission { participant_sid: bob.to_string(), all_tracks: true, ..Default::default() };
    stage.room.set_subscription_rules(&alice, only(vec![by_sid]));
    // He comes again with another id.
    let bob = stage.join("bob");
    assert!(stage.room.participants[&bob].subscribed.contains_key(&track));
    let nothing = proto::TrackPermission { participant_identity: "bob".into(), ..Default::default() };
    stage.room.set_subscription_rules(&alice, only(vec![everything_to("bob"), nothing]));
    assert!(!stage.room.participants[&bob].subscribed.contains_key(&track));
    // A rule about nobody makes the whole request void.
    let nobody = proto::TrackPermission { all_tracks: true, ..Default::default() };
    stage.room.set_subscription_rules(&alice, only(vec![everything_to("bob"), nobody]));
    assert!(!stage.room.participants[&bob].subscribed.contains_key(&track));
    // Recorders take everything, as nobody can name them beforehand.
    for by_grant in [false, true] {
        let recorder = stage.join_as(recorder(by_grant)).unwrap();
        assert!(stage.room.participants[&recorder].subscribed.contains_key(&track), "{by_grant}");
    }
}

#[test]
fn agents_and_recorders_are_no_occupants() {
    let mut stage = Stage::with(|policy| policy.max_participants = 1);
    let mut dependents = Vec::new();
    for by_grant in [false, true] {
        for joiner in [agent(by_grant), recorder(by_grant)] {
            dependents.push(
                stage.join_as(Joiner { identity: format!("{}-{by_grant}", joiner.identity), ..joiner }),
            );
        }
    }
    let dependents: Vec<_> = dependents.into_iter().map(Result::unwrap).collect();
    assert_eq!(stage.room.info().num_participants, 0);
    let alice = stage.join("alice");
    assert_eq!(stage.join_as(joiner("bob")), Err(Refusal::RoomFull));
    // What they publish is published.
    for sid in [&dependents[0], &alice] {
        stage.publish(sid, "mic", MediaKind::Audio);
    }
    let info = stage.room.info();
    assert_eq!((info.num_participants, info.num_publishers), (1, 2));
    for sid in dependents.iter().chain([&alice]) {
        stage.room.media_connected(sid);
    }
    stage.pass(Duration::from_secs(3_600));
    assert!(!stage.room.is_ended());
    stage.room.remove(&alice, proto::DisconnectReason::ClientInitiated, stage.now);
    stage.pass(Duration::from_secs(19));
    assert!(!stage.room.is_ended());
    stage.pass(Duration::from_secs(2));
    assert!(stage.room.is_ended());
}

#[test]
fn hidden_people_count() {
    let mut stage = Stage::with(|policy| policy.max_participants = 1);
    let mut ghost = joiner("ghost");
    ghost.permission.hidden = true;
    stage.join_as(ghost).unwrap();
    assert_eq!(stage.room.info().num_participants, 1);
    assert_eq!(stage.join_as(joiner("bob")), Err(Refusal::RoomFull));
}

#[test]
fn everyone_knows_at_once_whether_the_room_is_recorded() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let told = |stage: &Stage| {
        let room = |message: &Message| match message {
            Message::RoomUpdate(update) => update.room.as_ref().map(|room| room.active_recording),
            _ => None,
        };
        stage.told_to(&alice).filter_map(room).collect::<Vec<_>>()
    };
    let first = stage.join_as(Joiner { identity: "one".into(), ..recorder(false) }).unwrap();
    let second = stage.join_as(Joiner { identity: "two".into(), ..recorder(true) }).unwrap();
    assert_eq!(told(&stage), [true]);
    stage.room.remove(&first, proto::DisconnectReason::ClientInitiated, stage.now);
    stage.collect();
    assert_eq!(told(&stage), [true]);
    stage.room.remove(&second, proto::DisconnectReason::ClientInitiated, stage.now);
    stage.collect();
    assert_eq!(told(&stage), [true, false]);
}

#[test]
fn a_refused_change_of_oneself_says_why() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.forget();
    let change = proto::UpdateParticipantMetadata { name: "A".into(), request_id: 1, ..Default::default() };
    stage.room.update_own_metadata(&alice, change.clone());
    stage.room.participants.get_mut(&alice).unwrap().permission.can_update_metadata = true;
    let long = |id, name: usize, metadata: usize, attribute: usize| proto::UpdateParticipantMetadata {
        name: "n".repeat(name),
        metadata: "m".repeat(metadata),
        attributes: HashMap::from([("a".to_owned(), "v".repeat(attribute))]),
        request_id: id,
    };
    for refused in [long(2, 257, 0, 0), long(3, 0, 40_000, 0), long(4, 0, 0, 40_000), long(5, 0, 0, 70_000)] {
        stage.room.update_own_metadata(&alice, refused);
    }
    // What is there already counts too.
    stage.room.update_own_metadata(&alice, long(6, 1, 20_000, 1));
    stage.room.update_own_metadata(&alice, long(7, 0, 0, 20_000));
    stage.room.update_own_metadata(&alice, long(8, 0, 1, 20_000));
    stage.collect();
    let answers: Vec<_> =
        stage.answers(&alice).iter().map(|a| (a.request_id, a.reason(), a.message.as_str())).collect();
    let (limit, not_allowed) = (Reason::LimitExceeded, Reason::NotAllowed);
    assert_eq!(
        answers,
        [
            (1, not_allowed, "does not have permission to update own metadata"),
            (2, limit, "exceeds name length limit"),
            (3, limit, "exceeds metadata size limit"),
            (4, limit, "exceeds attributes size limit"),
            (5, limit, "exceeds attributes size limit"),
            (6, Reason::Ok, ""),
            (7, limit, "exceeds attributes size limit"),
            (8, Reason::Ok, ""),
        ]
    );
    assert_eq!(stage.answers(&alice)[0].request, Some(Request::UpdateMetadata(change)));
    assert_eq!(stage.room.participants[&alice].metadata.len(), 1);
}

#[test]
fn clients_that_cannot_read_an_answer_get_none() {
    for (sdk, protocol, failure, success) in [
        (proto::client_info::Sdk::Rust, 9, false, false),
        (proto::client_info::Sdk::Rust, 10, true, false),
        (proto::client_info::Sdk::Js, 14, true, false),
        (proto::client_info::Sdk::Js, 15, true, true),
    ] {
        let mut stage = Stage::new();
        let client = proto::ClientInfo { sdk: sdk as i32, protocol, ..Default::default() };
        let alice = stage.join_as(Joiner { client, ..joiner("alice") }).unwrap();
        for allowed in [false, true] {
            stage.forget();
            stage.room.participants.get_mut(&alice).unwrap().permission.can_update_metadata = allowed;
            let change = proto::UpdateParticipantMetadata { name: "A".into(), ..Default::default() };
            stage.room.update_own_metadata(&alice, change);
            stage.collect();
            let expected = if allowed { success } else { failure };
            assert_eq!(!stage.answers(&alice).is_empty(), expected, "{sdk:?} {protocol} {allowed}");
        }
    }
}

#[test]
fn a_device_is_told_its_codecs_and_held_to_them() {
    let client = proto::ClientInfo { browser: "Firefox".into(), os: "Linux".into(), ..Default::default() };
    let mut stage = Stage::new();
    let alice = stage.join_as(Joiner { client, ..joiner("alice") }).unwrap();
    let Some(Message::Join(join)) = stage.told_to(&alice).next() else { panic!("join is first") };
    let disabled = join.client_configuration.clone().unwrap().disabled_codecs.unwrap();
    assert_eq!(disabled.publish[0].mime, "video/H264");
    let h264 = |codecs: &[proto::Codec]| codecs.iter().any(|codec| codec.mime == "video/H264");
    assert!(!h264(&join.enabled_publish_codecs));
    assert!(h264(&join.room.as_ref().unwrap().enabled_codecs), "others may");
    for (asked, promised) in [("h264", "video/VP8"), ("vp9", "video/VP9"), ("h265", "video/VP8")] {
        stage.forget();
        let codec = proto::SimulcastCodec { codec: asked.into(), cid: asked.into(), ..Default::default() };
        stage.room.add_track(
            &alice,
            proto::AddTrackRequest {
                cid: asked.into(),
                r#type: proto::TrackType::Video as i32,
                simulcast_codecs: vec![codec],
                ..Default::default()
            },
        );
        stage.collect();
        let Some(Message::TrackPublished(published)) = stage.told_to(&alice).next() else {
            panic!("{asked}")
        };
        assert_eq!(published.track.as_ref().unwrap().mime_type, promised, "{asked}");
    }
}
