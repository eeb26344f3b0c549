//! The signalling connection is cut; the server sends us away; everything goes on.

use crate::in_both_modes;

in_both_modes!(
    a_cut_signalling_connection_is_resumed,
    a_lost_session_is_joined_anew,
    a_server_that_asks_for_a_full_reconnect_gets_one,
    requests_made_while_reconnecting_are_not_lost,
    a_server_that_crashed_and_came_back_is_joined_again,
);

mod scenario {
    use aura_room::{
        Address, LocalTrack, MediaKind, PublishOptions, RemoteTrack, RoomEvent, Scenario, SignalMode,
    };

    use crate::harness::{Events, film, options, room_name, server, soon, speak};

    async fn subscribed(events: &mut Events, kind: MediaKind) -> RemoteTrack {
        events
            .expect("a subscribed track", |event| match event {
                RoomEvent::TrackSubscribed { track, .. } if track.kind() == kind => Some(track),
                _ => None,
            })
            .await
    }

    async fn reconnected(events: &mut Events) -> bool {
        events.expect("reconnecting", |event| matches!(event, RoomEvent::Reconnecting).then_some(())).await;
        events
            .expect("reconnected", |event| match event {
                RoomEvent::Reconnected { resumed } => Some(resumed),
                _ => None,
            })
            .await
    }

    /// Media arrives now, not from a queue.
    async fn flows(track: &RemoteTrack) {
        while track.dropped_packets() == 0 {
            let next = tokio::time::timeout(std::time::Duration::from_millis(5), track.next_packet()).await;
            match next {
                Ok(packet) => assert!(packet.is_some(), "the track ended"),
                Err(_) => break,
            }
        }
        for _ in 0..10 {
            assert!(soon("media", track.next_packet()).await.is_some(), "the track ended");
        }
    }

    pub(super) async fn a_cut_signalling_connection_is_resumed(mode: SignalMode) {
        let server = server().await;
        let name = room_name("resume");
        let (ann, mut ann_events) = server.join(&name, "ann", options(mode)).await;
        let (bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        let (voice, face) = (LocalTrack::opus(), LocalTrack::vp8());
        ann.publish(&voice, PublishOptions::default()).await.expect("published");
        bob.publish(&face, PublishOptions::default()).await.expect("published");
        let _playing = (speak(&voice), film(&face));
        let from_ann = subscribed(&mut bob_events, MediaKind::Audio).await;
        let from_bob = subscribed(&mut ann_events, MediaKind::Video).await;
        let sid = voice.sid();

        for round in 0..2 {
            ann.drop_signal().await.expect("cut");
            assert!(reconnected(&mut ann_events).await, "the session survives, round {round}");
            assert_eq!(voice.sid(), sid, "the track survives");
            flows(&from_ann).await;
            flows(&from_bob).await;
            ann.publish_data(&b"back"[..], true, Address::default()).await.expect("sent");
            bob_events
                .expect("data after the resume", |event| match event {
                    RoomEvent::DataReceived { payload, .. } => (&payload[..] == b"back").then_some(()),
                    RoomEvent::ParticipantDisconnected { .. } => panic!("bob saw ann leave"),
                    _ => None,
                })
                .await;
        }
        // The resumed session still negotiates.
        let another = LocalTrack::vp8();
        ann.publish(&another, PublishOptions::default()).await.expect("published after the resume");
        let _more = film(&another);
        flows(&subscribed(&mut bob_events, MediaKind::Video).await).await;
    }

    /// The server forgets us: a resume is refused, so that only a fresh join helps.
    pub(super) async fn a_lost_session_is_joined_anew(mode: SignalMode) {
        full_reconnect(mode, Scenario::NodeFailure(true)).await;
    }

    pub(super) async fn a_server_that_asks_for_a_full_reconnect_gets_one(mode: SignalMode) {
        full_reconnect(mode, Scenario::LeaveRequestFullReconnect(true)).await;
    }

    async fn full_reconnect(mode: SignalMode, scenario: Scenario) {
        let server = server().await;
        let name = room_name("full");
        let (ann, mut ann_events) = server.join(&name, "ann", options(mode)).await;
        let (bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        let (voice, face) = (LocalTrack::opus(), LocalTrack::vp8());
        ann.publish(&voice, PublishOptions::default()).await.expect("published");
        bob.publish(&face, PublishOptions::default()).await.expect("published");
        let _playing = (speak(&voice), film(&face));
        let before = subscribed(&mut bob_events, MediaKind::Audio).await;
        flows(&subscribed(&mut ann_events, MediaKind::Video).await).await;

        ann.simulate(scenario).await.expect("told");
        let (mut resumed, mut again) = (None, None);
        ann_events
            .expect("a fresh session with bob's video", |event| {
                match event {
                    RoomEvent::Reconnected { resumed: same } => resumed = Some(same),
                    RoomEvent::TrackSubscribed { track, .. } => again = Some(track),
                    _ => {}
                }
                (resumed.is_some() && again.is_some()).then_some(())
            })
            .await;
        assert_eq!(resumed, Some(false));
        let after = subscribed(&mut bob_events, MediaKind::Audio).await;
        assert_ne!(after.sid(), before.sid());
        flows(&after).await;
        flows(&again.expect("just seen")).await;
        ann.publish_data(&b"back"[..], true, Address::default()).await.expect("sent");
        bob_events
            .expect("data after the reconnect", |event| match event {
                RoomEvent::DataReceived { payload, .. } => (&payload[..] == b"back").then_some(()),
                _ => None,
            })
            .await;
    }

    pub(super) async fn requests_made_while_reconnecting_are_not_lost(mode: SignalMode) {
        let server = server().await;
        let name = room_name("held");
        let (ann, mut ann_events) = server.join(&name, "ann", options(mode)).await;
        let (_bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        ann.drop_signal().await.expect("cut");
        ann_events
            .expect("reconnecting", |event| matches!(event, RoomEvent::Reconnecting).then_some(()))
            .await;
        ann.set_metadata("patient").await.expect("done once back");
        bob_events
            .expect("the metadata", |event| match event {
                RoomEvent::MetadataChanged { participant, .. } => {
                    (participant.metadata == "patient").then_some(())
                }
                _ => None,
            })
            .await;
    }

    pub(super) async fn a_server_that_crashed_and_came_back_is_joined_again(mode: SignalMode) {
        let mut server = server().await;
        let name = room_name("crash");
        let (ann, mut ann_events) = server.join(&name, "ann", options(mode)).await;
        let (_bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        let voice = LocalTrack::opus();
        ann.publish(&voice, PublishOptions::default()).await.expect("published");
        let _playing = speak(&voice);
        flows(&subscribed(&mut bob_events, MediaKind::Audio).await).await;
        if !server.crash_and_return().await {
            return;
        }
        assert!(!reconnected(&mut ann_events).await, "a fresh session");
        // Bob may be back before or after Ann's track is.
        flows(&subscribed(&mut bob_events, MediaKind::Audio).await).await;
    }
}
