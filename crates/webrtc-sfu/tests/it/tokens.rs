//! Access tokens as LiveKit's SDKs sign them, what becomes of them, and JSON as they write it.

use aura_testkit::tokens;
use base64::Engine as _;
use livekit_protocol as proto;
use proto::request_response::Reason;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Client, KEY, SECRET, Sfu, api_token, join_token, request_response};

fn token(claims: Value) -> String {
    tokens::livekit(KEY, SECRET, claims)
}

/// What a token says, unverified.
pub(crate) fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice(&json).unwrap()
}

pub(crate) async fn refreshed(client: &mut Client) -> String {
    client
        .until(|message| match message {
            Response::RefreshToken(token) => Some(token),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn claims_are_read_as_livekit_reads_them() {
    let sfu = Sfu::start().await;
    let now = tokens::now_s();
    let claims = json!({
        "iss": KEY, "sub": "helper", "exp": now as f64 + 3_600.5, "nbf": now as f64 - 0.25, "kind": "Agent",
        "kindDetails": ["forwarded", "CLOUD_AGENT", "hologram"], "name": null, "metadata": null, "attributes": null,
        "roomConfig": {"maxParticipants": 7.0, "metadata": null},
        "video": {"roomJoin": true, "room": "hall", "canPublish": null, "canPublishSources": null},
    });
    let mut client = sfu.connect(&tokens::signed(SECRET, &claims)).await.unwrap();
    let Some(Response::Join(join)) = client.next().await else { panic!("joined") };
    let me = join.participant.unwrap();
    assert_eq!(me.kind(), proto::participant_info::Kind::Agent);
    let details: Vec<_> = me.kind_details().map(|detail| detail.as_str_name()).collect();
    assert_eq!(details, ["FORWARDED", "CLOUD_AGENT"]);
    assert!(me.permission.unwrap().can_publish);
    assert_eq!(join.room.unwrap().max_participants, 7);
    let admin = api_token(json!({ "roomAdmin": true, "room": "hall" }));
    let (_, told) =
        sfu.twirp("GetParticipant", &admin, json!({ "room": "hall", "identity": "helper" })).await;
    assert_eq!(
        (&told["kind"], &told["kind_details"]),
        (&json!("AGENT"), &json!(["FORWARDED", "CLOUD_AGENT"]))
    );
}

#[tokio::test]
async fn limits_that_cannot_be_read_let_nobody_in() {
    let sfu = Sfu::start().await;
    let video = json!({"roomJoin": true, "room": "hall"});
    for config in [json!({"maxParticipants": "many"}), json!({"maxParticipants": 1.5}), json!([1])] {
        let token = token(json!({"sub": "eve", "video": video, "roomConfig": config}));
        let reply = reqwest::get(sfu.url(&format!("/rtc/validate?access_token={token}"))).await.unwrap();
        let (status, text) = (reply.status().as_u16(), reply.text().await.unwrap());
        assert_eq!((status, text.as_str()), (401, "invalid authorization token"), "{config}");
    }
}

#[tokio::test]
async fn the_tokens_room_configuration_makes_the_room() {
    let sfu = Sfu::start().await;
    let config = json!({
        "maxParticipants": 1, "emptyTimeout": 11, "departureTimeout": 12, "metadata": "from the token", "unknown": true,
    });
    let join = |identity: &str, config: Value| {
        token(json!({"sub": identity, "video": {"roomJoin": true, "room": "hall"}, "roomConfig": config}))
    };
    let mut alice = sfu.connect(&join("alice", config)).await.unwrap();
    let Some(Response::Join(joined)) = alice.next().await else { panic!("joined") };
    let room = joined.room.unwrap();
    assert_eq!((room.max_participants, room.empty_timeout, room.departure_timeout), (1, 11, 12));
    assert_eq!(room.metadata, "from the token");
    // A room that is there stays as it is.
    let mut bob = sfu.connect(&join("bob", json!({"maxParticipants": 9}))).await.unwrap();
    let Some(Response::Leave(leave)) = bob.next().await else { panic!("refused") };
    assert_eq!(leave.reason(), proto::DisconnectReason::JoinFailure);
}

#[tokio::test]
async fn a_renewed_token_says_the_same_for_as_long() {
    let sfu = Sfu::start().await;
    let now = tokens::now_s();
    for (left_s, renewed_s) in [(60, 600), (86_400, 86_400)] {
        let original = json!({
            "iss": KEY, "sub": "alice", "nbf": now, "exp": now + left_s, "name": "Alice", "metadata": "m",
            "attributes": {"role": "host"}, "kind": "sip", "kindDetails": ["connector_twilio"], "roomPreset": "big",
            "roomConfig": {"maxParticipants": 5}, "sip": {"call": true}, "sha256": "of a body",
            "video": {"roomJoin": true, "room": "hall", "roomAdmin": true, "canPublishSources": ["microphone"]},
        });
        let mut alice = sfu.connect(&tokens::signed(SECRET, &original)).await.unwrap();
        let renewed = claims_of(&refreshed(&mut alice).await);
        let exp = renewed["exp"].as_i64().unwrap();
        assert!((now + renewed_s..now + renewed_s + 30).contains(&exp), "{left_s}: {}", exp - now);
        for same in [
            "sub",
            "name",
            "metadata",
            "attributes",
            "kind",
            "kindDetails",
            "roomPreset",
            "roomConfig",
            "sip",
        ] {
            assert_eq!(renewed[same], original[same], "{same}");
        }
        assert_eq!(renewed["sha256"], json!(null));
        for same in ["roomJoin", "room", "roomAdmin", "canPublishSources"] {
            assert_eq!(renewed["video"][same], original["video"][same], "{same}");
        }
        assert!(
            reqwest::get(
                sfu.url(&format!("/rtc/validate?access_token={}", tokens::signed(SECRET, &renewed)))
            )
            .await
            .unwrap()
            .status()
            .is_success()
        );
    }
}

#[tokio::test]
async fn sources_nobody_knows_allow_nothing() {
    let sfu = Sfu::start().await;
    for (sources, allowed) in
        [(json!(["Kamera"]), [false; 3]), (json!(["CAMERA", "hologram"]), [false, true, false])]
    {
        let video = json!({"roomJoin": true, "room": "hall", "canPublishSources": sources});
        let mut eve = sfu.connect(&token(json!({"sub": "eve", "video": video}))).await.unwrap();
        // What it may is what its renewed token says, too.
        let renewed = refreshed(&mut eve).await;
        let mut again = sfu.connect(&renewed).await.unwrap();
        use proto::TrackSource::{Camera, Microphone, Unknown};
        for (source, allowed) in [Unknown, Camera, Microphone].into_iter().zip(allowed) {
            let cid = source.as_str_name().to_owned();
            let add = proto::AddTrackRequest { cid, source: source as i32, ..Default::default() };
            again.send(Request::AddTrack(add)).await;
            let published = again
                .until(|message| match message {
                    Response::TrackPublished(_) => Some(true),
                    Response::RequestResponse(response) => {
                        assert_eq!(response.reason(), Reason::NotAllowed);
                        Some(false)
                    }
                    _ => None,
                })
                .await;
            assert_eq!(published, allowed, "{sources} {source:?}");
        }
    }
}

/// The longest metadata of `unit` repeated that an update takes, to a few: every change that is taken is announced, and
/// one may announce only so much.
async fn longest_metadata(client: &mut Client, unit: &str) -> String {
    let (mut fits, mut fails) = (0, 600_000);
    let mut request_id = 0;
    while fails - fits > 8 {
        let count = usize::midpoint(fits, fails);
        request_id += 1;
        let metadata = unit.repeat(count);
        let update = proto::UpdateParticipantMetadata { metadata, request_id, ..Default::default() };
        client.send(Request::UpdateMetadata(update)).await;
        let answer = request_response(client).await;
        assert_eq!(answer.request_id, request_id);
        match answer.reason() {
            Reason::Ok => fits = count,
            Reason::LimitExceeded => {
                assert_eq!(answer.message, "exceeds metadata size limit");
                fails = count;
            }
            other => panic!("{other:?}"),
        }
    }
    unit.repeat(fits)
}

#[tokio::test]
async fn whoever_has_the_longest_metadata_can_come_again() {
    let sfu = Sfu::start().await;
    let claims = json!({
        "sub": "alice", "name": "\"".repeat(256), "attributes": {"a": "\u{1}".repeat(500)},
        "roomConfig": {"metadata": "r".repeat(2_000)},
        "video": {"roomJoin": true, "room": "hall", "canUpdateOwnMetadata": true},
    });
    for (who, unit) in ["x", "\"", "\u{1}", "\u{20ac}"].into_iter().enumerate() {
        // Each another, with an allowance of changes of its own.
        let mut claims = claims.clone();
        claims["sub"] = json!(format!("alice-{who}"));
        let mut alice = sfu.connect(&token(claims.clone())).await.unwrap();
        let Some(Response::Join(join)) = alice.next().await else { panic!("joined") };
        let sid = join.participant.unwrap().sid;
        let metadata = longest_metadata(&mut alice, unit).await;
        if unit == "x" {
            assert!(metadata.len() >= 28 * 1024, "only {}", metadata.len());
        }
        // The last accepted change is the one the last token is about.
        let update = proto::UpdateParticipantMetadata { metadata: metadata.clone(), ..Default::default() };
        alice.send(Request::UpdateMetadata(update)).await;
        let renewed = loop {
            let renewed = refreshed(&mut alice).await;
            if claims_of(&renewed)["metadata"] == json!(metadata) {
                break renewed;
            }
        };
        let own = |participants: Vec<proto::ParticipantInfo>| {
            participants.into_iter().find(|p| p.sid == sid).map(|p| p.metadata)
        };
        // Resuming, as by browsers: everything in the address.
        let mut resumed =
            sfu.open(&format!("/rtc?access_token={renewed}&reconnect=1&sid={sid}")).await.unwrap();
        assert!(matches!(resumed.next().await, Some(Response::Reconnect(_))));
        let everyone = |message| match message {
            Response::Update(update) => Some(update.participants),
            _ => None,
        };
        assert_eq!(own(resumed.until(everyone).await).as_ref(), Some(&metadata));
        // Over again, with two connections and with one, and with a description along.
        let offer = base64::engine::general_purpose::URL_SAFE.encode([0x22].repeat(9_001));
        for path in [
            format!("/rtc?access_token={renewed}&auto_subscribe=1&sdk=js&version=2.23.0&protocol=16"),
            format!("/rtc/v1?access_token={renewed}&join_request="),
        ] {
            let mut again = sfu.open(&path).await.unwrap();
            let Some(Response::Join(join)) = again.next().await else { panic!("joined again") };
            assert_eq!(join.participant.unwrap().metadata, metadata);
        }
        let long = format!("/rtc/v1/validate?access_token={renewed}&join_request={offer}");
        let reply = reqwest::get(sfu.url(&long)).await.unwrap();
        assert_eq!(reply.text().await.unwrap(), "join_request is malformed", "it was read");
        // By header, as native clients do.
        let reply =
            reqwest::Client::new().get(sfu.url("/rtc/validate")).bearer_auth(&renewed).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 200);
    }
}

#[tokio::test]
async fn an_administrator_cannot_make_a_participant_too_long_to_come_again() {
    let sfu = Sfu::start().await;
    let (_alice, _) = sfu.join("hall", "alice").await;
    let admin = api_token(json!({ "roomAdmin": true, "room": "hall" }));
    let update = |field: &str, value: Value| {
        let mut body = json!({ "room": "hall", "identity": "alice" });
        body[field] = value;
        body
    };
    for (field, value) in [
        ("metadata", json!("x".repeat(50_000))),
        ("attributes", json!({ "a": "x".repeat(50_000) })),
        ("name", json!("x".repeat(257))),
    ] {
        let (status, reply) = sfu.twirp("UpdateParticipant", &admin, update(field, value)).await;
        assert_eq!((status, &reply["code"]), (400, &json!("invalid_argument")), "{field}");
        assert!(reply["msg"].as_str().unwrap().starts_with(field), "{reply}");
    }
    let (status, _) =
        sfu.twirp("UpdateParticipant", &admin, update("metadata", json!("x".repeat(28_000)))).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn twirp_takes_json_and_media_types_as_they_are_written() {
    let sfu = Sfu::start().await;
    let token = api_token(json!({ "roomCreate": true, "roomList": true }));
    let body = json!({ "name": "hall", "emptyTimeout": 60.0, "metadata": null, "max_participants": 4.0, "egress": null });
    let (status, room) = sfu.twirp("CreateRoom", &token, body).await;
    assert_eq!((status, &room["empty_timeout"], &room["max_participants"]), (200, &json!(60), &json!(4)));
    let call = |media_type: &'static str, body: Vec<u8>| {
        let request =
            reqwest::Client::new().post(sfu.url("/twirp/livekit.RoomService/ListRooms")).bearer_auth(&token);
        async move { request.header("content-type", media_type).body(body).send().await.unwrap() }
    };
    let reply = call("Application/JSON; Charset=UTF-8", b"{\"names\": null}".to_vec()).await;
    assert_eq!(reply.json::<Value>().await.unwrap()["rooms"][0]["name"], "hall");
    assert_eq!(call("APPLICATION/Protobuf", Vec::new()).await.status(), 200);
    assert_eq!(call("text/plain", b"{}".to_vec()).await.status(), 404);
    let wrong = call("application/json", b"{\"names\": 7}".to_vec()).await;
    assert_eq!(wrong.json::<Value>().await.unwrap()["code"], "malformed");
}

#[tokio::test]
async fn signalling_in_json_is_read_as_forgivingly() {
    use futures_util::{SinkExt as _, StreamExt as _};
    let sfu = Sfu::start().await;
    let mut client = sfu.connect(&join_token("hall", "alice")).await.unwrap();
    let ping = json!({ "pingReq": { "timestamp": 42.0, "rtt": null } });
    client.socket.send(Message::Text(ping.to_string().into())).await.unwrap();
    loop {
        let frame = client.socket.next().await.unwrap().unwrap();
        let Message::Text(text) = frame else { continue };
        let reply: Value = serde_json::from_str(&text).unwrap();
        if reply["pongResp"].is_object() {
            assert_eq!(reply["pongResp"]["lastPingTimestamp"], "42");
            return;
        }
    }
}
