//! A session goes on at another replica: same output, sealed state, and only for whoever it belongs to.

use aura_proto::aic::v1 as pb;
use aura_proto::aic::v1::stream_closed::Reason;
use aura_proto::aic::v1::stream_request::Message as Asked;
use tonic::Code;

use crate::client::{Call, Client, Heard, format, opening, packets_of, steady};
use crate::server::Server;
use crate::sound::{from_pcm, likeness, loudness, to_pcm, voice};

/// Packets before the move.
const HALF: usize = 60;
/// More than a sender's state remembers.
const LATE: usize = 130;

/// Sends the first half and exports; answers what was heard and the state.
async fn first_half(client: &mut Client, mut call: Call, input: &[pb::Packet]) -> (Heard, pb::SessionState) {
    for packet in input {
        assert!(call.ask(Asked::Packet(packet.clone())).await);
    }
    let session_id = call.opened.session_id.clone();
    let mut exporter = client.clone();
    let export = exporter.codec.export_session(pb::ExportSessionRequest { session_id });
    let (heard, state) = tokio::join!(call.rest(), export);
    (heard.unwrap(), state.unwrap().into_inner())
}

/// Goes on where `first` ended.
async fn second_half(
    client: &mut Client,
    first: &Heard,
    state: pb::SessionState,
    input: &[pb::Packet],
) -> Heard {
    let imported = client.codec.import_session(state).await.unwrap().into_inner();
    let open = pb::StreamOpen { resume_session_id: imported.session_id.clone(), ..Default::default() };
    let call = client.open(open).await.unwrap();
    assert_eq!(call.opened.session_id, imported.session_id);
    assert_eq!(call.opened.last_taken, first.closed().last_taken);
    assert_eq!(call.opened.next_sequence as usize, first.packets.len());
    let next = first.closed().last_taken.map_or(0, |last| last as usize + 1);
    call.finish(&input[next..]).await.unwrap()
}

/// The same input without and with a move; both outputs.
async fn both(
    input: &[pb::Packet],
    half: usize,
    from: pb::Format,
    to: pb::Format,
) -> (Vec<pb::Packet>, Vec<pb::Packet>) {
    let (here, there) = (Server::start().await, Server::start().await);
    let (mut client, mut other) = (here.sfu().await, there.sfu().await);
    let whole = client.open(opening(from, to)).await.unwrap().finish(input).await.unwrap().packets;
    let call = client.open(opening(from, to)).await.unwrap();
    let (first, state) = first_half(&mut client, call, &input[..half]).await;
    assert_eq!(first.closed().reason(), Reason::Moved);
    let second = second_half(&mut other, &first, state, input).await;
    (whole, first.packets.into_iter().chain(second.packets).collect())
}

fn bits(packets: &[pb::Packet]) -> Vec<(u32, u32, i32, &[u8])> {
    packets.iter().map(|p| (p.sequence, p.rtp_timestamp, p.codec, &p.payload[..])).collect()
}

async fn coded(spoken: &[f32]) -> Vec<pb::Packet> {
    let server = Server::start().await;
    let mut client = server.sfu().await;
    let request = pb::TranscodeRequest {
        input: Some(pb::Audio {
            format: Some(format(pb::Codec::Pcm, 48_000)),
            pcm: to_pcm(spoken),
            ..Default::default()
        }),
        output: Some(format(pb::Codec::Aic, 0)),
        targets: Some(steady()),
        ..Default::default()
    };
    client.codec.transcode(request).await.unwrap().into_inner().output.unwrap().packets
}

#[tokio::test]
async fn decoding_goes_on_bit_for_bit() {
    let input = coded(&voice(48_000, 3.0, 1)).await;
    for hz in [16_000, 48_000] {
        let (whole, moved) = both(&input, HALF, format(pb::Codec::Aic, 0), format(pb::Codec::Pcm, hz)).await;
        assert_eq!(bits(&moved), bits(&whole), "{hz}");
    }
}

#[tokio::test]
async fn encoding_goes_on_bit_for_bit() {
    let input = packets_of(&to_pcm(&voice(48_000, 4.0, 2)), 48_000);
    let (whole, moved) = both(&input, LATE, format(pb::Codec::Pcm, 48_000), format(pb::Codec::Aic, 0)).await;
    assert_eq!(bits(&moved), bits(&whole));
}

#[tokio::test]
async fn transcoding_to_opus_goes_on_without_a_gap() {
    let spoken = voice(48_000, 3.0, 3);
    let input = coded(&spoken).await;
    let (whole, moved) = both(&input, HALF, format(pb::Codec::Aic, 0), format(pb::Codec::Opus, 0)).await;
    let numbers = |packets: &[pb::Packet]| -> Vec<_> {
        packets.iter().map(|packet| (packet.sequence, packet.rtp_timestamp)).collect()
    };
    assert_eq!(numbers(&moved), numbers(&whole));
    let server = Server::start().await;
    let mut client = server.sfu().await;
    let call =
        client.open(opening(format(pb::Codec::Opus, 0), format(pb::Codec::Pcm, 16_000))).await.unwrap();
    let heard = call.finish(&moved).await.unwrap();
    let pcm: Vec<f32> = heard.packets.iter().flat_map(|packet| from_pcm(&packet.payload)).collect();
    let like = likeness(&loudness(48_000, &spoken), &loudness(16_000, &pcm));
    assert!(like > 0.7, "likeness {like}");
}

#[tokio::test]
async fn a_state_is_taken_once_by_its_owner_and_unchanged() {
    let (here, there) = (Server::start().await, Server::start().await);
    let (mut client, mut other) = (here.sfu().await, there.sfu().await);
    let input = packets_of(&to_pcm(&voice(16_000, 2.0, 4)), 16_000);
    let open = || opening(format(pb::Codec::Pcm, 16_000), format(pb::Codec::Opus, 0));

    let call = client.open(open()).await.unwrap();
    let session_id = call.opened.session_id.clone();
    // Nobody else can take it away, nor learn that it is there.
    let mut dashboard = here.dashboard().await;
    let stolen = dashboard.codec.export_session(pb::ExportSessionRequest { session_id }).await;
    assert_eq!(stolen.unwrap_err().code(), Code::NotFound);
    let (_, state) = first_half(&mut client, call, &input[..HALF]).await;

    let mut bent = state.clone();
    let mut bytes = bent.state.to_vec();
    bytes[100] ^= 1;
    bent.state = bytes.into();
    let cut = pb::SessionState { state: state.state.slice(..state.state.len() / 2), ..state.clone() };
    let empty = pb::SessionState { state: Vec::new().into(), ..state.clone() };
    let huge = pb::SessionState { state: vec![1; 2 << 20].into(), ..state.clone() };
    let renamed = pb::SessionState { session_id: uuid::Uuid::now_v7().to_string(), ..state.clone() };
    for (name, state) in
        [("bent", bent), ("cut", cut), ("empty", empty), ("huge", huge), ("renamed", renamed)]
    {
        let error = other.codec.import_session(state).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{name}: {error}");
    }
    let foreign = pb::SessionState { model: "another".to_owned(), ..state.clone() };
    assert_eq!(other.codec.import_session(foreign).await.unwrap_err().code(), Code::FailedPrecondition);
    let mut stranger = there.dashboard().await;
    let error = stranger.codec.import_session(state.clone()).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied, "{error}");

    let imported = other.codec.import_session(state.clone()).await.unwrap().into_inner();
    assert_eq!(other.codec.import_session(state).await.unwrap_err().code(), Code::AlreadyExists);
    let resume = pb::StreamOpen { resume_session_id: imported.session_id, ..Default::default() };
    assert_eq!(stranger.open(resume.clone()).await.map(drop).unwrap_err().code(), Code::NotFound);
    other.open(resume.clone()).await.unwrap().finish(&[]).await.unwrap();
    assert_eq!(other.open(resume).await.map(drop).unwrap_err().code(), Code::NotFound, "once");
}

#[tokio::test]
async fn a_replica_with_another_secret_believes_nothing() {
    let here = Server::start().await;
    let secret = "fedcba9876543210fedcba9876543210";
    let there = Server::with(&[("AURALINK_SERVICE_SECRET", secret)]).await;
    let mut client = here.sfu().await;
    let input = packets_of(&to_pcm(&voice(16_000, 2.0, 5)), 16_000);
    let open = opening(format(pb::Codec::Pcm, 16_000), format(pb::Codec::Opus, 0));
    let call = client.open(open).await.unwrap();
    let (_, state) = first_half(&mut client, call, &input[..HALF]).await;
    let token = aura_testkit::tokens::service(secret, "webrtc-sfu", 120);
    let mut other = Client::with_token(there.addresses.grpc, Some(&token)).await;
    let error = other.codec.import_session(state).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("seal"), "{error}");
}
