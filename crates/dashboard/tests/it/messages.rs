//! Chat history.

use crate::stack::Stack;
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn late_joiners_read_the_past_in_pages_oldest_first() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let room = alice.room().await;
    let path = format!("/rooms/{room}/messages");
    for n in 1..=5 {
        alice.post(&path, json!({"id": Uuid::new_v4(), "text": format!("m{n}")})).await.expect(201);
    }
    let invite = alice.invite(&room).await;
    bob.post(&format!("/invites/{invite}/join"), json!({})).await.expect(200);
    let texts = |page: &serde_json::Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|m| m["text"].as_str().unwrap().to_owned()).collect()
    };
    let last = bob.get(&format!("{path}?limit=2")).await.expect(200);
    assert_eq!(texts(&last), ["m4", "m5"]);
    let before = last["next_cursor"].as_str().unwrap();
    let middle = bob.get(&format!("{path}?limit=2&before={before}")).await.expect(200);
    assert_eq!(texts(&middle), ["m2", "m3"]);
    let before = middle["next_cursor"].as_str().unwrap();
    let first = bob.get(&format!("{path}?limit=2&before={before}")).await.expect(200);
    assert_eq!((texts(&first), first["next_cursor"].is_null()), (vec!["m1".to_owned()], true));
    bob.get(&format!("{path}?before=x")).await.problem(400, "invalid_argument", "before");
}

#[tokio::test]
async fn a_message_sent_twice_is_one_message() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let room = alice.room().await;
    let path = format!("/rooms/{room}/messages");
    let message = json!({"id": Uuid::new_v4(), "text": "hello"});
    let first = alice.post(&path, message.clone()).await.expect(201);
    assert_eq!(alice.post(&path, message.clone()).await.expect(201), first);
    assert_eq!(alice.get(&path).await.expect(200)["items"], json!([first]));

    let changed = json!({"id": message["id"], "text": "hello again"});
    alice.post(&path, changed).await.problem(409, "already_exists", "id");
    let invite = alice.invite(&room).await;
    bob.post(&format!("/invites/{invite}/join"), json!({})).await.expect(200);
    bob.post(&path, message.clone()).await.problem(409, "already_exists", "id");

    // In a room of one's own the same id is free: it says nothing about other rooms.
    let own = bob.room().await;
    bob.post(&format!("/rooms/{own}/messages"), message).await.expect(201);
}

#[tokio::test]
async fn text_is_bounded_and_free_of_tricks() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let path = format!("/rooms/{}/messages", alice.room().await);
    for text in ["", " \n ", &"x".repeat(4001), "a\u{0}b", "a\u{202e}b"] {
        let message = json!({"id": Uuid::new_v4(), "text": text});
        alice.post(&path, message).await.problem(400, "invalid_argument", "text");
    }
    let written = json!({"id": Uuid::new_v4(), "text": "one\r\ntwo \u{2067}שלום\u{2069}\u{200f}"});
    let kept = alice.post(&path, written).await.expect(201);
    assert_eq!(kept["text"], json!("one\ntwo \u{2067}שלום\u{2069}\u{200f}"), "as other systems write it");
    let text = format!("<script>alert(1)</script>\n{}", "ä".repeat(3000));
    let kept = alice.post(&path, json!({"id": Uuid::new_v4(), "text": text})).await.expect(201);
    assert_eq!(kept["text"], json!(text), "markup is text and stays text");
}
