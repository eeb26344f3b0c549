//! Rooms, without the SFU: everything but who is in them.

use crate::stack::{LIVEKIT_SECRET, Stack};
use aura_service::auth::access_token::ApiKeys;
use aura_service::config::LivekitKeys;
use serde_json::{Value, json};

#[tokio::test]
async fn rooms_are_made_changed_listed_and_deleted() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let body =
        json!({"name": " Standup ", "description": "Daily", "max_participants": 8, "metadata": {"k": "v"}});
    let room = alice.post("/rooms", body).await.expect(201);
    assert_eq!(
        (
            &room["name"],
            &room["my_role"],
            &room["guests_allowed"],
            &room["max_participants"],
            &room["metadata"]["k"]
        ),
        (&json!("Standup"), &json!("owner"), &json!(true), &json!(8), &json!("v"))
    );
    assert_eq!(room["owner"], json!({"id": alice.id, "display_name": "Alice", "aura_id": alice.aura_id}));
    let path = format!("/rooms/{}", room["id"].as_str().unwrap());

    let read = alice.get(&path).await.expect(200);
    assert_eq!(read["live"], Value::Null, "the SFU is away: unknown, not empty");
    let change =
        json!({"name": "Retro", "description": null, "max_participants": null, "guests_allowed": false});
    let changed = alice.patch(&path, change).await.expect(200);
    assert_eq!(
        (&changed["name"], &changed["description"], &changed["max_participants"], &changed["guests_allowed"]),
        (&json!("Retro"), &Value::Null, &Value::Null, &json!(false))
    );
    assert_eq!(changed["metadata"]["k"], json!("v"), "what is not given stays");

    alice.room().await;
    let listed = alice.get("/rooms").await.expect(200);
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|room| room["name"].clone()).collect();
    assert_eq!(names, [json!("Standup"), json!("Retro")]);

    alice.delete(&path).await.expect(204);
    alice.get(&path).await.problem(404, "not_found", "");
    alice.delete(&path).await.problem(404, "not_found", "");
}

#[tokio::test]
async fn members_see_a_room_and_only_its_owner_changes_it() {
    let stack = Stack::start().await;
    let (alice, bob, eve) =
        (stack.person("Alice").await, stack.person("Bob").await, stack.person("Eve").await);
    let room = alice.room().await;
    let invite = alice.invite(&room).await;
    bob.post(&format!("/invites/{invite}/join"), json!({})).await.expect(200);
    let path = format!("/rooms/{room}");
    assert_eq!(bob.get(&path).await.expect(200)["my_role"], json!("member"));
    assert_eq!(bob.get("/rooms").await.expect(200)["items"][0]["id"], json!(room));
    bob.patch(&path, json!({"name": "Mine"})).await.problem(403, "permission_denied", "");
    bob.delete(&path).await.problem(403, "permission_denied", "");
    bob.get(&format!("{path}/invites")).await.problem(403, "permission_denied", "");
    bob.delete(&format!("{path}/participants/{}", alice.id)).await.problem(403, "permission_denied", "");

    eve.get(&path).await.problem(404, "not_found", "");
    eve.post(&format!("{path}/token"), json!({})).await.problem(404, "not_found", "");
    assert_eq!(eve.get("/rooms").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_join_token_opens_one_room_for_one_identity() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let room = alice.room_with(json!({"name": "Standup", "max_participants": 3})).await;
    let join = alice.post(&format!("/rooms/{room}/token"), json!({})).await.expect(200);
    assert_eq!(
        (&join["room_id"], &join["livekit_room"], &join["identity"], &join["role"], &join["room_name"]),
        (&json!(room), &json!(room), &json!(alice.id), &json!("owner"), &json!("Standup"))
    );
    assert_eq!(join["guest_token"], Value::Null);
    assert!(join["url"].as_str().unwrap().starts_with("ws://"));
    let keys = ApiKeys::from(&LivekitKeys::parse(&format!("key: {LIVEKIT_SECRET}")).unwrap());
    let claims = keys.verify(join["token"].as_str().unwrap(), crate::stack::now()).unwrap();
    assert_eq!((claims.identity.as_str(), claims.name.as_str()), (alice.id.as_str(), "Alice"));
    assert!(claims.ensure_join(&room).is_ok() && claims.ensure_join("other").is_err());
    assert!(
        claims.ensure_admin(&room).is_err()
            && claims.ensure_create().is_err()
            && claims.ensure_list().is_err()
    );
    assert!(claims.video.can_update_own_metadata());
    assert!(claims.exp - tokens_now() <= 600, "late use is limited");
    assert_eq!(claims.room_config, Some(json!({"maxParticipants": 3})));
}

#[tokio::test]
async fn a_join_token_carries_what_holds_in_the_room() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let keys = ApiKeys::from(&LivekitKeys::parse(&format!("key: {LIVEKIT_SECRET}")).unwrap());
    let says =
        |join: Value| keys.verify(join["token"].as_str().unwrap(), crate::stack::now()).unwrap().room_config;
    let room = alice.room().await;
    let token_path = format!("/rooms/{room}/token");
    assert_eq!(says(alice.post(&token_path, json!({})).await.expect(200)), None, "nothing to say");
    let long = "x".repeat(3_000);
    for (change, config) in [
        (
            json!({"max_participants": 2, "metadata": {"k": "v"}}),
            Some(json!({"maxParticipants": 2, "metadata": "{\"k\":\"v\"}"})),
        ),
        (json!({"max_participants": null}), Some(json!({"metadata": "{\"k\":\"v\"}"}))),
        (json!({"max_participants": 5, "metadata": {"k": long}}), Some(json!({"maxParticipants": 5}))),
        (json!({"max_participants": null, "metadata": null}), None),
    ] {
        alice.patch(&format!("/rooms/{room}"), change.clone()).await.expect(200);
        assert_eq!(says(alice.post(&token_path, json!({})).await.expect(200)), config, "{change}");
        let invite = alice.invite(&room).await;
        let guest = bob.post(&format!("/invites/{invite}/join"), json!({})).await.expect(200);
        assert_eq!(says(guest), config, "{change}");
    }
}

fn tokens_now() -> i64 {
    aura_testkit::tokens::now_s()
}

#[tokio::test]
async fn what_only_the_sfu_knows_says_that_it_is_away() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let room = alice.room().await;
    alice.get(&format!("/rooms/{room}/participants")).await.problem(503, "unavailable", "");
    alice.delete(&format!("/rooms/{room}/participants/x")).await.problem(503, "unavailable", "");
    let mute = json!({"track_sid": "TR_x", "muted": true});
    alice.post(&format!("/rooms/{room}/participants/x/mute"), mute).await.problem(503, "unavailable", "");
}

#[tokio::test]
async fn limits_are_named() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    for (body, field) in [
        (json!({"name": "  "}), "name"),
        (json!({"name": "x".repeat(101)}), "name"),
        (json!({"name": "x", "max_participants": 1}), "max_participants"),
        (json!({"name": "x", "description": "y".repeat(2001)}), "description"),
        (json!({"name": "x", "metadata": {"k": "v".repeat(17_000)}}), "metadata"),
        (json!({"name": "x", "metadata": {"k": 1}}), "metadata.k"),
        (json!({"name": "x", "metadata": {"k": "\u{0}"}}), "metadata"),
    ] {
        alice.post("/rooms", body).await.problem(400, "invalid_argument", field);
    }
    alice.get("/rooms/not-an-id").await.problem(400, "invalid_argument", "room_id");
}
