//! Hostile clients: nothing they send takes the SFU down or reaches anybody else.

use std::io::Write as _;
use std::net::UdpSocket;

use aura_testkit::tokens;
use futures_util::SinkExt as _;
use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{KEY, SECRET, Sfu, join_token};

/// A join still works.
async fn is_alive(sfu: &Sfu) {
    let (_client, join) = sfu.join("after", "survivor").await;
    assert!(join.participant.is_some());
}

#[tokio::test]
async fn frames_that_are_no_signal_request_end_the_connection() {
    let sfu = Sfu::start().await;
    for (frame, code) in [
        (Message::Binary(vec![0xff; 64].into()), 1007),
        (Message::Text("{\"nonsense\":".into()), 1007),
        (Message::Text("[1,2,3]".into()), 1007),
    ] {
        let (mut client, _) = sfu.join("hall", "eve").await;
        client.socket.send(frame).await.unwrap();
        assert_eq!(client.close_code().await, Some(code));
    }
    is_alive(&sfu).await;
}

#[tokio::test]
async fn a_message_beyond_two_mebibytes_ends_the_connection() {
    let sfu = Sfu::start().await;
    let (mut client, _) = sfu.join("hall", "eve").await;
    // The server may hang up while we are still writing; either way it is over.
    let _ = client.socket.send(Message::Binary(vec![0; 3 * 1024 * 1024].into())).await;
    assert!(matches!(client.close_code().await, Some(1009) | None));
    is_alive(&sfu).await;
}

#[tokio::test]
async fn a_flood_of_messages_ends_the_connection() {
    let sfu = Sfu::start().await;
    let (mut client, _) = sfu.join("hall", "eve").await;
    for _ in 0..3_000 {
        if client.socket.feed(Message::Binary(Vec::new().into())).await.is_err() {
            break;
        }
    }
    let _ = client.socket.flush().await;
    assert!(matches!(client.close_code().await, Some(1008) | None));
    is_alive(&sfu).await;
}

#[tokio::test]
async fn unknown_messages_and_ids_change_nothing() {
    let sfu = Sfu::start().await;
    let (mut client, _) = sfu.join("hall", "eve").await;
    // Field 1000, unknown: newer clients may speak of things we do not know.
    client.socket.send(Message::Binary(vec![0xc2, 0x3e, 0x01, 0x00].into())).await.unwrap();
    client.send(Request::Mute(proto::MuteTrackRequest { sid: "TR_other".into(), muted: true })).await;
    client
        .send(Request::TrackSetting(proto::UpdateTrackSettings {
            track_sids: vec!["TR_x".into(); 5_000],
            ..Default::default()
        }))
        .await;
    let unknown = proto::UpdateSubscription {
        track_sids: vec!["TR_none".into()],
        subscribe: true,
        ..Default::default()
    };
    client.send(Request::Subscription(unknown)).await;
    let error = client
        .until(|message| match message {
            Response::SubscriptionResponse(response) => Some(response.err),
            _ => None,
        })
        .await;
    assert_eq!(error, proto::SubscriptionError::SeTrackNotfound as i32);
    client.send(Request::PingReq(proto::Ping { timestamp: 42, rtt: 0 })).await;
    let echoed = client
        .until(|message| match message {
            Response::PongResp(pong) => Some(pong.last_ping_timestamp),
            _ => None,
        })
        .await;
    assert_eq!(echoed, 42);
}

#[tokio::test]
async fn descriptions_we_cannot_use_mean_starting_over() {
    let sfu = Sfu::start().await;
    let no_credentials =
        "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n";
    let many = format!("v=0\r\n{}", "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".repeat(600));
    for sdp in
        ["", "garbage", no_credentials, &one_payload_type_for_two_codecs(), &many, &"a=x\r\n".repeat(200_000)]
    {
        let (mut client, _) = sfu.join("hall", "eve").await;
        let offer = proto::SessionDescription {
            r#type: "offer".into(),
            sdp: sdp.to_owned(),
            id: 1,
            ..Default::default()
        };
        client.send(Request::Offer(offer)).await;
        let leave = client
            .until(|message| match message {
                Response::Leave(leave) => Some(leave),
                _ => None,
            })
            .await;
        assert_eq!(leave.action, proto::leave_request::Action::Reconnect as i32);
    }
    is_alive(&sfu).await;
}

/// Parses, and makes the WebRTC library panic: the same payload type means Opus and VP8.
fn one_payload_type_for_two_codecs() -> String {
    let transport = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\n\
        a=fingerprint:sha-256 \
        00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n";
    format!(
        "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n{transport}a=recvonly\r\na=rtcp-mux\r\n\
         a=rtpmap:111 opus/48000/2\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n{transport}a=recvonly\r\na=rtcp-mux\r\n\
         a=rtpmap:111 VP8/90000\r\n"
    )
}

#[tokio::test]
async fn a_promise_with_endless_codecs_is_refused() {
    let sfu = Sfu::start().await;
    let (mut client, _) = sfu.join("hall", "eve").await;
    let bomb = proto::AddTrackRequest {
        cid: "bomb".into(),
        simulcast_codecs: vec![proto::SimulcastCodec::default(); 100_000],
        layers: vec![proto::VideoLayer::default(); 100_000],
        ..Default::default()
    };
    client.send(Request::AddTrack(bomb)).await;
    let reason = client
        .until(|message| match message {
            Response::RequestResponse(response) => Some(response.reason),
            _ => None,
        })
        .await;
    assert_eq!(reason, proto::request_response::Reason::LimitExceeded as i32);
    is_alive(&sfu).await;
}

#[tokio::test]
async fn answers_to_offers_never_made_are_ignored() {
    let sfu = Sfu::start().await;
    let (mut client, _) = sfu.join("hall", "eve").await;
    let answer = proto::SessionDescription {
        r#type: "answer".into(),
        sdp: "garbage".into(),
        id: 999,
        ..Default::default()
    };
    client.send(Request::Answer(answer)).await;
    client.send(Request::PingReq(proto::Ping { timestamp: 1, rtt: 0 })).await;
    client.until(|message| matches!(message, Response::PongResp(_)).then_some(())).await;
}

#[tokio::test]
async fn a_client_may_promise_only_so_many_tracks() {
    let sfu = Sfu::start().await;
    let (mut client, _) = sfu.join("hall", "eve").await;
    for index in 0..30 {
        client
            .send(Request::AddTrack(proto::AddTrackRequest {
                cid: format!("track-{index}"),
                ..Default::default()
            }))
            .await;
    }
    let mut accepted = 0;
    let refusal = client
        .until(|message| match message {
            Response::TrackPublished(_) => {
                accepted += 1;
                None
            }
            Response::RequestResponse(response) => Some(response.reason),
            _ => None,
        })
        .await;
    assert_eq!((accepted, refusal), (20, proto::request_response::Reason::LimitExceeded as i32));
}

/// Bytes of memory this process holds.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_metadata_costs_the_flooder_its_connection_and_others_nothing() {
    use proto::request_response::Reason;
    let sfu = Sfu::start().await;
    let (mut bob, _) = sfu.join("hall", "bob").await;
    // They never read: what is meant for them waits in the server.
    let mut silent = Vec::new();
    for index in 0..20 {
        silent.push(sfu.connect(&join_token("hall", &format!("silent-{index}"))).await.unwrap());
    }
    let grants = json!({ "roomJoin": true, "room": "hall", "canUpdateOwnMetadata": true });
    let token = tokens::livekit(KEY, SECRET, json!({ "sub": "eve", "video": grants }));
    let mut eve = sfu.connect(&token).await.unwrap();
    let before = resident();
    for index in 0..200 {
        let update = proto::UpdateParticipantMetadata {
            metadata: "x".repeat(512 * 1024),
            request_id: index + 1,
            ..Default::default()
        };
        let request = proto::SignalRequest { message: Some(Request::UpdateMetadata(update)) };
        if eve.socket.send(Message::Binary(request.encode_to_vec().into())).await.is_err() {
            break;
        }
    }
    let mut reasons = Vec::new();
    while let Some(message) = eve.next().await {
        if let Response::RequestResponse(response) = message {
            reasons.push(response.reason);
        }
    }
    // Hanging up on a sender may cost it the last answers; it was told before.
    assert!(reasons.contains(&(Reason::LimitExceeded as i32)) || reasons.is_empty(), "{reasons:?}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 256 * 1024 * 1024, "{grown} bytes");

    bob.send(Request::PingReq(proto::Ping { timestamp: 1, rtt: 0 })).await;
    let mut large = 0;
    bob.until(|message| match message {
        Response::Update(update) => {
            large += update.participants.iter().filter(|p| p.metadata.len() > 1_000).count();
            None
        }
        Response::PongResp(_) => Some(()),
        _ => None,
    })
    .await;
    assert!(large <= 2, "{large} large updates");
    is_alive(&sfu).await;
}

/// Packets that look like each protocol of the media port, each broken in its own way.
fn hostile_datagrams() -> Vec<Vec<u8>> {
    let mut stun = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    stun.extend([7; 12]);
    let mut lying_stun = stun.clone();
    lying_stun[2..4].copy_from_slice(&0xffff_u16.to_be_bytes());
    let mut user_stun = vec![0, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42];
    user_stun.extend([9; 12]);
    user_stun.extend([0, 6, 0, 7]);
    user_stun.extend(b"abc:def\0");
    let mut rtp = vec![0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1];
    rtp.extend([0; 200]);
    let mut all = vec![
        Vec::new(),
        vec![0],
        stun,
        lying_stun,
        user_stun,
        vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        rtp,
        vec![0x9f, 0x80, 0, 1],
        vec![0x81, 200, 0xff, 0xff, 0, 0, 0, 0],
        vec![0xff; 2_047],
        vec![0x40; 9_000],
    ];
    all.extend((0..=255_u8).map(|first| vec![first; 40]));
    all
}

// The sockets of the attacker block; the server needs a thread of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_media_ports_is_dropped_unanswered() {
    let sfu = Sfu::start().await;
    let (_client, _) = sfu.join("hall", "alice").await;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    for datagram in hostile_datagrams() {
        // The kernel refuses datagrams beyond its own limits; those never reach anybody.
        let _ = socket.send_to(&datagram, sfu.udp);
    }
    for bytes in hostile_datagrams() {
        let mut stream = std::net::TcpStream::connect(sfu.tcp).unwrap();
        let len = u16::try_from(bytes.len()).unwrap();
        let _ = stream.write_all(&len.to_be_bytes());
        let _ = stream.write_all(&bytes);
    }
    is_alive(&sfu).await;
    let mut buffer = [0; 2_048];
    assert!(socket.recv(&mut buffer).is_err(), "no answer to what proves nothing");
}
