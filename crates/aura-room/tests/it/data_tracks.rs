//! Data tracks: published, received, refused, ended, and back after every kind of break.

use crate::in_both_modes;

in_both_modes!(
    frames_arrive_whole,
    what_may_not_be_is_refused,
    lost_packets_stall_nothing,
    tracks_and_subscriptions_end,
    a_resume_interrupts_no_data_track,
    a_new_session_of_the_subscriber_restores_its_tracks,
    a_new_session_of_the_publisher_brings_its_tracks_back,
);

mod scenario {
    use std::time::Duration;

    use aura_room::{
        DataFrame, Encryption, LocalDataTrack, RemoteDataTrack, Room, RoomError, RoomEvent, RoomOptions,
        Scenario, SignalMode,
    };
    use serde_json::json;

    use crate::harness::{Background, Events, Server, background, options, room_name, server, soon};

    /// Pushes a numbered frame every ten milliseconds until dropped.
    fn count(track: &LocalDataTrack) -> Background {
        let track = track.clone();
        background(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(10));
            for number in 0_u64.. {
                tick.tick().await;
                track.push(number.to_be_bytes().to_vec()).await.expect("small");
            }
        })
    }

    fn number(frame: &DataFrame) -> u64 {
        u64::from_be_bytes(frame.payload[..].try_into().expect("eight bytes"))
    }

    /// Frames go on arriving, each later than the one before; the number of the last.
    async fn flows(track: &RemoteDataTrack, after: u64) -> u64 {
        let mut last = after;
        for _ in 0..10 {
            let frame = soon("a frame", track.next()).await.expect("the track goes on");
            assert!(number(&frame) > last || last == 0, "{} after {last}", number(&frame));
            last = number(&frame);
        }
        last
    }

    async fn published(events: &mut Events, name: &str) -> String {
        events
            .expect("a data track", |event| match event {
                RoomEvent::DataTrackPublished { publication, participant } if publication.name == name => {
                    assert_eq!(participant.identity, "ann");
                    Some(publication.sid)
                }
                _ => None,
            })
            .await
    }

    struct Pair {
        ann: Room,
        ann_events: Events,
        bob: Room,
        bob_events: Events,
        sent: LocalDataTrack,
        received: RemoteDataTrack,
        counting: Background,
        server: Server,
    }

    /// Ann counts on a data track to which Bob is subscribed.
    async fn pair(mode: SignalMode) -> Pair {
        let server = server().await;
        let name = room_name("data-track");
        let (ann, ann_events) = server.join(&name, "ann", options(mode)).await;
        let (bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        let sent = ann.publish_data_track("count").await.expect("published");
        let sid = published(&mut bob_events, "count").await;
        assert_eq!(sent.sid(), Some(sid.clone()));
        let received = bob.subscribe_data_track(&sid).await.expect("subscribed");
        assert_eq!(received.identity(), "ann");
        let counting = count(&sent);
        Pair { ann, ann_events, bob, bob_events, sent, received, counting, server }
    }

    pub(super) async fn frames_arrive_whole(mode: SignalMode) {
        let pair = pair(mode).await;
        let last = flows(&pair.received, 0).await;
        flows(&pair.received, last).await;
        drop(pair.counting);

        // Who comes later knows of the track, and gets what is sent from then on.
        let name = pair.ann.info().name;
        let (carol, _events) = pair.server.join(&name, "carol", options(mode)).await;
        let known = carol.participant("ann").expect("ann is here").data_tracks;
        assert_eq!(known.len(), 1);
        let late = carol.subscribe_data_track(&known[0].sid).await.expect("subscribed");

        let encryption = Some(Encryption { key_index: 3, iv: [7; 12] });
        for size in [0, 1, 15_900, 200_000] {
            let frame = DataFrame {
                payload: vec![9; size].into(),
                user_timestamp: Some(0xffff_ffff_0000 + size as u64),
                encryption,
            };
            let (sender, sending) = (pair.sent.clone(), frame.clone());
            // Any frame may be lost, so it is repeated.
            let repeating = background(async move {
                let mut tick = tokio::time::interval(Duration::from_millis(200));
                loop {
                    tick.tick().await;
                    sender.push(sending.clone()).await.expect("not too large");
                }
            });
            for track in [&pair.received, &late] {
                while soon("the frame", track.next()).await.expect("the track goes on") != frame {}
            }
            drop(repeating);
        }
        // Nobody receives its own.
        assert!(pair.ann.subscribe_data_track(&known[0].sid).await.is_err());
    }

    pub(super) async fn what_may_not_be_is_refused(mode: SignalMode) {
        let server = server().await;
        let name = room_name("refused");
        let (ann, _ann_events) = server.join(&name, "ann", options(mode)).await;
        ann.publish_data_track("taken").await.expect("published");
        let refused = |outcome: Result<LocalDataTrack, RoomError>| match outcome {
            Err(RoomError::RequestRefused { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(ann.publish_data_track("taken").await), "DUPLICATE_NAME");
        assert_eq!(refused(ann.publish_data_track("").await), "INVALID_NAME");
        assert_eq!(refused(ann.publish_data_track("x".repeat(300)).await), "INVALID_NAME");
        ann.publish_data_track("another").await.expect("a refusal costs nothing else");

        let token = server.token(&name, "mute", json!({ "canPublishData": false }));
        let mute = server.join_as(&token, RoomOptions { mode, ..RoomOptions::default() }).await;
        assert_eq!(refused(mute.publish_data_track("x").await), "NOT_ALLOWED");
        let unknown = mute.subscribe_data_track("DTR_unknown").await;
        assert!(matches!(unknown, Err(RoomError::UnknownTrack(_))), "{unknown:?}");
        let sid = mute.participant("ann").expect("ann is here").data_tracks[0].sid.clone();
        mute.subscribe_data_track(&sid).await.expect("receiving is another right");
    }

    pub(super) async fn lost_packets_stall_nothing(mode: SignalMode) {
        let server = server().await;
        let name = room_name("lossy");
        let lossy = RoomOptions { simulated_loss: 0.3, ..options(mode) };
        let (ann, _ann_events) = server.join(&name, "ann", lossy.clone()).await;
        let (bob, mut bob_events) = server.join(&name, "bob", lossy).await;
        let sent = ann.publish_data_track("lossy").await.expect("published");
        let sid = published(&mut bob_events, "lossy").await;
        let received = bob.subscribe_data_track(&sid).await.expect("subscribed");
        // Of two packets each: a quarter arrives.
        let pushing = sent.clone();
        let _pushing = background(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            for fill in 0_u64.. {
                tick.tick().await;
                let payload = fill.to_be_bytes().repeat(3_000);
                pushing.push(payload).await.expect("small");
            }
        });
        let (mut last, mut gaps) = (None, 0);
        for _ in 0..40 {
            let payload = soon("a frame", received.next()).await.expect("the track goes on").payload;
            let (number, rest) = payload.split_at(8);
            assert!(payload.len() == 24_000 && rest.chunks(8).all(|part| part == number), "damaged");
            let number = u64::from_be_bytes(number.try_into().expect("eight bytes"));
            assert!(last.is_none_or(|last| number > last), "{number} after {last:?}");
            gaps += u64::from(last.is_some_and(|last| number > last + 1));
            last = Some(number);
        }
        assert!(gaps > 5, "{gaps} gaps: nothing was lost");
    }

    pub(super) async fn tracks_and_subscriptions_end(mode: SignalMode) {
        let mut pair = pair(mode).await;
        flows(&pair.received, 0).await;
        pair.bob.unsubscribe_data_track(&pair.received).await.expect("told");
        soon("the end", async { while pair.received.next().await.is_some() {} }).await;

        let sid = pair.received.publication().sid.clone();
        let again = pair.bob.subscribe_data_track(&sid).await.expect("subscribed again");
        flows(&again, 0).await;
        pair.ann.unpublish_data_track(&pair.sent).await.expect("unpublished");
        soon("the end", async { while again.next().await.is_some() {} }).await;
        pair.bob_events
            .expect("the news", |event| match event {
                RoomEvent::DataTrackUnpublished { publication, .. } => (publication.sid == sid).then_some(()),
                _ => None,
            })
            .await;
        assert!(pair.ann.unpublish_data_track(&pair.sent).await.is_err(), "once is enough");
        assert!(pair.sent.sid().is_none());

        let anew = pair.ann.publish_data_track("count").await.expect("the name is free again");
        let counting = count(&anew);
        let sid = published(&mut pair.bob_events, "count").await;
        let received = pair.bob.subscribe_data_track(&sid).await.expect("subscribed");
        flows(&received, 0).await;
        drop(counting);
        pair.ann.leave().await;
        soon("the end", async { while received.next().await.is_some() {} }).await;
    }

    async fn reconnected(events: &mut Events) -> bool {
        events
            .expect("reconnected", |event| match event {
                RoomEvent::Reconnected { resumed } => Some(resumed),
                _ => None,
            })
            .await
    }

    pub(super) async fn a_resume_interrupts_no_data_track(mode: SignalMode) {
        let mut pair = pair(mode).await;
        let mut last = flows(&pair.received, 0).await;
        let sid = pair.sent.sid();
        for _ in 0..2 {
            pair.ann.drop_signal().await.expect("cut");
            assert!(reconnected(&mut pair.ann_events).await, "resumed");
            last = flows(&pair.received, last).await;
            pair.bob.drop_signal().await.expect("cut");
            assert!(reconnected(&mut pair.bob_events).await, "resumed");
            last = flows(&pair.received, last).await;
        }
        assert_eq!(pair.sent.sid(), sid);
        // What is asked while reconnecting is done once back.
        pair.ann.drop_signal().await.expect("cut");
        let second = pair.ann.publish_data_track("second").await.expect("published once back");
        let sid = published(&mut pair.bob_events, "second").await;
        pair.bob.drop_signal().await.expect("cut");
        let received = pair.bob.subscribe_data_track(&sid).await.expect("subscribed once back");
        let _counting = count(&second);
        flows(&received, 0).await;
    }

    pub(super) async fn a_new_session_of_the_subscriber_restores_its_tracks(mode: SignalMode) {
        let mut pair = pair(mode).await;
        let mut last = flows(&pair.received, 0).await;
        for scenario in [Scenario::NodeFailure(true), Scenario::LeaveRequestFullReconnect(true)] {
            pair.bob.simulate(scenario).await.expect("told");
            assert!(!reconnected(&mut pair.bob_events).await, "a new session");
            last = flows(&pair.received, last).await;
        }
    }

    pub(super) async fn a_new_session_of_the_publisher_brings_its_tracks_back(mode: SignalMode) {
        let mut pair = pair(mode).await;
        flows(&pair.received, 0).await;
        let before = pair.sent.sid();
        pair.ann.simulate(Scenario::NodeFailure(true)).await.expect("told");
        assert!(!reconnected(&mut pair.ann_events).await, "a new session");
        soon("the end of the old track", async { while pair.received.next().await.is_some() {} }).await;
        let sid = published(&mut pair.bob_events, "count").await;
        assert_ne!(Some(&sid), before.as_ref());
        let received = pair.bob.subscribe_data_track(&sid).await.expect("subscribed");
        flows(&received, 0).await;
        assert_eq!(pair.sent.sid(), Some(sid));
    }
}
