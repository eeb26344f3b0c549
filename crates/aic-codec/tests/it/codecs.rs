//! Round trips through every pair of codecs, unary and as streams.

use aura_proto::aic::v1 as pb;
use tonic::Code;

use crate::client::{Client, format, opening, packets_of, steady};
use crate::server::Server;
use crate::sound::{Noise, from_pcm, likeness, loudness, to_pcm, voice};
use crate::speech;

const SECONDS: f32 = 2.0;
const FRAMES: usize = 100;

fn formats() -> [pb::Format; 4] {
    [
        format(pb::Codec::Pcm, 16_000),
        format(pb::Codec::Pcm, 48_000),
        format(pb::Codec::Opus, 0),
        format(pb::Codec::Aic, 0),
    ]
}

async fn transcode(client: &mut Client, input: pb::Audio, output: pb::Format) -> pb::AudioResponse {
    let request = pb::TranscodeRequest {
        input: Some(input),
        output: Some(output),
        targets: Some(steady()),
        ..pb::TranscodeRequest::default()
    };
    client.codec.transcode(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn every_pair_of_codecs_carries_the_voice() {
    let server = Server::start().await;
    let mut client = server.dashboard().await;
    let spoken = voice(48_000, SECONDS, 1);
    let wanted = loudness(48_000, &spoken);
    let original = pb::Audio {
        format: Some(format(pb::Codec::Pcm, 48_000)),
        pcm: to_pcm(&spoken),
        ..Default::default()
    };
    for input in formats() {
        let source = transcode(&mut client, original.clone(), input).await.output.unwrap();
        for output in formats() {
            let name = format!(
                "{:?} {} to {:?} {}",
                input.codec(),
                input.sample_rate_hz,
                output.codec(),
                output.sample_rate_hz
            );
            let response = transcode(&mut client, source.clone(), output).await;
            let (made, usage) = (response.output.unwrap(), response.usage.unwrap());
            assert_eq!(usage.frames, FRAMES as u64, "{name}");
            assert_eq!(usage.concealed_frames, 0, "{name}");
            if output.codec() == pb::Codec::Aic {
                let bytes: usize = made.packets.iter().map(|packet| packet.payload.len()).sum();
                assert!(bytes <= 16 * (FRAMES + 1), "{name}: {bytes} bytes for two seconds");
                assert_eq!(usage.output_bytes, bytes as u64, "{name}");
            }
            let heard = transcode(&mut client, made, format(pb::Codec::Pcm, 16_000)).await.output.unwrap();
            let like = likeness(&wanted, &loudness(16_000, &from_pcm(&heard.pcm)));
            assert!(like > 0.7, "{name}: likeness {like}");
        }
    }
}

#[tokio::test]
async fn compress_and_decompress_are_transcode_with_one_end_fixed() {
    let server = Server::start().await;
    let mut client = server.dashboard().await;
    let spoken = voice(16_000, 1.0, 2);
    let input = pb::Audio {
        format: Some(format(pb::Codec::Pcm, 16_000)),
        pcm: to_pcm(&spoken),
        ..Default::default()
    };
    let request = pb::CompressRequest { input: Some(input), targets: Some(steady()), ..Default::default() };
    let coded = client.codec.compress(request).await.unwrap().into_inner();
    let usage = coded.usage.unwrap();
    assert!(usage.compression_ratio >= 0.79, "{}", usage.compression_ratio);
    let output = coded.output.unwrap();
    assert!(output.packets.iter().all(|packet| packet.codec() == pb::Codec::Aic));
    let request = pb::DecompressRequest {
        input: Some(output),
        output: Some(format(pb::Codec::Pcm, 16_000)),
        model: "aic16m-1".to_owned(),
        ..Default::default()
    };
    let heard = client.codec.decompress(request.clone()).await.unwrap().into_inner().output.unwrap();
    let like = likeness(&loudness(16_000, &spoken), &loudness(16_000, &from_pcm(&heard.pcm)));
    assert!(like > 0.7, "likeness {like}");

    let foreign = pb::DecompressRequest { model: "somebody-elses".to_owned(), ..request };
    assert_eq!(client.codec.decompress(foreign).await.unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_stream_gives_what_the_unary_call_gives() {
    let server = Server::start().await;
    let mut client = server.sfu().await;
    let spoken = to_pcm(&voice(16_000, 1.0, 3));
    let source =
        pb::Audio { format: Some(format(pb::Codec::Pcm, 16_000)), pcm: spoken.clone(), ..Default::default() };
    let unary = transcode(&mut client, source, format(pb::Codec::Aic, 0)).await.output.unwrap();

    let open = opening(format(pb::Codec::Pcm, 16_000), format(pb::Codec::Aic, 0));
    let call = client.open(open).await.unwrap();
    assert_eq!(call.opened.model, "aic16m-1");
    assert!((10..=40).contains(&call.opened.delay_ms), "{}", call.opened.delay_ms);
    let heard = call.finish(&packets_of(&spoken, 16_000)).await.unwrap();
    assert_eq!(heard.closed().reason(), pb::stream_closed::Reason::Ended);
    assert_eq!(heard.closed().last_taken, Some(49));
    let unary: Vec<_> = unary.packets.iter().map(|packet| (packet.rtp_timestamp, &packet.payload)).collect();
    let streamed: Vec<_> =
        heard.packets.iter().map(|packet| (packet.rtp_timestamp, &packet.payload)).collect();
    assert_eq!(streamed, unary);
    for (index, packet) in heard.packets.iter().enumerate() {
        assert_eq!(packet.sequence, index as u32);
        let meta = packet.meta.as_ref().unwrap();
        assert!(meta.encode_ms > 0.0 && meta.queue_ms >= 0.0);
        assert!([3, 6, 12].contains(&meta.stages));
    }
}

#[tokio::test]
async fn what_was_lost_is_made_up_and_counted() {
    let server = Server::start().await;
    let mut client = server.sfu().await;
    let spoken = to_pcm(&voice(48_000, 2.0, 4));
    for codec in [pb::Codec::Aic, pb::Codec::Opus] {
        let source = pb::Audio {
            format: Some(format(pb::Codec::Pcm, 48_000)),
            pcm: spoken.clone(),
            ..Default::default()
        };
        let coded = transcode(&mut client, source, format(codec, 0)).await.output.unwrap();
        let thinned: Vec<_> = coded.packets.into_iter().filter(|packet| packet.sequence % 10 != 7).collect();
        let call = client.open(opening(format(codec, 0), format(pb::Codec::Pcm, 16_000))).await.unwrap();
        let heard = call.finish(&thinned).await.unwrap();
        let usage = heard.closed().usage.as_ref().unwrap();
        assert_eq!(heard.packets.len(), FRAMES, "{codec:?}: no gap is left");
        assert_eq!(usage.concealed_frames, 10, "{codec:?}");
        let told: u32 = heard.packets.iter().map(|p| p.meta.as_ref().unwrap().concealed_frames).sum();
        assert_eq!(told, 10, "{codec:?}");
    }
}

#[tokio::test]
async fn a_sender_that_falls_back_to_opus_is_followed_and_back() {
    let server = Server::start().await;
    let mut client = server.sfu().await;
    let spoken = voice(48_000, SECONDS, 5);
    let open = opening(format(pb::Codec::Pcm, 48_000), format(pb::Codec::Aic, 0));
    let call = client.open(open).await.unwrap();
    let input = packets_of(&to_pcm(&spoken), 48_000);
    let mut sent = Vec::new();
    // The native codec in the middle third, as somebody wishes.
    let mut call = call;
    for (index, packet) in input.into_iter().enumerate() {
        if index == 35 || index == 70 {
            let control = pb::StreamControl { fallback: Some(index == 35), ..pb::StreamControl::default() };
            call.ask(pb::stream_request::Message::Control(control)).await;
        }
        call.ask(pb::stream_request::Message::Packet(packet)).await;
    }
    call.half_close();
    let heard = call.rest().await.unwrap();
    let codecs: Vec<_> = heard.packets.iter().map(pb::Packet::codec).collect();
    assert!(codecs[..30].iter().all(|codec| *codec == pb::Codec::Aic), "{codecs:?}");
    let native: Vec<_> = heard.packets.iter().filter(|packet| packet.codec() == pb::Codec::Opus).collect();
    assert!((34..=60).contains(&native.len()), "{}", native.len());
    assert!(
        native.iter().all(|packet| {
            packet.meta.as_ref().unwrap().fallback_reason() == pb::FallbackReason::Disabled
        })
    );
    assert_eq!(codecs.last(), Some(&pb::Codec::Aic), "it came back");
    assert_eq!(heard.closed().usage.as_ref().unwrap().fallbacks["disabled"], 1);
    sent.extend(heard.packets);

    // What an edge transcoder makes of it is one voice without a hole.
    let call = client.open(opening(format(pb::Codec::Aic, 0), format(pb::Codec::Opus, 0))).await.unwrap();
    let heard = call.finish(&sent).await.unwrap();
    assert_eq!(heard.refused, []);
    let times: Vec<_> = heard.packets.iter().map(|packet| packet.rtp_timestamp).collect();
    assert_eq!(times, (0..FRAMES as u32).map(|n| n * 960).collect::<Vec<_>>());
    let opus =
        pb::Audio { format: Some(format(pb::Codec::Opus, 0)), packets: heard.packets, ..Default::default() };
    let played = transcode(&mut client, opus, format(pb::Codec::Pcm, 16_000)).await.output.unwrap();
    let like = likeness(&loudness(48_000, &spoken), &loudness(16_000, &from_pcm(&played.pcm)));
    assert!(like > 0.7, "likeness {like}");
}

/// A sender begins anew in the middle, and its clock is an hour behind what it was.
#[tokio::test]
async fn a_clock_that_goes_back_makes_no_hours_of_sound() {
    let server = Server::start().await;
    let mut client = server.dashboard().await;
    let original = pb::Audio {
        format: Some(format(pb::Codec::Pcm, 48_000)),
        pcm: to_pcm(&voice(48_000, SECONDS, 3)),
        ..Default::default()
    };
    for codec in [pb::Codec::Opus, pb::Codec::Aic] {
        let mut source = transcode(&mut client, original.clone(), format(codec, 0)).await.output.unwrap();
        let half = source.packets.len() / 2;
        for packet in &mut source.packets[half..] {
            packet.rtp_timestamp = packet.rtp_timestamp.wrapping_sub(48_000 * 3_600);
        }
        for length_ticks in [0, source.length_ticks] {
            let source = pb::Audio { length_ticks, ..source.clone() };
            let heard = transcode(&mut client, source, format(pb::Codec::Pcm, 48_000)).await.output.unwrap();
            let seconds = heard.pcm.len() as f32 / 96_000.0;
            assert!((0.4 * SECONDS..1.1 * SECONDS).contains(&seconds), "{codec:?}: {seconds} s");
        }
    }
}

/// What is said lasts as long as it did, whichever way it goes and whatever its pauses are sent as: packets, descriptions
/// of the noise, or nothing.
#[tokio::test]
async fn speech_with_pauses_keeps_its_time_in_every_direction() {
    const PAUSE: usize = 16_000 * 5 / 4;
    let clips = speech::clips("speech_with_pauses_keeps_its_time_in_every_direction", 2, 6);
    let server = Server::start().await;
    let mut client = server.dashboard().await;
    let aggressive = || pb::Targets { mode: pb::Mode::Aggressive.into(), ..steady() };
    let mut pauses = 0;
    for (index, clip) in clips.iter().enumerate() {
        // Speech, a pause, speech, and a pause at the end: of background noise that a room has.
        let (first, second) = clip.split_at(clip.len() / 2);
        let mut noise = Noise::new(7);
        let mut pause = || (0..PAUSE).map(|_| noise.next() * 0.002).collect::<Vec<f32>>();
        let (middle, end) = (pause(), [pause(), vec![0.0; 77]].concat());
        let spoken = [first.as_flattened(), &middle[..], second.as_flattened(), &end[..]].concat();
        let wanted = loudness(16_000, &spoken);
        let ticks = spoken.len() as u32 * 3;
        let pcm = pb::Audio {
            format: Some(format(pb::Codec::Pcm, 16_000)),
            pcm: to_pcm(&spoken),
            ..Default::default()
        };
        for targets in [steady(), aggressive()] {
            let name = format!("clip {index}, {:?}", targets.mode());
            let compress = |input: pb::Audio| pb::CompressRequest {
                input: Some(input),
                targets: Some(targets),
                ..Default::default()
            };
            let aic =
                client.codec.compress(compress(pcm.clone())).await.unwrap().into_inner().output.unwrap();
            assert_eq!(aic.length_ticks, ticks, "{name}");
            let sent: u32 = aic.packets.iter().map(|packet| packet.payload.len() as u32).sum();
            let end = aic.packets.last().unwrap().rtp_timestamp;
            let apart = |pair: &[pb::Packet]| pair[1].rtp_timestamp - pair[0].rtp_timestamp;
            let is_pause = aic.packets.windows(2).any(|pair| apart(pair) > 14_400);
            assert!(sent > 0, "{name}");
            pauses += usize::from(is_pause);

            let mut ways = vec![("aic", aic.clone())];
            for (way, codec) in [("aic to aic", pb::Codec::Aic), ("aic to opus", pb::Codec::Opus)] {
                ways.push((way, transcode(&mut client, aic.clone(), format(codec, 0)).await.output.unwrap()));
            }
            let opus = transcode(&mut client, pcm.clone(), format(pb::Codec::Opus, 0)).await.output.unwrap();
            // As a sender with DTX leaves it: of each pause only its beginning, in sequence.
            let (from, to) = (first.len() as u32 * 960, first.len() as u32 * 960 + PAUSE as u32 * 3);
            let said = |time: u32| !(from + 9_600..to).contains(&time) && time < ticks - 48_000;
            let kept = |packet: &pb::Packet| said(packet.rtp_timestamp);
            let thinned = opus.packets.iter().filter(|packet| kept(packet)).cloned().enumerate();
            let packets = thinned.map(|(n, packet)| pb::Packet { sequence: n as u32, ..packet }).collect();
            let dtx = pb::Audio { packets, ..opus.clone() };
            ways.push((
                "opus to aic",
                client.codec.compress(compress(dtx.clone())).await.unwrap().into_inner().output.unwrap(),
            ));
            ways.push(("opus", opus));
            ways.push(("opus with dtx", dtx));
            for (way, audio) in ways {
                assert_eq!(audio.length_ticks, ticks, "{name}, {way}");
                for hz in [16_000, 48_000] {
                    let heard = transcode(&mut client, audio.clone(), format(pb::Codec::Pcm, hz)).await;
                    let heard = from_pcm(&heard.output.unwrap().pcm);
                    assert_eq!(
                        heard.len() as u32,
                        ticks / 48_000 * hz + ticks % 48_000 * hz / 48_000,
                        "{name}, {way}"
                    );
                    let like = likeness(&wanted, &loudness(hz, &heard));
                    assert!(like > 0.7, "{name}, {way}, {hz}: what is said keeps its place: {like}");
                }
            }
            // Without a length, up to the last packet's end.
            let end = end + 5 * 960;
            let open = pb::Audio { length_ticks: 0, ..aic };
            let heard = transcode(&mut client, open, format(pb::Codec::Pcm, 48_000)).await.output.unwrap();
            let samples = heard.pcm.len() as u32 / 2;
            assert!(samples <= end && samples + 5 * 960 > end, "{name}: {samples} of {end}");
        }
    }
    assert!(clips.is_empty() || pauses > 0, "no pause was left out, so none was filled");
}
