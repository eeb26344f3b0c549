//! Data tracks: announced, subscribed to, forwarded, revoked and attacked.

use aura_media::data_track::{Extensions, Header, Packet, write};
use proto::request_response::{Reason, Request};

use super::*;

fn request(handle: u32, name: &str) -> proto::PublishDataTrackRequest {
    proto::PublishDataTrackRequest { pub_handle: handle, name: name.into(), ..Default::default() }
}

fn packet(handle: u16, payload: &[u8]) -> Vec<u8> {
    let header = Header { first: true, last: true, handle, sequence: 7, frame: 5, timestamp: 9 };
    let mut packet = Vec::new();
    write(&header, &Extensions { user_timestamp: Some(3), encryption: None }, &mut packet);
    packet.extend(payload);
    packet
}

impl Stage {
    /// Publishes and gives the track's id.
    fn publish_data(&mut self, sid: &ParticipantSid, handle: u32, name: &str) -> String {
        self.room.publish_data_track(sid, request(handle, name));
        self.collect();
        let published = self.told_to(sid).filter_map(|message| match message {
            Message::PublishDataTrackResponse(response) => response.info.clone(),
            _ => None,
        });
        let info = published.last().unwrap();
        assert_eq!((info.pub_handle, info.name.as_str()), (handle, name));
        info.sid
    }

    fn want_data(&mut self, sid: &ParticipantSid, track: &str, subscribe: bool) {
        let update = proto::update_data_subscription::Update {
            track_sid: track.to_owned(),
            subscribe,
            ..Default::default()
        };
        let wanted = proto::UpdateDataSubscription { updates: vec![update] };
        self.room.update_data_subscription(sid, &wanted);
        self.collect();
    }

    /// The handles the participant was told, in order.
    fn handles(&self, sid: &ParticipantSid) -> Vec<(u32, String)> {
        let maps = self.told_to(sid).filter_map(|message| match message {
            Message::DataTrackSubscriberHandles(handles) => Some(&handles.sub_handles),
            _ => None,
        });
        maps.flatten().map(|(handle, track)| (*handle, track.track_sid.clone())).collect()
    }

    /// Sends a packet; whom it goes to, under which handle.
    fn forwarded(&mut self, from: &ParticipantSid, packet: Vec<u8>) -> Vec<(ParticipantSid, u16)> {
        self.outputs.clear();
        self.room.data_track_received(from, packet.clone(), self.now.at).unwrap();
        self.collect();
        let copies = self.outputs.iter().filter_map(|output| match output {
            Output::DataTrack { packet: sent, copies } => {
                assert_eq!(*sent, packet, "the room changes nothing in a packet");
                Some(copies.iter().map(|copy| (copy.subscriber.clone(), copy.handle)).collect::<Vec<_>>())
            }
            _ => None,
        });
        copies.flatten().collect()
    }

    fn refusals(&self, sid: &ParticipantSid) -> Vec<Reason> {
        let reasons = self.told_to(sid).filter_map(|message| match message {
            Message::RequestResponse(response) => Some(response.reason()),
            _ => None,
        });
        reasons.collect()
    }

    /// Names of the data tracks of `of`, as `to` was last told.
    fn announced(&self, to: &ParticipantSid, of: &ParticipantSid) -> Option<Vec<String>> {
        let updates = self.told_to(to).filter_map(|message| match message {
            Message::Update(update) => update.participants.iter().find(|info| info.sid == of.as_str()),
            _ => None,
        });
        Some(updates.last()?.data_tracks.iter().map(|track| track.name.clone()).collect())
    }
}

#[test]
fn a_data_track_is_announced_to_all_and_to_who_comes_later() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.join("alice"), stage.join("bob"));
    let track = stage.publish_data(&alice, 7, "aic");
    assert!(track.starts_with("DTR_"), "{track}");
    assert_eq!(stage.announced(&bob, &alice), Some(vec!["aic".into()]));
    let carol = stage.join("carol");
    let join = stage.told_to(&carol).find_map(|message| match message {
        Message::Join(join) => Some(join.clone()),
        _ => None,
    });
    let others = join.unwrap().other_participants;
    let seen = others.iter().find(|other| other.identity == "alice").unwrap();
    assert_eq!((seen.data_tracks[0].sid.as_str(), seen.is_publisher), (track.as_str(), true));
}

#[test]
fn what_cannot_be_published_is_refused_with_a_reason() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let mut silent = joiner("silent");
    silent.permission.can_publish_data = false;
    let silent = stage.join_as(silent).unwrap();
    stage.publish_data(&alice, 1, "taken");
    let long = "x".repeat(limit::NAME_BYTES + 1);
    let schema = proto::DataTrackSchemaId { name: long.clone(), encoding: None };
    let big = proto::PublishDataTrackRequest { schema: Some(schema), ..request(2, "big") };
    for (sid, request, reason) in [
        (&silent, request(1, "a"), Reason::NotAllowed),
        (&alice, request(0, "a"), Reason::InvalidHandle),
        (&alice, request(65_536, "a"), Reason::InvalidHandle),
        (&alice, request(2, ""), Reason::InvalidName),
        (&alice, request(2, &long), Reason::InvalidName),
        (&alice, request(1, "other"), Reason::DuplicateHandle),
        (&alice, request(2, "taken"), Reason::DuplicateName),
        (&alice, big, Reason::InvalidRequest),
    ] {
        stage.forget();
        let handle = request.pub_handle;
        stage.room.publish_data_track(sid, request);
        stage.collect();
        let [(to, Message::RequestResponse(response))] = &stage.told[..] else { panic!("{:?}", stage.told) };
        assert_eq!((to, response.reason()), (sid, reason));
        let Some(Request::PublishDataTrack(echo)) = &response.request else { panic!("{response:?}") };
        assert_eq!(echo.pub_handle, handle, "by it the client finds the caller");
    }
    for handle in 2..=64 {
        stage.publish_data(&alice, handle, &handle.to_string());
    }
    stage.forget();
    stage.room.publish_data_track(&alice, request(65, "one too many"));
    stage.collect();
    assert_eq!(stage.refusals(&alice), [Reason::LimitExceeded]);
}

#[test]
fn every_subscriber_gets_copies_under_its_own_handle_and_nobody_unasked() {
    let mut stage = Stage::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| stage.join(name));
    let other = stage.publish_data(&bob, 1, "other");
    let track = stage.publish_data(&alice, 300, "aic");
    assert_eq!(stage.forwarded(&alice, packet(300, b"x")), []);

    stage.want_data(&carol, &other, true);
    stage.want_data(&carol, &track, true);
    stage.want_data(&bob, &track, true);
    stage.want_data(&alice, &track, true);
    assert_eq!(stage.handles(&carol), [(1, other), (2, track.clone())]);
    assert_eq!(stage.handles(&bob), [(1, track.clone())]);
    assert_eq!(stage.handles(&alice), [], "nobody receives itself");
    let mut copies = stage.forwarded(&alice, packet(300, b"x"));
    copies.sort();
    let mut expected = vec![(bob.clone(), 1), (carol.clone(), 2)];
    expected.sort();
    assert_eq!(copies, expected);

    stage.want_data(&bob, &track, true);
    assert_eq!(stage.handles(&bob).last(), Some(&(1, track.clone())), "asked again, told again");
    stage.want_data(&carol, &track, false);
    assert_eq!(stage.forwarded(&alice, packet(300, b"x")), [(bob, 1)]);
    stage.want_data(&carol, &track, true);
    assert_eq!(stage.handles(&carol).last(), Some(&(3, track)), "late packets find no new track");
}

#[test]
fn handles_go_round_without_meeting() {
    let mut stage = Stage::new();
    let [alice, bob] = ["alice", "bob"].map(|name| stage.join(name));
    let kept = stage.publish_data(&alice, 1, "kept");
    let track = stage.publish_data(&alice, 2, "again and again");
    stage.want_data(&bob, &kept, true);
    for _ in 0..=u16::MAX {
        stage.want_data(&bob, &track, true);
        stage.want_data(&bob, &track, false);
        stage.forget();
    }
    stage.want_data(&bob, &track, true);
    let handle = stage.handles(&bob)[0].0;
    assert!(handle > 1, "0 is no handle, 1 is taken: {handle}");
}

#[test]
fn an_unknown_track_is_said_to_be_so() {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    stage.want_data(&alice, "DTR_none", true);
    assert_eq!(stage.refusals(&alice), [Reason::NotFound]);
    stage.room.unpublish_data_track(&alice, proto::UnpublishDataTrackRequest { pub_handle: 9 });
    stage.collect();
    assert_eq!(stage.refusals(&alice), [Reason::NotFound; 2]);
}

#[test]
fn an_unpublished_track_is_over_for_all() {
    let mut stage = Stage::new();
    let [alice, bob] = ["alice", "bob"].map(|name| stage.join(name));
    let track = stage.publish_data(&alice, 1, "aic");
    stage.want_data(&bob, &track, true);
    stage.forget();
    stage.room.unpublish_data_track(&alice, proto::UnpublishDataTrackRequest { pub_handle: 1 });
    stage.collect();
    let told = stage.told_to(&alice).any(|message| {
        matches!(message, Message::UnpublishDataTrackResponse(gone) if gone.info.as_ref().unwrap().sid == track)
    });
    assert!(told);
    assert_eq!(stage.announced(&bob, &alice), Some(vec![]));
    let late = stage.room.data_track_received(&alice, packet(1, b"late"), stage.now.at);
    assert_eq!(late, Err(DataRefusal::UnknownTrack));
    let again = stage.publish_data(&alice, 1, "aic");
    assert_ne!(again, track);
    assert_eq!(stage.forwarded(&alice, packet(1, b"new")), [], "the wish was for the old track");
}

#[test]
fn revoked_rights_end_tracks_and_subscriptions_and_regained_ones_bring_these_back() {
    let mut stage = Stage::new();
    let [alice, bob] = ["alice", "bob"].map(|name| stage.join(name));
    let track = stage.publish_data(&alice, 1, "aic");
    stage.want_data(&bob, &track, true);
    let change =
        |stage: &mut Stage, sid: &ParticipantSid, change: &dyn Fn(&mut proto::ParticipantPermission)| {
            let mut permission = stage.room.participants[sid].permission.clone();
            change(&mut permission);
            stage.forget();
            stage.room.change_permission(sid, permission);
            stage.collect();
        };
    change(&mut stage, &bob, &|may| may.can_subscribe = false);
    assert_eq!(stage.forwarded(&alice, packet(1, b"x")), []);
    change(&mut stage, &bob, &|may| may.can_subscribe = true);
    assert_eq!(stage.handles(&bob), [(1, track.clone())]);
    assert_eq!(stage.forwarded(&alice, packet(1, b"x")), [(bob.clone(), 1)]);

    change(&mut stage, &alice, &|may| may.can_publish_data = false);
    let ended = |message: &Message| matches!(message, Message::UnpublishDataTrackResponse(_));
    assert!(stage.told_to(&alice).any(ended));
    assert_eq!(stage.announced(&bob, &alice), Some(vec![]));
    let more = stage.room.data_track_received(&alice, packet(1, b"x"), stage.now.at);
    assert_eq!(more, Err(DataRefusal::UnknownTrack));
}

#[test]
fn the_publishers_own_rules_hold_for_data_tracks_too() {
    let mut stage = Stage::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| stage.join(name));
    let track = stage.publish_data(&alice, 1, "aic");
    for sid in [&bob, &carol] {
        stage.want_data(sid, &track, true);
    }
    let only_bob = proto::TrackPermission {
        participant_identity: "bob".into(),
        track_sids: vec![track.clone()],
        ..Default::default()
    };
    let rules = proto::SubscriptionPermission { all_participants: false, track_permissions: vec![only_bob] };
    stage.room.set_subscription_rules(&alice, rules);
    assert_eq!(stage.forwarded(&alice, packet(1, b"x")), [(bob, 1)]);
    stage.forget();
    let all = proto::SubscriptionPermission { all_participants: true, track_permissions: Vec::new() };
    stage.room.set_subscription_rules(&alice, all);
    stage.collect();
    assert_eq!(stage.handles(&carol), [(1, track)]);
    assert_eq!(stage.forwarded(&alice, packet(1, b"x")).len(), 2);
}

#[test]
fn who_wants_every_track_need_not_ask() {
    let mut stage = Stage::new();
    let eager = |name| Joiner { auto_subscribe_data: true, ..joiner(name) };
    let alice = stage.join("alice");
    let early = stage.join_as(eager("early")).unwrap();
    let picky = stage.join("picky");
    let track = stage.publish_data(&alice, 1, "aic");
    let late = stage.join_as(eager("late")).unwrap();
    for sid in [&early, &late] {
        assert_eq!(stage.handles(sid), [(1, track.clone())]);
    }
    assert!(stage.handles(&picky).is_empty());
    let mut got = stage.forwarded(&alice, packet(1, b"x"));
    got.sort();
    let mut expected = [(early.clone(), 1), (late, 1)];
    expected.sort();
    assert_eq!(got, expected);
    stage.want_data(&early, &track, false);
    assert_eq!(stage.forwarded(&alice, packet(1, b"x")).len(), 1);
    // One's own is no news.
    let own = stage.publish_data(&early, 1, "own");
    assert!(stage.handles(&early).iter().all(|(_, told)| *told != own));
    assert_eq!(stage.forwarded(&early, packet(1, b"x")).len(), 1);
}

#[test]
fn who_leaves_takes_tracks_and_subscriptions_along() {
    let mut stage = Stage::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| stage.join(name));
    let track = stage.publish_data(&alice, 1, "aic");
    for sid in [&bob, &carol] {
        stage.want_data(sid, &track, true);
    }
    stage.room.remove(&bob, proto::DisconnectReason::ClientInitiated, stage.now);
    assert_eq!(stage.forwarded(&alice, packet(1, b"x")), [(carol.clone(), 1)]);
    stage.forget();
    stage.room.remove(&alice, proto::DisconnectReason::ClientInitiated, stage.now);
    stage.collect();
    assert_eq!(
        stage.announced(&carol, &alice),
        Some(vec![]),
        "a client takes what it is told for what there is"
    );
    let gone = stage.room.data_track_received(&alice, packet(1, b"x"), stage.now.at);
    assert_eq!(gone, Err(DataRefusal::NotAllowed));
}

#[test]
fn a_resume_compares_what_is_published_and_repeats_handles() {
    let mut stage = Stage::new();
    let [alice, bob] = ["alice", "bob"].map(|name| stage.join(name));
    let track = stage.publish_data(&alice, 1, "aic");
    stage.want_data(&bob, &track, true);
    stage.forget();
    assert!(stage.room.sync_data_tracks(&bob, &proto::SyncState::default()));
    stage.collect();
    assert_eq!(stage.handles(&bob), [(1, track.clone())]);

    let claim = |sid: &str| {
        let info = proto::DataTrackInfo { sid: sid.into(), ..Default::default() };
        let published = proto::PublishDataTrackResponse { info: Some(info) };
        proto::SyncState { publish_data_tracks: vec![published], ..Default::default() }
    };
    assert!(stage.room.sync_data_tracks(&alice, &claim(&track)));
    assert!(!stage.room.sync_data_tracks(&alice, &claim("DTR_forgotten")));
    let nameless = proto::PublishDataTrackResponse { info: None };
    let nameless = proto::SyncState { publish_data_tracks: vec![nameless], ..Default::default() };
    assert!(!stage.room.sync_data_tracks(&alice, &nameless));
}

#[test]
fn hostile_packets_go_nowhere() {
    let mut stage = Stage::new();
    let [alice, bob] = ["alice", "bob"].map(|name| stage.join(name));
    let track = stage.publish_data(&alice, 1, "aic");
    stage.want_data(&bob, &track, true);
    stage.forget();
    let good = packet(1, b"payload");
    let broken = |change: fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        packet
    };
    for (hostile, refusal) in [
        (Vec::new(), DataRefusal::Malformed),
        (good[..11].to_vec(), DataRefusal::Malformed),
        (good[..13].to_vec(), DataRefusal::Malformed),
        (broken(|packet| packet[0] |= 0x20), DataRefusal::Malformed),
        (broken(|packet| packet[3] = 0), DataRefusal::Malformed),
        (broken(|packet| packet[12] = 0xff), DataRefusal::Malformed),
        (broken(|packet| packet[3] = 2), DataRefusal::UnknownTrack),
        (packet(1, &vec![0; limit::DATA_BYTES]), DataRefusal::TooLarge),
    ] {
        assert_eq!(stage.room.data_track_received(&alice, hostile, stage.now.at), Err(refusal));
    }
    let stolen = stage.room.data_track_received(&bob, good.clone(), stage.now.at);
    assert_eq!(stolen, Err(DataRefusal::UnknownTrack), "handles are each publisher's own");
    stage.collect();
    assert!(stage.outputs.is_empty() && stage.told.is_empty());
    assert_eq!(stage.forwarded(&alice, good.clone()), [(bob, 1)]);
    assert_eq!(Packet::parse(&good).unwrap().payload, b"payload");
}

#[test]
fn a_flood_is_cut_to_the_senders_allowance_and_costs_nobody_else() {
    let mut stage = Stage::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| stage.join(name));
    let track = stage.publish_data(&alice, 1, "flood");
    let voice = stage.publish_data(&bob, 1, "voice");
    stage.want_data(&carol, &track, true);
    stage.want_data(&carol, &voice, true);
    let flood = packet(1, &vec![0; 16_000]);
    let mut passed = 0;
    // Ten seconds of 64 MB/s.
    for round in 0..10_000_u64 {
        let at = stage.now.at + Duration::from_millis(round);
        for _ in 0..4 {
            match stage.room.data_track_received(&alice, flood.clone(), at) {
                Ok(()) => passed += flood.len(),
                Err(refusal) => assert_eq!(refusal, DataRefusal::OverBudget),
            }
        }
        while stage.room.poll_output().is_some() {}
    }
    assert!((40_000_000..50_000_000).contains(&passed), "{passed} bytes of 640 million");
    assert_eq!(stage.forwarded(&bob, packet(1, b"hello")).len(), 1);
}
