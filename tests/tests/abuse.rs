//! What strangers, broken clients and liars send. Each gets the documented answer; the call beside it goes on.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use aura_types::{Clock, SystemClock};
use auralink_tests::{Outcome, PythonParticipant, Sfu, SfuOptions, fixture, token};
use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use livekit_protocol as proto;
use prost::Message as _;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

const LIMIT: Duration = Duration::from_secs(10);

fn claims(sfu: &Sfu, changes: Value) -> Value {
    let now = SystemClock.now().unix_timestamp();
    let mut claims = json!({
        "iss": sfu.key,
        "sub": "mallory",
        "nbf": now - 10,
        "exp": now + 600,
        "video": { "roomJoin": true, "room": "abuse" },
    });
    if let (Some(claims), Some(changes)) = (claims.as_object_mut(), changes.as_object()) {
        claims.extend(changes.clone());
    }
    claims
}

fn signed(secret: &str, algorithm: Algorithm, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("claims are JSON")
}

/// `alg: none`, which no library still makes.
fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    format!("{}.{}.", part(&json!({ "alg": "none", "typ": "JWT" })), part(claims))
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            out.push(char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    out
}

/// Every token that must not open a room, with its name.
fn bad_tokens(sfu: &Sfu) -> Vec<(&'static str, String)> {
    let now = SystemClock.now().unix_timestamp();
    let with = |changes| signed(&sfu.secret, Algorithm::HS256, &claims(sfu, changes));
    vec![
        ("empty", String::new()),
        ("not a token", "not.a.token".to_owned()),
        ("expired", with(json!({ "nbf": now - 7200, "exp": now - 3600 }))),
        ("not yet valid", with(json!({ "nbf": now + 3600, "exp": now + 7200 }))),
        ("without expiry", with(json!({ "exp": null }))),
        (
            "forged",
            signed("another-secret-another-secret-another", Algorithm::HS256, &claims(sfu, json!({}))),
        ),
        ("unknown key", with(json!({ "iss": "APIunknown" }))),
        ("without key", with(json!({ "iss": null }))),
        ("another algorithm", signed(&sfu.secret, Algorithm::HS512, &claims(sfu, json!({})))),
        ("alg none", unsigned(&claims(sfu, json!({})))),
        ("without the right to join", with(json!({ "video": { "room": "abuse" } }))),
        ("no grants", with(json!({ "video": null }))),
    ]
}

#[tokio::test]
async fn bad_tokens_open_nothing() -> Outcome {
    let mut sfu = Sfu::start(SfuOptions::default()).await?;
    let client = Client::new();
    for (name, token) in bad_tokens(&sfu) {
        for path in ["/rtc", "/rtc/v1"] {
            let query = format!("access_token={token}&protocol=17&sdk=js&version=2.23.0");
            let validate = client
                .get(format!("{}{path}/validate?{query}", sfu.http_url()))
                .header("Origin", "https://elsewhere.example")
                .send()
                .await?;
            assert_eq!(validate.status(), StatusCode::UNAUTHORIZED, "{name} on {path}/validate");
            // Without this header a browser cannot tell the user why.
            let origin = validate.headers().get("access-control-allow-origin").cloned();
            assert_eq!(
                origin.as_ref().and_then(|origin| origin.to_str().ok()),
                Some("https://elsewhere.example")
            );

            match connect_async(format!("{}{path}?{query}", sfu.url)).await {
                Err(Error::Http(refused)) => {
                    assert_eq!(refused.status().as_u16(), 401, "{name} on {path}");
                }
                other => panic!("{name} on {path}: {:?}", other.map(|_| "let in")),
            }
        }
        let url = format!("{}/twirp/livekit.RoomService/ListRooms", sfu.http_url());
        let reply = client.post(url).bearer_auth(&token).json(&json!({})).send().await?;
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{name} on the server API");
    }
    assert!(sfu.is_alive());
    Ok(())
}

#[tokio::test]
async fn a_token_for_one_room_does_nothing_in_another() -> Outcome {
    let sfu = Sfu::start(SfuOptions::default()).await?;
    let client = Client::new();
    let here = token::sign(&sfu.key, &sfu.secret, "admin", json!({ "roomAdmin": true, "room": "here" }));
    let joiner = sfu.join_token("alice", "there");
    for (token, who) in [(&here, "another room's administrator"), (&joiner, "a participant")] {
        for (method, body) in [
            ("ListParticipants", json!({ "room": "there" })),
            ("GetParticipant", json!({ "room": "there", "identity": "x" })),
            ("RemoveParticipant", json!({ "room": "there", "identity": "x" })),
            (
                "MutePublishedTrack",
                json!({ "room": "there", "identity": "x", "track_sid": "TR_x", "muted": true }),
            ),
            ("UpdateParticipant", json!({ "room": "there", "identity": "x", "metadata": "y" })),
            ("UpdateRoomMetadata", json!({ "room": "there", "metadata": "y" })),
            ("SendData", json!({ "room": "there", "data": "aGk=" })),
            ("DeleteRoom", json!({ "room": "there" })),
            ("CreateRoom", json!({ "name": "there" })),
            ("ListRooms", json!({})),
        ] {
            let url = format!("{}/twirp/livekit.RoomService/{method}", sfu.http_url());
            let reply = client.post(url).bearer_auth(token).json(&body).send().await?;
            assert_eq!(reply.status(), StatusCode::UNAUTHORIZED, "{who}: {method}");
            let error: Value = reply.json().await?;
            assert_eq!(error["code"], "unauthenticated", "{who}: {method}: {error}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_server_api_answers_nonsense_with_errors() -> Outcome {
    let mut sfu = Sfu::start(SfuOptions::default()).await?;
    let client = Client::new();
    let token = sfu.admin_token("abuse");
    let post = |method: &str, kind: &str, body: Vec<u8>| {
        client
            .post(format!("{}/twirp/livekit.RoomService/{method}", sfu.http_url()))
            .bearer_auth(&token)
            .header("content-type", kind.to_owned())
            .body(body)
            .send()
    };
    for (name, reply, expected) in [
        ("broken JSON", post("CreateRoom", "application/json", b"{\"name\":".to_vec()).await?, 400),
        ("wrong type", post("CreateRoom", "application/json", b"{\"name\":[1]}".to_vec()).await?, 400),
        ("broken protobuf", post("CreateRoom", "application/protobuf", vec![0xff; 40]).await?, 400),
        ("unknown method", post("NoSuchMethod", "application/json", b"{}".to_vec()).await?, 404),
        ("no name", post("CreateRoom", "application/json", b"{}".to_vec()).await?, 400),
    ] {
        assert_eq!(reply.status().as_u16(), expected, "{name}");
        let error: Value = reply.json().await?;
        assert!(error["code"].is_string() && error["msg"].is_string(), "{name}: {error}");
    }
    let huge = post("CreateRoom", "application/json", vec![b' '; 11 << 20]).await;
    // Refused while it is being sent: the answer may be cut off with the connection.
    assert!(huge.map_or(true, |reply| reply.status().is_client_error()), "11 MiB were taken");
    assert!(sfu.is_alive());
    Ok(())
}

/// Two participants whose call must survive what the test does beside it.
struct Bystanders {
    alice: PythonParticipant,
    bob: PythonParticipant,
}

impl Bystanders {
    async fn meet(sfu: &Sfu) -> anyhow::Result<Self> {
        let tokens = ["alice", "bob"].map(|who| sfu.join_token(who, "abuse"));
        let (alice, bob) = tokio::try_join!(
            PythonParticipant::join(&sfu.url, &tokens[0], true),
            PythonParticipant::join(&sfu.url, &tokens[1], false),
        )?;
        tokio::try_join!(alice.publish(), bob.publish())?;
        let meeting = Self { alice, bob };
        meeting.are_undisturbed().await?;
        Ok(meeting)
    }

    /// New pictures and sound arrive on both sides, over the connections they have had from the start.
    async fn are_undisturbed(&self) -> anyhow::Result<()> {
        tokio::join!(self.alice.sees_and_hears([&self.bob]), self.bob.sees_and_hears([&self.alice]));
        for (name, person) in [("alice", &self.alice), ("bob", &self.bob)] {
            let events = person.call("seen", json!({})).await?;
            let broken = auralink_tests::entries(&events)
                .find(|event| event["name"] == "reconnecting" || event["name"] == "disconnected");
            assert_eq!(broken, None, "{name}: {events}");
        }
        Ok(())
    }
}

async fn open(sfu: &Sfu, identity: &str) -> anyhow::Result<Socket> {
    let token = sfu.join_token(identity, "abuse");
    let url =
        format!("{}/rtc?access_token={token}&protocol=17&sdk=js&version=2.23.0&auto_subscribe=1", sfu.url);
    let (mut socket, _) = connect_async(url).await?;
    // The join response: the session exists.
    let first = timeout(LIMIT, socket.next()).await?;
    anyhow::ensure!(matches!(first, Some(Ok(Message::Binary(_)))), "no join response: {first:?}");
    Ok(socket)
}

fn request(message: proto::signal_request::Message) -> Message {
    Message::Binary(proto::SignalRequest { message: Some(message) }.encode_to_vec().into())
}

fn offer(sdp: &str, id: u32) -> Message {
    let sdp = sdp.to_owned();
    request(proto::signal_request::Message::Offer(proto::SessionDescription {
        r#type: "offer".to_owned(),
        sdp,
        id,
        ..Default::default()
    }))
}

/// Deterministic noise: a failure repeats.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}

#[tokio::test]
async fn malformed_signalling_hurts_nobody_else() -> Outcome {
    let _turn = fixture::turn().await;
    let mut sfu = Sfu::start(SfuOptions::default()).await?;
    let bystanders = Bystanders::meet(&sfu).await?;

    let long_line = format!("v=0\r\na={}\r\n", "x".repeat(60_000));
    let many_sections = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n".repeat(5_000);
    let trickle = |candidate: &str| {
        request(proto::signal_request::Message::Trickle(proto::TrickleRequest {
            candidate_init: candidate.to_owned(),
            ..Default::default()
        }))
    };
    let add_track = |name: String, cid: String| {
        request(proto::signal_request::Message::AddTrack(proto::AddTrackRequest {
            cid,
            name,
            ..Default::default()
        }))
    };
    let cases: Vec<(&str, Vec<Message>)> = vec![
        ("noise", (0..50).map(|seed| Message::Binary(noise(seed, 200).into())).collect()),
        ("empty frame", vec![Message::Binary(Vec::new().into())]),
        ("text that is no JSON", vec![Message::Text("hello".into())]),
        ("JSON that is no request", vec![Message::Text("{\"offer\": 7}".into())]),
        ("empty offer", vec![offer("", 1)]),
        ("offer of nonsense", vec![offer("v=0\r\nthis is no SDP\r\n", 1)]),
        ("offer with one long line", vec![offer(&long_line, 1)]),
        ("offer with 5,000 sections", vec![offer(&format!("v=0\r\n{many_sections}"), 1)]),
        (
            "answer to nothing",
            vec![request(proto::signal_request::Message::Answer(proto::SessionDescription {
                r#type: "answer".to_owned(),
                sdp: "v=0".to_owned(),
                ..Default::default()
            }))],
        ),
        ("trickle that is no JSON", vec![trickle("nonsense")]),
        ("trickle of nonsense", vec![trickle("{\"candidate\":\"candidate:x\",\"sdpMid\":7}")]),
        ("track with huge names", vec![add_track("n".repeat(100_000), "c".repeat(100_000))]),
        ("200 tracks", (0..200).map(|n| add_track("n".to_owned(), format!("c{n}"))).collect()),
        (
            "subscription to what is not there",
            vec![request(proto::signal_request::Message::Subscription(proto::UpdateSubscription {
                track_sids: vec!["TR_nothing".to_owned(); 1000],
                subscribe: true,
                ..Default::default()
            }))],
        ),
    ];
    for (name, messages) in cases {
        let mut socket = open(&sfu, "mallory").await?;
        for message in messages {
            // The server may have hung up by now, which is an answer.
            if socket.send(message).await.is_err() {
                break;
            }
        }
        // It still reads: a ping is answered, or the session was closed.
        let _ = socket.send(request(proto::signal_request::Message::Ping(1))).await;
        let answered = timeout(LIMIT, async {
            while let Some(Ok(message)) = socket.next().await {
                let Message::Binary(bytes) = message else { continue };
                let response =
                    proto::SignalResponse::decode(bytes.as_ref()).ok().and_then(|reply| reply.message);
                if let Some(
                    proto::signal_response::Message::Pong(_) | proto::signal_response::Message::Leave(_),
                ) = response
                {
                    break;
                }
            }
        })
        .await;
        assert!(answered.is_ok(), "{name}: neither answered nor closed");
        assert!(sfu.is_alive(), "{name}");
    }

    let mut socket = open(&sfu, "mallory").await?;
    let sent = socket.send(Message::Binary(vec![0; 3 << 20].into())).await;
    let closed = timeout(LIMIT, async { while let Some(Ok(_)) = socket.next().await {} }).await;
    assert!(sent.is_err() || closed.is_ok(), "a frame of 3 MiB was taken");

    bystanders.are_undisturbed().await?;
    Ok(())
}

#[tokio::test]
async fn malformed_media_hurts_nobody() -> Outcome {
    let _turn = fixture::turn().await;
    let mut sfu = Sfu::start(SfuOptions::default()).await?;
    if sfu.udp_port == 0 {
        return Ok(());
    }
    let bystanders = Bystanders::meet(&sfu).await?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let stun = |length: u16, attributes: &[u8]| {
        let mut packet = vec![0x00, 0x01];
        packet.extend(length.to_be_bytes());
        packet.extend([0x21, 0x12, 0xa4, 0x42]);
        packet.extend([7; 12]);
        packet.extend(attributes);
        packet
    };
    let mut packets = vec![
        Vec::new(),
        vec![0],
        vec![0x80],
        stun(0, &[]),
        stun(65_535, &[]),
        stun(8, &[0x00, 0x06, 0xff, 0xff, b'a', b':', b'b', 0]),
        stun(12, &[0x00, 0x06, 0x00, 0x07, b'n', b'o', b':', b'n', b'o', b'n', b'e', 0]),
        // DTLS: an alert that would close a session, and a record that claims more than it holds.
        vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 0],
        vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1],
        // RTP: CSRCs and extensions that are not there, padding longer than the packet; RTCP of length 65,535.
        vec![0x8f, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
        vec![0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xbe, 0xde, 0xff, 0xff],
        vec![0xa0, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xff],
        vec![0x81, 200, 0xff, 0xff, 0, 0, 0, 1],
        vec![0x81, 205, 0, 1, 0, 0, 0, 1],
    ];
    for first in [0_u8, 1, 2, 20, 21, 22, 23, 63, 64, 127, 128, 144, 191, 192, 255] {
        for length in [12, 20, 60, 300, 1400] {
            let mut packet = noise(u32::from(first) * 7 + length as u32, length);
            packet[0] = first;
            packets.push(packet);
        }
    }
    for port in [sfu.udp_port, sfu.udp_port + 1] {
        for packet in packets.iter().cycle().take(2_000) {
            // The second port may have no shard.
            let _ = socket.send_to(packet, (Ipv4Addr::LOCALHOST, port));
        }
    }
    bystanders.are_undisturbed().await?;
    assert!(sfu.is_alive());
    Ok(())
}
