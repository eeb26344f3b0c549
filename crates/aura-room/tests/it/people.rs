//! Joining, refusals, metadata, speakers, quality.

use crate::in_both_modes;

in_both_modes!(what_people_say_of_themselves_reaches_everybody, whoever_speaks_is_noticed);

mod scenario {
    use std::collections::HashMap;

    use aura_room::{LocalTrack, PublishOptions, RoomEvent, SignalMode};

    use crate::harness::{options, room_name, server, speak};

    pub(super) async fn what_people_say_of_themselves_reaches_everybody(mode: SignalMode) {
        let server = server().await;
        let name = room_name("metadata");
        let mut with_attributes = options(mode);
        with_attributes.attributes.insert("from".into(), "start".into());
        let (ann, mut ann_events) = server.join(&name, "ann", with_attributes).await;
        let (bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        let seen = bob.participant("ann").expect("ann was here first");
        assert_eq!((seen.name.as_str(), seen.attributes["from"].as_str()), ("ANN", "start"));
        assert_eq!(ann.info().name, name);
        assert_eq!(bob.local_participant().identity, "bob");

        ann.set_metadata("busy").await.expect("allowed");
        ann.set_name("Anna").await.expect("allowed");
        ann.set_attributes(HashMap::from([("mood".into(), "good".into())])).await.expect("allowed");
        bob_events
            .expect("the metadata", |event| match event {
                RoomEvent::MetadataChanged { participant, .. } => {
                    (participant.metadata == "busy").then_some(())
                }
                _ => None,
            })
            .await;
        bob_events
            .expect("the name", |event| match event {
                RoomEvent::NameChanged { participant, previous } => {
                    (participant.name == "Anna" && previous == "ANN").then_some(())
                }
                _ => None,
            })
            .await;
        ann_events
            .expect("our own attributes", |event| match event {
                RoomEvent::AttributesChanged { changed, .. } => {
                    (changed.get("mood").map(String::as_str) == Some("good")).then_some(())
                }
                _ => None,
            })
            .await;
    }

    pub(super) async fn whoever_speaks_is_noticed(mode: SignalMode) {
        let server = server().await;
        let name = room_name("speakers");
        let (ann, _ann_events) = server.join(&name, "ann", options(mode)).await;
        let (_bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        let voice = LocalTrack::opus();
        ann.publish(&voice, PublishOptions::default()).await.expect("published");
        let _playing = speak(&voice);
        bob_events
            .expect("ann speaking", |event| match event {
                RoomEvent::ActiveSpeakersChanged(speakers) => {
                    speakers.first().is_some_and(|first| first.identity == "ann").then_some(())
                }
                _ => None,
            })
            .await;
    }
}

mod refusal {
    use aura_room::{RoomError, RoomEvent, RoomOptions};
    use serde_json::json;

    use crate::harness::{room_name, server};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bad_token_is_refused_with_the_reason() {
        let server = server().await;
        let refused = server.try_join("nonsense").await.expect_err("refused");
        assert!(
            matches!(&refused, RoomError::Refused { status: 401, message } if !message.is_empty()),
            "{refused:?}"
        );
        let token = server.token("x", "ann", json!({"roomJoin": false}));
        let refused = server.try_join(&token).await.expect_err("refused");
        assert!(matches!(&refused, RoomError::Refused { status: 401 | 403, .. }), "{refused:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_same_identity_again_ends_the_first_session() {
        let server = server().await;
        let name = room_name("duplicate");
        let (_first, mut events) = server.join(&name, "ann", RoomOptions::default()).await;
        let (_second, _) = server.join(&name, "ann", RoomOptions::default()).await;
        let reason = events
            .expect("the end", |event| match event {
                RoomEvent::Disconnected(reason) => Some(reason),
                _ => None,
            })
            .await;
        assert_eq!(reason, aura_room::DisconnectReason::DuplicateIdentity);
    }
}
