//! AIC beside Opus on one track: who gets which, untouched, and what is refused.

use std::time::Duration;

use aura_room::{
    Codec, LocalTrack, PublishOptions, RemoteTrack, RoomEvent, RoomOptions, RtpPacket, SignalMode, Written,
};
use bytes::Bytes;

use crate::harness::{Background, Events, background, options, room_name, server, soon};
use crate::in_both_modes;

in_both_modes!(both_codecs_take_turns_on_one_stream, one_listener_without_it_decides_for_opus);

const MODEL: &str = "aic16m-1";
const FRAME: Duration = Duration::from_millis(20);

fn speaking_aic(mode: SignalMode) -> RoomOptions {
    RoomOptions { aic_model: Some(MODEL.to_owned()), ..options(mode) }
}

/// One frame at 6 kbit/s with this number in it.
fn payload(number: u8) -> Bytes {
    let mut bytes = vec![number; 16];
    bytes[0] = 0b1000_0000;
    bytes.into()
}

fn opus(number: u8) -> Bytes {
    vec![0xf8, 0xff, number].into()
}

async fn track_of(events: &mut Events) -> RemoteTrack {
    events
        .expect("a subscribed track", |event| match event {
            RoomEvent::TrackSubscribed { track, .. } => Some(track),
            _ => None,
        })
        .await
}

/// AIC when it may be sent, Opus otherwise; `also` goes in between, in AIC.
fn talk(voice: &LocalTrack, also: Option<Bytes>) -> Background {
    let voice = voice.clone();
    background(async move {
        let mut tick = tokio::time::interval(FRAME);
        for number in (0..=u8::MAX).cycle() {
            tick.tick().await;
            let may = voice.takes_aic();
            if let Some(also) = also.clone().filter(|_| may) {
                voice.write_aic(also, FRAME, 10, true).await.expect("written");
            }
            if may {
                voice.write_aic(payload(number), FRAME, 10, true).await.expect("written");
            } else {
                voice.write_audio(opus(number), FRAME, 10, true).await.expect("written");
            }
        }
    })
}

/// Reads until `count` packets of `codec` came in a row.
async fn run_of(track: &RemoteTrack, codec: Codec, count: usize) -> Vec<RtpPacket> {
    let mut run = Vec::new();
    soon("packets of one codec", async {
        while run.len() < count {
            let packet = track.next_packet().await.expect("the track goes on");
            if track.codec_of(&packet) == Some(codec) {
                run.push(packet);
            } else {
                run.clear();
            }
        }
    })
    .await;
    run
}

mod scenario {
    use super::*;

    pub(super) async fn both_codecs_take_turns_on_one_stream(mode: SignalMode) {
        let server = server().await;
        let name = room_name("aic-turns");
        let (ann, _ann_events) = server.join(&name, "ann", speaking_aic(mode)).await;
        let (_bob, mut bob_events) = server.join(&name, "bob", speaking_aic(mode)).await;
        let voice = LocalTrack::opus();
        ann.publish(&voice, PublishOptions::default()).await.expect("published");
        assert!(voice.takes_aic(), "the server has our model");
        let writing = voice.clone();
        let _talking = background(async move {
            let mut tick = tokio::time::interval(FRAME);
            for number in (0..=u8::MAX).cycle() {
                tick.tick().await;
                let written = if number % 10 < 5 {
                    writing.write_aic(payload(number), FRAME, 10, true).await
                } else {
                    writing.write_audio(opus(number), FRAME, 10, true).await
                };
                assert_eq!(written.expect("a frame"), Written::Sent);
            }
        });
        let track = track_of(&mut bob_events).await;
        bob_events
            .expect("ann among the speakers", |event| match event {
                RoomEvent::ActiveSpeakersChanged(speakers) => {
                    speakers.iter().any(|speaker| speaker.identity == "ann").then_some(())
                }
                _ => None,
            })
            .await;
        let mut packets = Vec::new();
        for _ in 0..100 {
            packets.push(soon("a packet", track.next_packet()).await.expect("the track goes on"));
        }
        for pair in packets.windows(2) {
            assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1, "one numbering");
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 960, "one clock");
            assert_eq!(pair[1].ssrc, pair[0].ssrc);
        }
        for packet in &packets {
            let number = *packet.payload.last().expect("not empty");
            let (codec, sent) =
                if number % 10 < 5 { (Codec::Aic, payload(number)) } else { (Codec::Opus, opus(number)) };
            assert_eq!((track.codec_of(packet), &packet.payload), (Some(codec), &sent), "untouched");
        }
    }

    pub(super) async fn one_listener_without_it_decides_for_opus(mode: SignalMode) {
        let server = server().await;
        let name = room_name("aic-deaf");
        let (ann, _ann_events) = server.join(&name, "ann", speaking_aic(mode)).await;
        let (_bob, mut bob_events) = server.join(&name, "bob", speaking_aic(mode)).await;
        let voice = LocalTrack::opus();
        ann.publish(&voice, PublishOptions::default()).await.expect("published");
        let _talking = talk(&voice, None);
        let at_bob = track_of(&mut bob_events).await;
        run_of(&at_bob, Codec::Aic, 10).await;
        // Cid knows only Opus, and no transcoder is configured.
        let (cid, mut cid_events) = server.join(&name, "cid", options(mode)).await;
        let at_cid = track_of(&mut cid_events).await;
        run_of(&at_cid, Codec::Opus, 10).await;
        run_of(&at_bob, Codec::Opus, 10).await;
        assert!(!voice.takes_aic());
        cid.leave().await;
        run_of(&at_bob, Codec::Aic, 10).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_payload_reaches_nobody() {
    let server = server().await;
    for hostile in
        [Bytes::from_static(&[0b1000_0000, 1]), vec![0b1000_0000; 1_100].into(), vec![0xff; 16].into()]
    {
        let name = room_name("aic-hostile");
        let (ann, _ann_events) = server.join(&name, "ann", speaking_aic(SignalMode::Dual)).await;
        let (_bob, mut bob_events) = server.join(&name, "bob", speaking_aic(SignalMode::Dual)).await;
        let voice = LocalTrack::opus();
        ann.publish(&voice, PublishOptions::default()).await.expect("published");
        let _talking = talk(&voice, Some(hostile));
        let track = track_of(&mut bob_events).await;
        // Truncated, too long, of a rate that does not exist: good ones go on between them.
        for packet in run_of(&track, Codec::Aic, 20).await {
            assert_eq!(packet.payload, payload(packet.payload[1]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_is_served_opus() {
    let server = server().await;
    let name = room_name("aic-model");
    let other = || RoomOptions { aic_model: Some("another-1".to_owned()), ..RoomOptions::default() };
    let (ann, _ann_events) = server.join(&name, "ann", speaking_aic(SignalMode::Dual)).await;
    let (bob, mut bob_events) = server.join(&name, "bob", other()).await;
    let (hers, his) = (LocalTrack::opus(), LocalTrack::opus());
    bob.publish(&his, PublishOptions::default()).await.expect("published");
    assert!(!his.takes_aic(), "the server names its model, which is not his");
    let refused = his.write_aic(payload(1), FRAME, 10, true).await.expect("a frame");
    assert_eq!(refused, Written::Dropped);
    ann.publish(&hers, PublishOptions::default()).await.expect("published");
    let _talking = talk(&hers, None);
    let track = track_of(&mut bob_events).await;
    run_of(&track, Codec::Opus, 10).await;
    assert!(!hers.takes_aic());
}
