//! Being sent away from a room and let back in, without the SFU: what the dashboard itself refuses.

use crate::stack::Stack;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn a_removed_member_is_out_until_the_owner_lets_them_back_in() {
    let stack = Stack::start().await;
    let (alice, bob, eve) =
        (stack.person("Alice").await, stack.person("Bob").await, stack.person("Eve").await);
    let room = alice.room().await;
    let invite = alice.invite(&room).await;
    let path = format!("/rooms/{room}");
    let link = format!("/invites/{invite}/join");
    bob.post(&link, json!({})).await.expect(200);

    let of_bob = format!("{path}/participants/{}", bob.id);
    eve.delete(&of_bob).await.problem(404, "not_found", "");
    bob.delete(&of_bob).await.problem(403, "permission_denied", "");
    bob.post(&format!("{path}/token"), json!({})).await.expect(200);

    // Ids may be written in more than one way, and a second connection has another name.
    let shouted = format!("{path}/participants/{}%23screen", bob.id.to_uppercase());
    alice.delete(&shouted).await.expect(204);
    for answer in [
        bob.post(&format!("{path}/token"), json!({})).await,
        bob.get(&path).await,
        bob.post(&link, json!({})).await,
    ] {
        let problem = answer.problem(403, "permission_denied", "");
        assert_eq!(problem["detail"], json!("the host removed you from this room"));
    }
    bob.get(&format!("{path}/messages")).await.problem(404, "not_found", "");
    bob.get(&format!("{path}/files")).await.problem(404, "not_found", "");
    assert_eq!(bob.get("/rooms").await.expect(200)["items"], json!([]));
    assert_eq!(eve.post(&link, json!({})).await.expect(200)["role"], json!("member"), "others may come");

    let removed = format!("{path}/removed");
    eve.get(&removed).await.problem(403, "permission_denied", "");
    bob.get(&removed).await.problem(404, "not_found", "");
    let listed = alice.get(&removed).await.expect(200);
    let seen = |value: &Value| (value["identity"].clone(), value["name"].clone());
    assert_eq!(seen(&listed["items"][0]), (json!(bob.id), json!("Bob")));
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);

    let back = format!("{removed}/{}", bob.id);
    eve.delete(&back).await.problem(403, "permission_denied", "");
    bob.delete(&back).await.problem(404, "not_found", "");
    alice.delete(&format!("{removed}/%00")).await.problem(400, "invalid_argument", "");
    alice.delete(&back).await.expect(204);
    alice.delete(&back).await.problem(404, "not_found", "");
    assert_eq!(alice.get(&removed).await.expect(200)["items"], json!([]));
    assert_eq!(bob.post(&format!("{path}/token"), json!({})).await.expect(200)["role"], json!("member"));
    bob.get(&format!("{path}/messages")).await.expect(200);
}

#[tokio::test]
async fn a_removed_guests_token_opens_nothing_anywhere() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let room = alice.room().await;
    let invite = alice.invite(&room).await;
    let link = format!("/invites/{invite}/join");
    let join = stack.anonymous().post(&link, json!({"display_name": "Gus"})).await.expect(200);
    let guest = stack.anonymous().with_token(join["guest_token"].as_str().unwrap());
    let path = format!("/rooms/{room}");
    guest.get(&format!("{path}/messages")).await.expect(200);

    let identity = join["identity"].as_str().unwrap();
    alice.delete(&format!("{path}/participants/{identity}")).await.expect(204);
    guest.get(&format!("{path}/messages")).await.problem(404, "not_found", "");
    let message = json!({"id": Uuid::new_v4(), "text": "still here"});
    guest.post(&format!("{path}/messages"), message).await.problem(404, "not_found", "");
    guest.get(&format!("{path}/files")).await.problem(404, "not_found", "");
    guest.upload(&format!("{path}/files"), "x.txt", "x").await.problem(404, "not_found", "");
    assert_eq!(alice.get(&format!("{path}/removed")).await.expect(200)["items"][0]["name"], json!("Gus"));

    alice.delete(&format!("{path}/removed/{identity}")).await.expect(204);
    guest.get(&format!("{path}/messages")).await.expect(200);
}

#[tokio::test]
async fn nobody_unknown_and_not_the_owner_can_be_removed() {
    let stack = Stack::start().await;
    let (alice, eve) = (stack.person("Alice").await, stack.person("Eve").await);
    let room = alice.room().await;
    let of = |identity: &str| format!("/rooms/{room}/participants/{identity}");
    alice.delete(&of(&alice.id)).await.problem(409, "failed_precondition", "");
    // Only the SFU knows whether somebody like that is there.
    for stranger in [eve.id.as_str(), &format!("guest-{}", Uuid::new_v4()), "robot"] {
        alice.delete(&of(stranger)).await.problem(503, "unavailable", "");
    }
    assert_eq!(alice.get(&format!("/rooms/{room}/removed")).await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn who_removes_a_guest_can_have_the_links_stop_too() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let room = alice.room().await;
    let links = [alice.invite(&room).await, alice.invite(&room).await];
    let elsewhere = alice.invite(&alice.room().await).await;
    let come = async |link: &str| {
        stack.anonymous().post(&format!("/invites/{link}/join"), json!({"display_name": "Gus"})).await
    };
    let of = |join: Value| format!("/rooms/{room}/participants/{}", join["identity"].as_str().unwrap());
    let (first, second) = (come(&links[0]).await.expect(200), come(&links[0]).await.expect(200));
    // Nobody else's link stops for one guest, unless that is asked for.
    alice.delete(&of(first)).await.expect(204);
    come(&links[0]).await.expect(200);
    alice.delete(&format!("{}?revoke_invites=true", of(second))).await.expect(204);
    for link in &links {
        come(link).await.problem(404, "not_found", "");
    }
    come(&elsewhere).await.expect(200);
}
