//! Audio and video both ways, mute, unsubscribe, unpublish.

use crate::in_both_modes;

in_both_modes!(
    audio_and_video_both_ways,
    a_muted_track_is_silent_until_unmuted,
    unsubscribing_stops_media_and_resubscribing_resumes_it,
    an_unpublished_track_is_gone_and_its_section_reused,
    a_late_joiner_gets_a_keyframe,
);

mod transport {
    use aura_room::{IceTransport, LocalTrack, MediaKind, PublishOptions, RoomEvent, RoomOptions};

    use crate::harness::{room_name, server, soon, speak};

    #[tokio::test(flavor = "multi_thread")]
    async fn media_flows_over_tcp_alone() {
        let server = server().await;
        let name = room_name("tcp");
        let options = || RoomOptions { ice_transport: IceTransport::Tcp, ..RoomOptions::default() };
        let (ann, _ann_events) = server.join(&name, "ann", options()).await;
        let (_bob, mut bob_events) = server.join(&name, "bob", options()).await;
        let voice = LocalTrack::opus();
        ann.publish(&voice, PublishOptions::default()).await.expect("published");
        let _playing = speak(&voice);
        let track = bob_events
            .expect("a subscribed track", |event| match event {
                RoomEvent::TrackSubscribed { track, .. } => Some(track),
                _ => None,
            })
            .await;
        assert_eq!(track.kind(), MediaKind::Audio);
        for _ in 0..10 {
            soon("a frame", track.next_frame()).await.expect("the track goes on");
        }
    }
}

mod codec {
    use std::time::Duration;

    use aura_room::{Codec, LocalTrack, PublishOptions, RoomEvent, RoomOptions, Written};
    use bytes::Bytes;

    use crate::harness::{background, room_name, server, soon};

    /// An access unit with parameter sets and a keyframe.
    fn keyframe() -> Bytes {
        let mut unit = Vec::new();
        for (header, size) in [(0x67, 24), (0x68, 6), (0x65, 5_000)] {
            unit.extend_from_slice(&[0, 0, 0, 1, header]);
            unit.extend(std::iter::repeat_n(0x9a, size));
        }
        unit.into()
    }

    async fn arrives_unchanged(codec: Codec, frame: Bytes, duration: Duration) {
        let server = server().await;
        let name = room_name("codec");
        let (ann, _ann_events) = server.join(&name, "ann", RoomOptions::default()).await;
        let (_bob, mut bob_events) = server.join(&name, "bob", RoomOptions::default()).await;
        let track = LocalTrack::new(codec).expect("a codec we packetise");
        ann.publish(&track, PublishOptions::default()).await.expect("published");
        let _writing = background({
            let (track, frame) = (track.clone(), frame.clone());
            async move {
                let mut tick = tokio::time::interval(duration);
                loop {
                    tick.tick().await;
                    assert_eq!(track.write(frame.clone(), duration).await.expect("a frame"), Written::Sent);
                }
            }
        });
        let remote = bob_events
            .expect("a subscribed track", |event| match event {
                RoomEvent::TrackSubscribed { track, .. } => Some(track),
                _ => None,
            })
            .await;
        for _ in 0..5 {
            let received = soon("a frame", remote.next_frame()).await.expect("the track goes on");
            assert!(received.keyframe);
            assert_eq!(received.data, frame);
        }
        assert_eq!(remote.codec(), Some(codec));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn h264() {
        arrives_unchanged(Codec::H264, keyframe(), Duration::from_millis(40)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn telephone() {
        arrives_unchanged(Codec::Pcmu, Bytes::from_static(&[0x55; 160]), Duration::from_millis(20)).await;
    }
}

mod scenario {
    use aura_room::{Codec, LocalTrack, MediaKind, PublishOptions, RemoteTrack, RoomEvent, SignalMode};

    use crate::harness::{Events, film, number, options, room_name, server, soon, speak};

    async fn subscribed(events: &mut Events, kind: MediaKind) -> RemoteTrack {
        events
            .expect("a subscribed track", |event| match event {
                RoomEvent::TrackSubscribed { track, .. } if track.kind() == kind => Some(track),
                _ => None,
            })
            .await
    }

    /// Reads `count` frames and checks that they follow each other; the number of the last.
    async fn in_order(track: &RemoteTrack, count: usize) -> u64 {
        let mut last = None;
        for _ in 0..count {
            let frame = soon("a frame", track.next_frame()).await.expect("the track goes on");
            let number = number(&frame);
            assert!(last.is_none_or(|last| number > last), "{number} after {last:?}");
            last = Some(number);
        }
        last.expect("some frames")
    }

    pub(super) async fn audio_and_video_both_ways(mode: SignalMode) {
        let server = server().await;
        let name = room_name("both-ways");
        let (ann, mut ann_events) = server.join(&name, "ann", options(mode)).await;
        let (bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        let mut playing = Vec::new();
        for room in [&ann, &bob] {
            let (voice, face) = (LocalTrack::opus(), LocalTrack::vp8());
            room.publish(&voice, PublishOptions { name: "voice".into(), ..PublishOptions::default() })
                .await
                .expect("audio published");
            let size = PublishOptions { width: 640, height: 360, ..PublishOptions::default() };
            room.publish(&face, size).await.expect("video published");
            assert!(voice.sid().is_some_and(|sid| sid.starts_with("TR_")));
            playing.push(speak(&voice));
            playing.push(film(&face));
        }
        for (events, from) in [(&mut ann_events, "bob"), (&mut bob_events, "ann")] {
            for kind in [MediaKind::Audio, MediaKind::Video] {
                let track = subscribed(events, kind).await;
                assert_eq!(track.identity(), from);
                in_order(&track, 25).await;
                let codec = if kind == MediaKind::Audio { Codec::Opus } else { Codec::Vp8 };
                assert_eq!(track.codec(), Some(codec));
            }
        }
        let seen = ann.participant("bob").expect("bob is here");
        assert!(seen.tracks.iter().any(|track| track.name == "voice" && track.kind == MediaKind::Audio));
        assert!(seen.tracks.iter().any(|track| track.width == 640 && track.height == 360));
        bob.leave().await;
        ann_events
            .expect("bob leaving", |event| match event {
                RoomEvent::ParticipantDisconnected { participant, .. } => Some(participant),
                _ => None,
            })
            .await;
        ann.leave().await;
    }

    pub(super) async fn a_muted_track_is_silent_until_unmuted(mode: SignalMode) {
        let server = server().await;
        let name = room_name("mute");
        let (ann, _ann_events) = server.join(&name, "ann", options(mode)).await;
        let (_bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        let voice = LocalTrack::opus();
        ann.publish(&voice, PublishOptions::default()).await.expect("published");
        let mut playing = speak(&voice);
        let track = subscribed(&mut bob_events, MediaKind::Audio).await;
        let mut last = in_order(&track, 5).await;

        ann.set_muted(&voice, true).await.expect("muted");
        bob_events
            .expect("the mute", |event| match event {
                RoomEvent::TrackMuted { publication, .. } => publication.muted.then_some(()),
                _ => None,
            })
            .await;
        playing.some_more().await;
        ann.set_muted(&voice, false).await.expect("unmuted");
        bob_events
            .expect("the unmute", |event| matches!(event, RoomEvent::TrackUnmuted { .. }).then_some(()))
            .await;
        // Everything from before the mute, then the gap, then the present.
        let mut gap = false;
        while !gap {
            let frame = soon("audio again", track.next_frame()).await.expect("the track goes on");
            if frame.data[0] != b'a' {
                // Servers play silence to a muted track's listeners.
                continue;
            }
            gap = number(&frame) > last + 1;
            last = number(&frame);
        }
    }

    pub(super) async fn unsubscribing_stops_media_and_resubscribing_resumes_it(mode: SignalMode) {
        let server = server().await;
        let name = room_name("unsubscribe");
        let (ann, _ann_events) = server.join(&name, "ann", options(mode)).await;
        let (bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        let (voice, face) = (LocalTrack::opus(), LocalTrack::vp8());
        ann.publish(&voice, PublishOptions::default()).await.expect("published");
        ann.publish(&face, PublishOptions::default()).await.expect("published");
        let _playing = (speak(&voice), film(&face));
        let track = subscribed(&mut bob_events, MediaKind::Video).await;
        in_order(&track, 5).await;

        for _ in 0..2 {
            bob.set_subscribed(track.sid(), false).await.expect("told");
            bob_events
                .expect("the end of the track", |event| match event {
                    RoomEvent::TrackUnsubscribed { track_sid, .. } => {
                        (track_sid == track.sid()).then_some(())
                    }
                    _ => None,
                })
                .await;
            bob.set_subscribed(track.sid(), true).await.expect("told");
            let again = subscribed(&mut bob_events, MediaKind::Video).await;
            assert_eq!(again.sid(), track.sid());
            in_order(&again, 5).await;
        }
        soon("the end of the first track", async { while track.next_frame().await.is_some() {} }).await;
    }

    pub(super) async fn an_unpublished_track_is_gone_and_its_section_reused(mode: SignalMode) {
        let server = server().await;
        let name = room_name("unpublish");
        let (ann, _ann_events) = server.join(&name, "ann", options(mode)).await;
        let (_bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        for _ in 0..3 {
            let face = LocalTrack::vp8();
            ann.publish(&face, PublishOptions::default()).await.expect("published");
            let _playing = film(&face);
            let track = subscribed(&mut bob_events, MediaKind::Video).await;
            in_order(&track, 5).await;
            ann.unpublish(&face).await.expect("unpublished");
            bob_events
                .expect("the unpublishing", |event| match event {
                    RoomEvent::TrackUnpublished { publication, .. } => {
                        (publication.sid == track.sid()).then_some(())
                    }
                    _ => None,
                })
                .await;
        }
    }

    pub(super) async fn a_late_joiner_gets_a_keyframe(mode: SignalMode) {
        let server = server().await;
        let name = room_name("keyframe");
        let (ann, mut ann_events) = server.join(&name, "ann", options(mode)).await;
        let face = LocalTrack::vp8();
        ann.publish(&face, PublishOptions::default()).await.expect("published");
        let _playing = film(&face);
        let (_bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        let track = subscribed(&mut bob_events, MediaKind::Video).await;
        let first = soon("a frame", track.next_frame()).await.expect("the track goes on");
        assert!(first.keyframe, "the server starts a viewer at a keyframe");
        track.request_keyframe().await;
        ann_events
            .expect("the request", |event| match event {
                RoomEvent::KeyframeWanted { track_sid } => (Some(track_sid) == face.sid()).then_some(()),
                _ => None,
            })
            .await;
    }
}
