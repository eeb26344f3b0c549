//! Invitation links: who gets in, how often, how long.

use crate::client::Client;
use crate::stack::Stack;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_link_lets_people_in_without_an_account() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let room = alice.room().await;
    let invite = alice.post(&format!("/rooms/{room}/invites"), json!({})).await.expect(201);
    let token = invite["token"].as_str().unwrap();
    assert!(invite["url"].as_str().unwrap().ends_with(&format!("/join/{token}")));
    let listed = alice.get(&format!("/rooms/{room}/invites")).await.expect(200);
    assert_eq!((&listed["items"][0]["token"], &listed["items"][0]["url"]), (&Value::Null, &Value::Null));

    let guest = stack.anonymous();
    let preview = guest.get(&format!("/invites/{token}")).await.expect(200);
    assert_eq!(preview, json!({"room_name": "Standup", "host_name": "Alice", "guests_allowed": true}));
    let join_path = format!("/invites/{token}/join");
    guest.post(&join_path, json!({})).await.problem(400, "invalid_argument", "display_name");
    let join = guest.post(&join_path, json!({"display_name": "Gus"})).await.expect(200);
    assert_eq!((&join["role"], &join["name"]), (&json!("guest"), &json!("Gus")));
    assert!(join["identity"].as_str().unwrap().starts_with("guest-"));

    // Their token is good for this room's chat and files, and nothing else.
    let guest = guest.with_token(join["guest_token"].as_str().unwrap());
    let message = json!({"id": uuid::Uuid::new_v4(), "text": "hi"});
    let sent = guest.post(&format!("/rooms/{room}/messages"), message.clone()).await.expect(201);
    assert_eq!((&sent["sender_identity"], &sent["sender_name"]), (&join["identity"], &json!("Gus")));
    guest.upload(&format!("/rooms/{room}/files"), "a.txt", "hello").await.expect(201);
    assert_eq!(
        guest.get(&format!("/rooms/{room}/files")).await.expect(200)["items"][0]["uploader_name"],
        json!("Gus")
    );
    let other = alice.room().await;
    for path in ["messages", "files"] {
        guest.get(&format!("/rooms/{other}/{path}")).await.problem(404, "not_found", "");
    }
    guest.post(&format!("/rooms/{other}/messages"), message).await.problem(404, "not_found", "");
    for path in ["/auth/me", "/rooms", "/calls", "/contacts", "/files"] {
        guest.get(path).await.problem(403, "permission_denied", "");
    }
    guest.get(&format!("/rooms/{room}")).await.problem(403, "permission_denied", "");
}

#[tokio::test]
async fn a_room_may_refuse_guests() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let room = alice.room_with(json!({"name": "Board", "guests_allowed": false})).await;
    let token = alice.invite(&room).await;
    let path = format!("/invites/{token}/join");
    stack.anonymous().post(&path, json!({"display_name": "Gus"})).await.problem(401, "unauthenticated", "");
    assert_eq!(bob.post(&path, json!({})).await.expect(200)["role"], json!("member"));
    assert_eq!(alice.post(&path, json!({})).await.expect(200)["role"], json!("owner"));
    let forged = stack.anonymous().with_token("x.y.z");
    forged.post(&path, json!({"display_name": "Gus"})).await.problem(401, "unauthenticated", "");
}

#[tokio::test]
async fn a_room_that_no_longer_allows_guests_is_over_for_those_who_are_in() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let room = alice.room().await;
    let link = format!("/invites/{}/join", alice.invite(&room).await);
    bob.post(&link, json!({})).await.expect(200);
    let join = stack.anonymous().post(&link, json!({"display_name": "Gus"})).await.expect(200);
    let guest = stack.anonymous().with_token(join["guest_token"].as_str().unwrap());
    let (messages, files) = (format!("/rooms/{room}/messages"), format!("/rooms/{room}/files"));
    let own = guest.upload(&files, "gus.txt", "mine").await.expect(201);
    let bobs = bob.upload(&files, "bob.txt", "his").await.expect(201);
    let path = |file: &Value| format!("/files/{}", file["id"].as_str().unwrap());
    let say = async |client: &Client| {
        client.post(&messages, json!({"id": uuid::Uuid::new_v4(), "text": "hi"})).await.status.as_u16()
    };
    assert_eq!(say(&guest).await, 201);

    alice.patch(&format!("/rooms/{room}"), json!({"guests_allowed": false})).await.expect(200);
    assert_eq!((say(&guest).await, say(&bob).await, say(&alice).await), (404, 201, 201));
    for path in [&messages, &files, &path(&own), &path(&bobs), &format!("{}/content", path(&own))] {
        guest.get(path).await.problem(404, "not_found", "");
        assert_eq!(bob.get(path).await.status, 200, "{path}");
    }
    guest.upload(&files, "more.txt", "more").await.problem(404, "not_found", "");
    guest.delete(&path(&own)).await.problem(404, "not_found", "");
    stack.anonymous().post(&link, json!({"display_name": "Gil"})).await.problem(401, "unauthenticated", "");

    alice.patch(&format!("/rooms/{room}"), json!({"guests_allowed": true})).await.expect(200);
    assert_eq!(say(&guest).await, 201, "it is the room that says so, not the guest who lost something");
}

#[tokio::test]
async fn a_link_ends_by_time_by_count_and_by_its_owner() {
    let (stack, clock) = Stack::at_rest().await;
    let alice = stack.person("Alice").await;
    let room = alice.room().await;
    let invites = format!("/rooms/{room}/invites");
    let make = async |body: Value| alice.post(&invites, body).await.expect(201);
    let preview = async |invite: &Value| {
        stack
            .anonymous()
            .get(&format!("/invites/{}", invite["token"].as_str().unwrap()))
            .await
            .status
            .as_u16()
    };
    let timed = make(json!({"expires_in_s": 60})).await;
    let counted = make(json!({"max_uses": 1})).await;
    let revoked = make(json!({})).await;
    assert_eq!([preview(&timed).await, preview(&counted).await, preview(&revoked).await], [200, 200, 200]);

    clock.advance(Duration::from_secs(61));
    assert_eq!(preview(&timed).await, 404);
    let path = format!("/invites/{}/join", counted["token"].as_str().unwrap());
    stack.anonymous().post(&path, json!({"display_name": "Gus"})).await.expect(200);
    stack.anonymous().post(&path, json!({"display_name": "Gus"})).await.problem(404, "not_found", "");
    alice.delete(&format!("{invites}/{}", revoked["id"].as_str().unwrap())).await.expect(204);
    assert_eq!(preview(&revoked).await, 404);
    alice.delete(&format!("{invites}/{}", uuid::Uuid::new_v4())).await.problem(404, "not_found", "");
    let listed = alice.get(&invites).await.expect(200);
    let state: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| (i["uses"].clone(), i["revoked"].clone()))
        .collect();
    assert_eq!(state, [(json!(0), json!(true)), (json!(1), json!(false)), (json!(0), json!(false))]);

    alice.post(&invites, json!({"expires_in_s": 0})).await.problem(400, "invalid_argument", "expires_in_s");
    alice.post(&invites, json!({"max_uses": -1})).await.problem(400, "invalid_argument", "max_uses");
}

#[tokio::test]
async fn uses_are_counted_exactly_however_many_come_at_once() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let room = alice.room().await;
    let invite = alice.post(&format!("/rooms/{room}/invites"), json!({"max_uses": 3})).await.expect(201);
    let path = format!("/invites/{}/join", invite["token"].as_str().unwrap());
    let client = stack.anonymous();
    let joins = join_all((0..12).map(|_| client.post(&path, json!({"display_name": "Gus"})))).await;
    let statuses: Vec<_> = joins.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 404).count(), 9, "{statuses:?}");
}

#[tokio::test]
async fn joining_again_uses_nothing_up() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let room = alice.room().await;
    let invite = alice.post(&format!("/rooms/{room}/invites"), json!({"max_uses": 2})).await.expect(201);
    let path = format!("/invites/{}/join", invite["token"].as_str().unwrap());
    for _ in 0..3 {
        bob.post(&path, json!({})).await.expect(200);
        alice.post(&path, json!({})).await.expect(200);
    }
    assert_eq!(alice.get(&format!("/rooms/{room}/invites")).await.expect(200)["items"][0]["uses"], json!(1));
}
