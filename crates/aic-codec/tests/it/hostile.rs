//! Oversized, malformed and hostile input on every operation: the documented error, and the service goes on.

use aura_proto::aic::v1 as pb;
use aura_proto::aic::v1::stream_request::Message as Asked;
use aura_proto::aic::v1::stream_response::Message as Answer;
use tonic::{Code, Status};

use crate::client::{Client, format, numbered, opening, packets_of, steady};
use crate::server::Server;
use crate::sound::{Noise, random_bytes, to_pcm, voice};

fn pcm(bytes: usize) -> pb::Audio {
    pb::Audio {
        format: Some(format(pb::Codec::Pcm, 16_000)),
        pcm: vec![0; bytes].into(),
        ..Default::default()
    }
}

fn packets(codec: pb::Codec, payloads: Vec<Vec<u8>>) -> pb::Audio {
    pb::Audio { format: Some(format(codec, 0)), packets: numbered(payloads), ..Default::default() }
}

/// The code, and the field the message begins with.
fn fault(status: &Status) -> (Code, String) {
    (status.code(), status.message().split(':').next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn unary_calls_name_what_is_wrong() {
    let server = Server::with(&[("AURA_AIC__LIMITS__UNARY_MS", "2000")]).await;
    let mut client = server.dashboard().await;
    let aic = format(pb::Codec::Aic, 0);
    let good = pb::TranscodeRequest {
        input: Some(pcm(640)),
        output: Some(aic),
        targets: Some(steady()),
        ..Default::default()
    };
    let with_target = |targets: pb::Targets| pb::TranscodeRequest { targets: Some(targets), ..good.clone() };
    let with_input = |input: pb::Audio| pb::TranscodeRequest { input: Some(input), ..good.clone() };
    let with_output = |output: pb::Format| pb::TranscodeRequest { output: Some(output), ..good.clone() };
    let invalid = Code::InvalidArgument;
    let cases = [
        (pb::TranscodeRequest { input: None, ..good.clone() }, invalid, "input"),
        (pb::TranscodeRequest { output: None, ..good.clone() }, invalid, "output.codec"),
        (pb::TranscodeRequest { user_id: "me".into(), ..good.clone() }, invalid, "user_id"),
        (pb::TranscodeRequest { model: "x".repeat(65), ..good.clone() }, invalid, "model"),
        (with_input(pcm(0)), invalid, "input.pcm"),
        (with_input(pcm(641)), invalid, "input.pcm"),
        (with_input(pcm(64_002)), Code::ResourceExhausted, "input"),
        (with_input(pb::Audio { packets: numbered([vec![1]]), ..pcm(640) }), invalid, "input.packets"),
        (with_input(packets(pb::Codec::Aic, vec![])), invalid, "input.packets"),
        (with_input(packets(pb::Codec::Aic, vec![vec![0x80]; 101])), Code::ResourceExhausted, "input"),
        (with_input(packets(pb::Codec::Aic, vec![vec![]])), invalid, "input.packets[0]"),
        (with_input(packets(pb::Codec::Aic, vec![vec![0xff; 16]])), invalid, "input.packets[0]"),
        (with_input(packets(pb::Codec::Aic, vec![vec![0x80; 4_000]])), invalid, "input.packets[0]"),
        (with_input(packets(pb::Codec::Opus, vec![vec![0xff; 3]])), invalid, "input.packets[0]"),
        (with_input(packets(pb::Codec::Opus, vec![vec![]])), invalid, "input.packets[0]"),
        (with_input(packets(pb::Codec::Opus, vec![vec![8; 5_000]])), invalid, "input.packets[0]"),
        (with_output(format(pb::Codec::Pcm, 44_100)), invalid, "output.sample_rate_hz"),
        (with_output(pb::Format { codec: 99, ..aic }), invalid, "output.codec"),
        (with_output(pb::Format { bitrate_bps: 7, ..aic }), invalid, "output.bitrate_bps"),
        (with_output(pb::Format { packet_ms: 25, ..aic }), invalid, "output.packet_ms"),
        (with_target(pb::Targets { mode: 9, ..steady() }), invalid, "targets.mode"),
        (with_target(pb::Targets { max_latency_ms: 1_001, ..steady() }), invalid, "targets.max_latency_ms"),
        (
            with_target(pb::Targets { min_quality_score: f64::NAN, ..steady() }),
            invalid,
            "targets.min_quality_score",
        ),
        (
            with_target(pb::Targets { target_compression_ratio: 1.5, ..steady() }),
            invalid,
            "targets.target_compression_ratio",
        ),
    ];
    for (request, code, field) in cases {
        let text = format!("{:?}", request.output);
        let status = client.codec.transcode(request).await.unwrap_err();
        assert_eq!(fault(&status), (code, field.to_owned()), "{text}: {status}");
    }
    // Larger than any message may be.
    let status = client.codec.transcode(with_input(pcm(5 << 20))).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    client.codec.transcode(good).await.expect("and it still works");
}

async fn refused(client: &mut Client, messages: Vec<Asked>) -> (Code, String) {
    let mut call = client.connect().await.unwrap();
    for message in messages {
        call.ask(message).await;
    }
    loop {
        match call.answer().await {
            Ok(Some(Answer::Opened(_))) => {}
            Ok(other) => panic!("not refused: {other:?}"),
            Err(status) => return fault(&status),
        }
    }
}

#[tokio::test]
async fn streams_name_what_is_wrong_with_their_messages() {
    let server = Server::start().await;
    let mut client = server.sfu().await;
    let good = || opening(format(pb::Codec::Pcm, 16_000), format(pb::Codec::Aic, 0));
    let open = |change: &dyn Fn(&mut pb::StreamOpen)| {
        let mut open = good();
        change(&mut open);
        Asked::Open(open)
    };
    let control = |control: pb::StreamControl| Asked::Control(control);
    let cases = [
        (vec![Asked::Packet(pb::Packet::default())], "open"),
        (vec![control(pb::StreamControl::default())], "open"),
        (vec![open(&|_| {}), open(&|_| {})], "open"),
        (vec![open(&|open| open.room = "x".repeat(257))], "open.room"),
        (vec![open(&|open| open.track = "\0".into())], "open.track"),
        (vec![open(&|open| open.direction = 7)], "open.direction"),
        (vec![open(&|open| open.user_id = "00000000-0000-0000-0000-000000000000".into())], "user_id"),
        (vec![open(&|open| open.input = None)], "input.codec"),
        (vec![open(&|open| open.resume_session_id = "x".into())], "open.resume_session_id"),
        (
            vec![open(&|_| {}), control(pb::StreamControl { loss: Some(f64::NAN), ..Default::default() })],
            "control.loss",
        ),
        (
            vec![
                open(&|_| {}),
                control(pb::StreamControl {
                    targets: Some(pb::Targets { max_latency_ms: 9_999, ..Default::default() }),
                    ..Default::default()
                }),
            ],
            "targets.max_latency_ms",
        ),
    ];
    for (messages, field) in cases {
        let told = refused(&mut client, messages).await;
        assert_eq!(told, (Code::InvalidArgument, field.to_owned()));
    }
    let unknown = uuid::Uuid::now_v7().to_string();
    let told = refused(&mut client, vec![open(&|open| open.resume_session_id = unknown.clone())]).await;
    assert_eq!(told.0, Code::NotFound);
    let export = client.codec.export_session(pb::ExportSessionRequest { session_id: "x".into() }).await;
    assert_eq!(export.unwrap_err().code(), Code::InvalidArgument);
    let export = client.codec.export_session(pb::ExportSessionRequest { session_id: unknown }).await;
    assert_eq!(export.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn malformed_packets_are_refused_one_by_one_and_the_stream_goes_on() {
    let server = Server::start().await;
    let mut client = server.sfu().await;
    let mut noise = Noise::new(7);
    for codec in [pb::Codec::Aic, pb::Codec::Opus] {
        let mut sent = numbered((0..300).map(|index| random_bytes(&mut noise, index % 180)));
        for packet in &mut sent {
            // Wild numbers too, but most in order.
            match noise.bits() % 10 {
                0 => packet.sequence = noise.bits() as u32,
                1 => packet.rtp_timestamp = noise.bits() as u32,
                2 => packet.codec = (noise.bits() % 7) as i32 - 1,
                _ => {}
            }
        }
        let call = client.open(opening(format(codec, 0), format(pb::Codec::Pcm, 16_000))).await.unwrap();
        let heard = call.finish(&sent).await.unwrap();
        assert!(!heard.refused.is_empty(), "{codec:?}");
        assert!(heard.packets.len() < 300 * 30, "{codec:?}: bounded, whatever the numbers say");
        assert_eq!(heard.closed().reason(), pb::stream_closed::Reason::Ended, "{codec:?}");
        assert!(heard.packets.iter().all(|packet| packet.payload.len() == 640), "{codec:?}");
    }
    let call = client.open(opening(format(pb::Codec::Pcm, 16_000), format(pb::Codec::Aic, 0))).await.unwrap();
    let mut sent = packets_of(&to_pcm(&voice(16_000, 0.4, 1)), 16_000);
    sent[3].payload = vec![0; 641].into();
    sent[5].payload = vec![0; 5_000].into();
    sent[7].payload = Vec::new().into();
    sent[9].sequence = 70_000;
    sent[11].codec = pb::Codec::Opus.into();
    sent[13] = sent[2].clone();
    let heard = call.finish(&sent).await.unwrap();
    let refused: Vec<_> = heard.refused.iter().map(|refused| refused.sequence).collect();
    assert_eq!(refused, [3, 5, 7, 70_000, 11, 2]);
    assert_eq!(heard.closed().last_taken, Some(19));
}
