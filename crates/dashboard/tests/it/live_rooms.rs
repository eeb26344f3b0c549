//! Rooms that are live in a real SFU whose events are all lost: what the dashboard says of them comes true there.

use crate::calls::{place, status};
use crate::sfu_service::SfuService;
use aura_testkit::eventually;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_taken_away_leaves_the_live_room_too() {
    let sfu = SfuService::start().await;
    let stack = sfu.stack().await;
    let alice = stack.person("Alice").await;
    let body = json!({"name": "Standup", "max_participants": 2, "metadata": {"k": "v"}});
    let room = alice.room_with(body).await;
    let (path, token) = (format!("/rooms/{room}"), format!("/rooms/{room}/token"));
    alice.post(&token, json!({})).await.expect(200);
    let limits = async || {
        let live = sfu.room(&room).await.expect("live");
        let text = |name: &str| live.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        (live.get("max_participants").and_then(Value::as_u64).unwrap_or(0), text("metadata"))
    };
    assert_eq!(limits().await, (2, json!({"k": "v"}).to_string()));
    // Nobody is in it, and it is live all the same.
    alice.patch(&path, json!({"max_participants": null, "metadata": null})).await.expect(200);
    assert_eq!(limits().await, (0, String::new()));

    // A change that did not reach the SFU arrives with the next who enters.
    alice.patch(&path, json!({"max_participants": 3})).await.expect(200);
    assert_eq!(limits().await.0, 3);
    let mut db = stack.database.superuser().await;
    sqlx::query("UPDATE dashboard.rooms SET max_participants = NULL").execute(&mut db).await.unwrap();
    alice.post(&token, json!({})).await.expect(200);
    assert_eq!(limits().await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_room_stays_deleted_whoever_comes_back_unheard() {
    let sfu = SfuService::start().await;
    let stack = sfu.stack().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let room = alice.room().await;
    let kept = alice.room().await;
    let join = async |room: &str| {
        let join = alice.post(&format!("/rooms/{room}/token"), json!({})).await.expect(200);
        join["token"].clone()
    };
    let (token, other) = (join(&room).await, join(&kept).await);
    let _inside = sfu.enter(&token).await;
    let _elsewhere = sfu.enter(&other).await;
    alice.delete(&format!("/rooms/{room}")).await.expect(204);
    eventually(SOON, || async { sfu.room(&room).await.is_none() }).await;

    // While a call is open the SFU is asked every second.
    place(&alice, &bob).await;
    let _back = sfu.enter(&token).await;
    eventually(SOON, || async { sfu.room(&room).await.is_none() }).await;
    assert!(sfu.room(&kept).await.is_some(), "a room that was not deleted goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn open_calls_are_asked_about_together() {
    let sfu = SfuService::start().await;
    let stack = sfu.stack().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let (mut calls, mut inside) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let call = place(&alice, &bob).await;
        let token = alice.post(&format!("/calls/{}/token", call["id"].as_str().unwrap()), json!({})).await;
        inside.push(sfu.enter(&token.expect(200)["token"]).await);
        calls.push(call);
    }
    for call in &calls {
        eventually(SOON, || async { status(&alice, call).await == "ringing" }).await;
    }
    let metrics = sfu.metrics().await;
    assert!(metrics.contains("ListOccupants"), "{metrics}");
    assert!(!metrics.contains("ListParticipants"), "one question for each call: {metrics}");
}
