//! Who gets what, and at which layer.

use super::*;

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
fn who_wants_a_track_that_is_gone_is_told_so_and_who_wants_it_no_more_is_not() {
    let mut stage = Stage::new();
    let bob = stage.join("bob");
    stage.forget();
    for (subscribe, told) in [(false, 0), (true, 1)] {
        let update =
            proto::UpdateSubscription { track_sids: vec!["TR_gone".into()], subscribe, ..Default::default() };
        stage.room.update_subscription(&bob, &update);
        stage.collect();
        let refused = stage.told_to(&bob).filter(|m| matches!(m, Message::SubscriptionResponse(_)));
        assert_eq!(refused.count(), told);
    }
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
fn a_subscriber_that_cannot_decode_is_told_and_may_ask_again() {
    let mut stage = Stage::new();
    let [alice, bob] = ["alice", "bob"].map(|name| stage.join(name));
    let track = stage.publish(&alice, "cam", MediaKind::Video);
    stage.forget();
    stage.room.codec_unsupported(&bob, &track);
    stage.collect();
    let errors: Vec<_> = stage
        .told_to(&bob)
        .filter_map(|message| match message {
            Message::SubscriptionResponse(response) => Some((response.track_sid.as_str(), response.err())),
            _ => None,
        })
        .collect();
    assert_eq!(errors, [(track.as_str(), proto::SubscriptionError::SeCodecUnsupported)]);
    assert!(!stage.room.participants[&bob].subscribed.contains_key(&track));
    let again = proto::UpdateSubscription {
        track_sids: vec![track.to_string()],
        subscribe: true,
        ..Default::default()
    };
    stage.room.update_subscription(&bob, &again);
    assert!(stage.room.participants[&bob].subscribed.contains_key(&track));
}

#[test]
fn who_could_not_decode_a_track_gets_it_when_it_comes_in_another_format() {
    let mut stage = Stage::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| stage.join(name));
    let track = stage.publish(&alice, "cam", MediaKind::Video);
    for sid in [&bob, &carol] {
        stage.room.codec_unsupported(sid, &track);
    }
    let unwanted = proto::UpdateSubscription { track_sids: vec![track.to_string()], ..Default::default() };
    stage.room.update_subscription(&carol, &unwanted);
    stage.forget();
    stage.room.format_seen(&alice, &track, Codec::H264);
    stage.collect();
    assert_eq!(stage.subscriptions(), [(&bob, &track)], "but not who does not want it either");
    stage.forget();
    stage.room.format_seen(&alice, &track, Codec::Vp8);
    stage.room.codec_unsupported(&bob, &track);
    stage.collect();
    assert!(
        stage.subscriptions().is_empty() && !stage.room.participants[&bob].subscribed.contains_key(&track)
    );
    // Nothing of it is left behind by who goes.
    stage.room.remove(&bob, proto::DisconnectReason::ClientInitiated, stage.now);
    assert!(!stage.room.participants[&alice].tracks[0].audience.opinions.contains(&bob));
    stage.room.unpublish(&alice, &track, false);
    assert!(stage.room.participants[&carol].undecodable.is_empty());
}

/// What a publisher is told to send of a track, by quality.
fn qualities_wanted(stage: &mut Stage, publisher: &ParticipantSid) -> Vec<bool> {
    stage.room.review_subscribed_qualities();
    stage.collect();
    let updates = stage.told_to(publisher).filter_map(|message| match message {
        Message::SubscribedQualityUpdate(update) => Some(update),
        _ => None,
    });
    let update = updates.last().expect("the publisher is told").clone();
    stage.forget();
    assert_eq!(update.subscribed_codecs[0].qualities, update.subscribed_qualities);
    update.subscribed_qualities.iter().map(|quality| quality.enabled).collect()
}

#[test]
fn a_publisher_of_one_stream_is_not_told_to_send_it_by_one_name_and_not_by_another() {
    // By the names of its layers, and its codec.
    let one = vec![proto::VideoLayer { quality: 2, height: 720, width: 1280, ..Default::default() }];
    for (what, layers, codec, when_small) in [
        ("one layer", one, "vp8", [true; 3]),
        ("none named", Vec::new(), "vp8", [true; 3]),
        ("all in one stream", layers(), "vp9", [true; 3]),
        ("simulcast", layers(), "vp8", [true, false, false]),
    ] {
        let mut stage = Stage::new();
        let (alice, bob) = (stage.join("alice"), stage.join("bob"));
        let simulcast_codecs = vec![proto::SimulcastCodec { codec: codec.into(), ..Default::default() }];
        let r#type = proto::TrackType::Video as i32;
        let (cid, kind) = ("cam", MediaKind::Video);
        let request = proto::AddTrackRequest {
            cid: cid.into(),
            r#type,
            layers,
            simulcast_codecs,
            ..Default::default()
        };
        stage.room.add_track(&alice, request);
        let codecs = &[Codec::parse(codec).unwrap()][..];
        let facts = MediaFacts { cid, kind, mid: "0", codecs, aic: false, simulcast: false };
        let track = stage.room.claim_media(&alice, &facts).unwrap();
        stage.forget();
        let setting = |disabled, height| proto::UpdateTrackSettings {
            track_sids: vec![track.to_string()],
            disabled,
            height,
            ..Default::default()
        };
        stage.room.update_track_settings(&bob, &setting(false, 100));
        assert_eq!(qualities_wanted(&mut stage, &alice), when_small, "{what}");
        stage.room.update_track_settings(&bob, &setting(true, 100));
        assert_eq!(qualities_wanted(&mut stage, &alice), [false; 3], "{what}, nobody looks");
    }
}
