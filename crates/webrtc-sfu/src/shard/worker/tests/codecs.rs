//! Subscribers that cannot decode what they are to get.

use super::*;

/// How often a client was told that it cannot decode a track, since this was last asked.
fn told_undecodable(stage: &mut Stage, client: usize) -> usize {
    let error = proto::SubscriptionError::SeCodecUnsupported;
    let is_that =
        |message: &Response| matches!(message, Response::SubscriptionResponse(r) if r.err() == error);
    stage.told(client).iter().filter(|message| is_that(message)).count()
}

#[test]
fn who_cannot_decode_a_track_is_told_and_gets_it_in_a_codec_that_fits() {
    let mut stage = Stage::new();
    let alice = stage.join_with("alice", &[Codec::Vp8, Codec::H264]);
    let bob = stage.join_with("bob", &[Codec::H264]);
    let carol = stage.join_with("carol", &[Codec::Vp8]);
    let (mid, streams) = stage.publish(alice, true, true);
    stage.run(Duration::from_secs(1), |_| {});
    let mut camera = Camera::new(&mut stage, alice, mid, streams);
    let (mut sees, mut blind) = (carol, bob);
    for codec in [Codec::Vp8, Codec::H264, Codec::Vp8] {
        camera.codec = codec;
        stage.run(Duration::from_secs(4), |stage| camera.shoot(stage));
        assert_eq!(told_undecodable(&mut stage, blind), 1, "{codec:?}: told once");
        assert_eq!(told_undecodable(&mut stage, sees), 0, "{codec:?}");
        stage.clients[blind].received.clear();
        let seen = last_second(&mut stage, sees, &mut camera);
        assert!(seen.get(&2).is_some_and(|count| *count >= 45), "{codec:?}: {seen:?}");
        assert_eq!(stage.clients[blind].received, [], "{codec:?}: nothing it cannot use");
        (sees, blind) = (blind, sees);
    }

    // What somebody else publishes later is another matter.
    let dave = stage.join_with("dave", &[Codec::H264]);
    let (mid, streams) = stage.publish(dave, true, true);
    stage.run(Duration::from_secs(1), |stage| camera.shoot(stage));
    let mut other = Camera::new(&mut stage, dave, mid, streams);
    stage.run(Duration::from_secs(4), |stage| other.shoot(stage));
    let seen = last_second(&mut stage, bob, &mut other);
    assert!(seen.get(&2).is_some_and(|count| *count >= 45), "{seen:?}");
}
