//! Links that hand files out.

use crate::stack::Stack;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

async fn shared(stack: &Stack, body: Value) -> (crate::client::Person, String, Value) {
    let alice = stack.person("Alice").await;
    let file = alice.upload("/files", "plan.txt", "the plan").await.expect(201);
    let path = format!("/files/{}/shares", file["id"].as_str().unwrap());
    let share = alice.post(&path, body).await.expect(201);
    (alice, path, share)
}

fn link(share: &Value) -> String {
    format!("/shares/{}", share["token"].as_str().unwrap())
}

#[tokio::test]
async fn whoever_has_the_link_gets_the_file() {
    let stack = Stack::start().await;
    let (alice, path, share) = shared(&stack, json!({})).await;
    assert!(share["url"].as_str().unwrap().ends_with(&link(&share).replace("/shares/", "/share/")));
    let anyone = stack.anonymous();
    let preview = anyone.get(&link(&share)).await.expect(200);
    let expected = json!({"name": "plan.txt", "size_bytes": 8, "content_type": "text/plain", "has_password": false, "expires_at": null});
    assert_eq!(preview, expected);
    let got = anyone.post(&format!("{}/download", link(&share)), json!({})).await;
    assert_eq!((got.status.as_u16(), got.text().as_str()), (200, "the plan"));
    assert!(got.header("content-disposition").starts_with("attachment;"));
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    let listed = alice.get(&path).await.expect(200);
    let first = &listed["items"][0];
    assert_eq!(
        (&first["downloads"], &first["token"], &first["url"]),
        (&json!(1), &Value::Null, &Value::Null)
    );

    alice.delete(&format!("{path}/{}", share["id"].as_str().unwrap())).await.expect(204);
    anyone.get(&link(&share)).await.problem(404, "not_found", "");
    anyone.post(&format!("{}/download", link(&share)), json!({})).await.problem(404, "not_found", "");
    anyone.get("/shares/guessed").await.problem(404, "not_found", "");
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let stack = Stack::start().await;
    let (_, _, share) = shared(&stack, json!({"password": "sesame"})).await;
    assert_eq!(share["has_password"], json!(true));
    let anyone = stack.anonymous();
    assert_eq!(anyone.get(&link(&share)).await.expect(200)["has_password"], json!(true));
    let download = format!("{}/download", link(&share));
    anyone.post(&download, json!({})).await.problem(403, "permission_denied", "password");
    anyone.post(&download, json!({"password": "Sesame"})).await.problem(403, "permission_denied", "password");
    assert_eq!(anyone.post(&download, json!({"password": "sesame"})).await.text(), "the plan");
}

#[tokio::test]
async fn a_share_ends_by_time() {
    let (stack, clock) = Stack::at_rest().await;
    let (alice, path, share) = shared(&stack, json!({"expires_in_s": 60})).await;
    clock.advance(Duration::from_secs(61));
    stack.anonymous().get(&link(&share)).await.problem(404, "not_found", "");
    alice.post(&path, json!({"expires_in_s": -1})).await.problem(400, "invalid_argument", "expires_in_s");
    alice.post(&path, json!({"max_downloads": 0})).await.problem(400, "invalid_argument", "max_downloads");
    alice.post(&path, json!({"password": ""})).await.problem(400, "invalid_argument", "password");
}

#[tokio::test]
async fn downloads_are_counted_exactly_however_many_come_at_once() {
    let stack = Stack::start().await;
    let (_, _, share) = shared(&stack, json!({"max_downloads": 2})).await;
    let (client, path) = (stack.anonymous(), format!("{}/download", link(&share)));
    let answers = join_all((0..8).map(|_| client.post(&path, json!({})))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 404).count(), 6, "{statuses:?}");
}
