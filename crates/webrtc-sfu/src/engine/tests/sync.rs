//! What a client says it wants after it was away becomes what it gets.

use proto::client_info::Sdk;

use super::*;

/// A client with this SDK that watches one camera, and the camera.
fn viewer(sdk: Sdk, auto_subscribe: bool) -> (Stage, ParticipantSid, TrackSid) {
    let mut stage = Stage::new();
    let alice = stage.join("alice");
    let client = proto::ClientInfo { sdk: sdk as i32, protocol: 17, ..Default::default() };
    let bob = stage.join_as(Joiner { client, auto_subscribe, ..joiner("bob") }).unwrap();
    let track = stage.publish(&alice, "cam", MediaKind::Video);
    stage.forget();
    (stage, bob, track)
}

fn wish(track: &TrackSid, subscribe: bool) -> proto::UpdateSubscription {
    proto::UpdateSubscription { track_sids: vec![track.to_string()], subscribe, ..Default::default() }
}

impl Stage {
    fn subscribes(&self, who: &ParticipantSid, track: &TrackSid) -> bool {
        self.room.participants[who].subscribed.contains_key(track)
    }

    /// The client comes back and says which tracks are exceptions from `auto_subscribe`, and which send nothing.
    fn syncs(&mut self, who: &ParticipantSid, exceptions: &[&TrackSid], disabled: &[&TrackSid]) {
        let sids = |tracks: &[&TrackSid]| tracks.iter().map(ToString::to_string).collect();
        let subscription = proto::UpdateSubscription {
            track_sids: sids(exceptions),
            subscribe: !self.room.participants[who].auto_subscribe,
            ..Default::default()
        };
        let state = proto::SyncState {
            subscription: Some(subscription),
            track_sids_disabled: sids(disabled),
            ..Default::default()
        };
        assert!(self.room.sync(who, &state));
    }
}

#[test]
fn the_exceptions_it_names_are_all_there_are() {
    for auto_subscribe in [true, false] {
        let (mut stage, bob, track) = viewer(Sdk::Js, auto_subscribe);
        assert_eq!(stage.subscribes(&bob, &track), auto_subscribe);
        stage.syncs(&bob, &[&track], &[]);
        assert_eq!(stage.subscribes(&bob, &track), !auto_subscribe, "asked for while away");
        stage.syncs(&bob, &[&track], &[]);
        assert_eq!(stage.subscribes(&bob, &track), !auto_subscribe);
        stage.syncs(&bob, &[], &[]);
        assert_eq!(stage.subscribes(&bob, &track), auto_subscribe, "taken back while away");
    }
}

#[test]
fn what_an_administrator_decided_stays() {
    for auto_subscribe in [true, false] {
        let (mut stage, bob, track) = viewer(Sdk::Js, auto_subscribe);
        let update = wish(&track, !auto_subscribe);
        let request = AdminRequest::UpdateSubscriptions { identity: "bob".into(), update };
        stage.room.administer(request, stage.now).unwrap();
        stage.syncs(&bob, &[], &[]);
        assert_eq!(stage.subscribes(&bob, &track), !auto_subscribe, "its client does not know of it");
    }
}

#[test]
fn exceptions_from_nothing_say_nothing_of_other_tracks() {
    let (mut stage, bob, track) = viewer(Sdk::Js, false);
    stage.room.update_subscription(&bob, &wish(&track, true));
    let state = proto::SyncState { subscription: Some(Default::default()), ..Default::default() };
    assert!(stage.room.sync(&bob, &state));
    assert!(stage.subscribes(&bob, &track));
}

#[test]
fn the_tracks_it_names_are_disabled_and_no_others() {
    let (mut stage, bob, track) = viewer(Sdk::Js, true);
    let small =
        proto::UpdateTrackSettings { track_sids: vec![track.to_string()], height: 180, ..Default::default() };
    stage.room.update_track_settings(&bob, &small);
    stage.syncs(&bob, &[], &[&track]);
    assert_eq!(stage.preferred(&bob, &track), None, "hidden while away");
    stage.forget();
    stage.syncs(&bob, &[], &[]);
    stage.collect();
    assert_eq!(stage.preferred(&bob, &track), Some(Layer::Low), "shown again, as large as it was");
    let is_told = |output: &Output| matches!(output, Output::Prefer { layer: Some(Layer::Low), .. });
    assert!(stage.outputs.iter().any(is_told), "and forwarded again");
    // One it never said anything about.
    let (mut stage, bob, track) = viewer(Sdk::Js, true);
    stage.syncs(&bob, &[], &[&track]);
    assert_eq!(stage.preferred(&bob, &track), None);
}

#[test]
fn clients_that_never_name_disabled_tracks_keep_theirs() {
    for (sdk, expected) in [
        (Sdk::Js, Some(Layer::High)),
        (Sdk::Flutter, Some(Layer::High)),
        (Sdk::Rust, None),
        (Sdk::Swift, None),
        (Sdk::Android, None),
    ] {
        let (mut stage, bob, track) = viewer(sdk, true);
        let hidden = proto::UpdateTrackSettings {
            track_sids: vec![track.to_string()],
            disabled: true,
            ..Default::default()
        };
        stage.room.update_track_settings(&bob, &proto::UpdateTrackSettings { quality: 2, ..hidden });
        stage.syncs(&bob, &[], &[]);
        assert_eq!(stage.preferred(&bob, &track), expected, "{sdk:?}");
    }
}

#[test]
fn a_client_that_publishes_what_we_do_not_know_starts_over() {
    let (mut stage, bob, track) = viewer(Sdk::Js, true);
    let unknown = proto::TrackInfo { sid: "TR_unknown".into(), ..Default::default() };
    let published = proto::TrackPublishedResponse { track: Some(unknown), ..Default::default() };
    let state = proto::SyncState {
        publish_tracks: vec![published],
        subscription: Some(wish(&track, false)),
        ..Default::default()
    };
    assert!(!stage.room.sync(&bob, &state));
    assert!(stage.subscribes(&bob, &track), "and nothing it says is taken up");
}
