//! Who is let in, and how refusals look.

use aura_testkit::tokens;
use base64::Engine as _;
use livekit_protocol as proto;
use proto::signal_response::Message as Response;
use serde_json::json;

use crate::harness::{KEY, SECRET, Sfu, api_token, join_token};

/// The token, altered in ways that must each be refused.
fn bad_tokens() -> Vec<(&'static str, String, &'static str)> {
    let claims = json!({
        "iss": KEY, "sub": "eve", "exp": tokens::now_s() + 60, "video": { "roomJoin": true, "room": "hall" },
    });
    let with = |key: &str, value: serde_json::Value| {
        let mut changed = claims.clone();
        changed[key] = value;
        tokens::signed(SECRET, &changed)
    };
    let mut no_expiry = claims.clone();
    no_expiry.as_object_mut().unwrap().remove("exp");
    let good = tokens::signed(SECRET, &claims);
    vec![
        ("expired", with("exp", json!(tokens::now_s() - 3_600)), "invalid authorization token"),
        ("without expiry", tokens::signed(SECRET, &no_expiry), "invalid authorization token"),
        ("not yet valid", with("nbf", json!(tokens::now_s() + 3_600)), "invalid authorization token"),
        (
            "signed by another",
            tokens::signed("another-secret-of-sufficient-length!", &claims),
            "invalid authorization token",
        ),
        ("of an unknown key", with("iss", json!("APIother")), "invalid API key"),
        ("alg none", tokens::alg_none(&claims), "invalid authorization token"),
        (
            "payload swapped",
            tokens::with_claims(&good, &json!({ "iss": KEY, "sub": "admin", "exp": 9_999_999_999_i64 })),
            "invalid authorization token",
        ),
        ("without the join grant", with("video", json!({ "room": "hall" })), "permissions denied"),
        ("garbage", "garbage".into(), "invalid authorization token"),
        ("far too long", "a".repeat(200_000), "invalid authorization token"),
    ]
}

#[tokio::test]
async fn bad_tokens_are_refused_before_the_upgrade_with_text_and_cors() {
    let sfu = Sfu::start().await;
    let client = reqwest::Client::new();
    for (what, token, text) in bad_tokens() {
        let request =
            client.get(sfu.url("/rtc/validate")).bearer_auth(&token).header("origin", "https://app.example");
        let Ok(reply) = request.send().await else {
            // Hyper refuses headers beyond its limit by closing; that is a refusal too.
            assert_eq!(what, "far too long");
            continue;
        };
        let status = reply.status().as_u16();
        assert_eq!(
            reply.headers().get("access-control-allow-origin").map(|v| v.to_str().unwrap()),
            Some("https://app.example"),
            "{what}"
        );
        if what == "far too long" {
            assert!(matches!(status, 401 | 431), "{what}: {status}");
            continue;
        }
        assert_eq!((status, reply.text().await.unwrap().as_str()), (401, text), "{what}");
        assert!(sfu.connect(&token).await.is_err(), "{what}: no upgrade either");
    }
}

#[tokio::test]
async fn a_good_token_validates_and_opens() {
    let sfu = Sfu::start().await;
    let token = join_token("hall", "alice");
    let reply = reqwest::get(sfu.url(&format!("/rtc/validate?access_token={token}"))).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.text().await.unwrap().as_str()), (200, "success"));
    let (_client, join) = sfu.join("hall", "alice").await;
    assert_eq!(join.room.unwrap().name, "hall");
}

#[tokio::test]
async fn the_newer_path_needs_a_join_request_that_can_be_read() {
    let sfu = Sfu::start().await;
    let token = join_token("hall", "alice");
    let validate = |query: String| {
        let url = sfu.url(&format!("/rtc/v1/validate?access_token={token}{query}"));
        async move { reqwest::get(url).await.unwrap().status().as_u16() }
    };
    assert_eq!(validate(String::new()).await, 400);
    assert_eq!(validate("&join_request=%21%21".into()).await, 400);
    let empty = base64::engine::general_purpose::URL_SAFE.encode([]);
    assert_eq!(validate(format!("&join_request={empty}")).await, 200, "all fields have defaults");
}

#[tokio::test]
async fn nodes_that_do_not_create_rooms_say_so() {
    let sfu = Sfu::with(&[("AURA_SFU__ROOM__AUTO_CREATE", "false")]).await;
    let token = join_token("hall", "alice");
    let url = sfu.url(&format!("/rtc/validate?access_token={token}"));
    let reply = reqwest::get(&url).await.unwrap();
    let (status, text) = (reply.status().as_u16(), reply.text().await.unwrap());
    assert_eq!((status, text.as_str()), (404, "requested room does not exist"));
    let create = api_token(json!({ "roomCreate": true }));
    assert_eq!(sfu.twirp("CreateRoom", &create, json!({ "name": "hall" })).await.0, 200);
    assert_eq!(reqwest::get(&url).await.unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn a_grant_for_one_room_opens_no_other() {
    let sfu = Sfu::start().await;
    let (_alice, _) = sfu.join("hall", "alice").await;
    let other = api_token(json!({ "roomAdmin": true, "room": "cellar" }));
    for (method, body) in [
        ("ListParticipants", json!({ "room": "hall" })),
        ("GetParticipant", json!({ "room": "hall", "identity": "alice" })),
        ("RemoveParticipant", json!({ "room": "hall", "identity": "alice" })),
        (
            "MutePublishedTrack",
            json!({ "room": "hall", "identity": "alice", "track_sid": "TR_x", "muted": true }),
        ),
        ("UpdateParticipant", json!({ "room": "hall", "identity": "alice", "name": "mallory" })),
        ("UpdateSubscriptions", json!({ "room": "hall", "identity": "alice" })),
        ("SendData", json!({ "room": "hall", "data": "aGk=" })),
        ("UpdateRoomMetadata", json!({ "room": "hall", "metadata": "x" })),
        ("CreateRoom", json!({ "name": "hall" })),
        ("DeleteRoom", json!({ "room": "hall" })),
        ("ListRooms", json!({})),
    ] {
        let (status, reply) = sfu.twirp(method, &other, body).await;
        assert_eq!((status, reply["code"].as_str()), (401, Some("unauthenticated")), "{method}: {reply}");
        assert_eq!(reply["msg"], "permissions denied", "{method}");
    }
    let admin = api_token(json!({ "roomAdmin": true, "room": "hall" }));
    let (status, reply) =
        sfu.twirp("GetParticipant", &admin, json!({ "room": "hall", "identity": "alice" })).await;
    assert_eq!((status, reply["name"].as_str()), (200, Some("alice")), "nothing was changed");
}

#[tokio::test]
async fn twirp_says_what_is_wrong() {
    let sfu = Sfu::start().await;
    let all =
        api_token(json!({ "roomCreate": true, "roomList": true, "roomAdmin": true, "room": "nowhere" }));
    for (method, body, status, code) in [
        ("GetParticipant", json!({ "room": "nowhere", "identity": "x" }), 404, "not_found"),
        ("DeleteRoom", json!({ "room": "nowhere" }), 404, "not_found"),
        ("CreateRoom", json!({ "name": "" }), 400, "invalid_argument"),
        ("CreateRoom", json!({ "name": "x".repeat(300) }), 400, "invalid_argument"),
        ("CreateRoom", json!({ "name": 7 }), 400, "malformed"),
        ("SendData", json!({ "room": "nowhere", "nonce": "AAA=" }), 400, "invalid_argument"),
        ("NoSuchMethod", json!({}), 404, "bad_route"),
        ("MoveParticipant", json!({}), 501, "unimplemented"),
    ] {
        let (got, reply) = sfu.twirp(method, &all, body).await;
        assert_eq!((got, reply["code"].as_str()), (status, Some(code)), "{method}: {reply}");
    }
}

#[tokio::test]
async fn one_token_opens_a_few_connections_and_leaves_room_for_others() {
    let sfu = Sfu::start().await;
    let configuration = json!({ "maxParticipants": 6 });
    let claims = json!({
        "sub": "eve", "video": { "roomJoin": true, "room": "hall" }, "roomConfig": configuration,
    });
    let token = tokens::livekit(KEY, SECRET, claims);
    let mut inside = Vec::new();
    for index in 0..20 {
        let path = format!("/rtc?access_token={token}&protocol=16&publish=name-{index}");
        let mut client = sfu.open(&path).await.unwrap();
        match client.next().await {
            Some(Response::Join(join)) => {
                assert_eq!(join.participant.unwrap().identity, format!("eve#name-{index}"));
                inside.push(client);
            }
            Some(Response::Leave(leave)) => {
                assert_eq!(leave.reason, proto::DisconnectReason::JoinFailure as i32);
                assert_eq!(
                    leave.action,
                    proto::leave_request::Action::Disconnect as i32,
                    "it need not try again"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(inside.len(), 3);
    for identity in ["eve", "alice"] {
        sfu.join("hall", identity).await;
    }
}
