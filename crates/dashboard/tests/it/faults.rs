//! Redis and Postgres die and return. What was acknowledged stays; what needs neither goes on.

use crate::calls::{Bus, event, place, status};
use crate::client::{Answer, PASSWORD};
use crate::stack::{Options, Stack, migrated};
use aura_testkit::{Postgres, RedisServer, eventually};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);

async fn readiness(stack: &Stack) -> (u16, serde_json::Value) {
    let ready = Answer::of(reqwest::Client::new().get(format!("http://{}/ready", stack.http()))).await;
    (ready.status.as_u16(), ready.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_people_log_in_call_and_chat() {
    let redis = RedisServer::start();
    let stack = Stack::with(Options { redis_url: redis.url().to_owned(), ..Options::default() }).await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let room = alice.room().await;
    redis.kill9().await;
    eventually(SOON, || async { readiness(&stack).await.1["checks"]["redis"] == json!(false) }).await;
    let (code, body) = readiness(&stack).await;
    assert_eq!((code, &body["status"]), (200, &json!("ready")), "Redis is a hint: {body}");

    let login = json!({"email": alice.email, "password": PASSWORD});
    stack.anonymous().post("/auth/login", login).await.expect(200);
    assert_eq!(alice.get("/rooms").await.expect(200)["items"][0]["id"], json!(room));
    let message = json!({"id": Uuid::new_v4(), "text": "still here"});
    alice.post(&format!("/rooms/{room}/messages"), message).await.expect(201);
    let call = place(&alice, &bob).await;

    redis.restart().await;
    let bus = Bus::new(redis.url());
    eventually(SOON, || async {
        bus.publish(event("room:participant_joined", &call, Some((&alice, "PA_1"))));
        status(&alice, &call).await == "ringing"
    })
    .await;
    let history = alice.get(&format!("/rooms/{room}/messages")).await.expect(200);
    assert_eq!(history["items"][0]["text"], json!("still here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgres_acknowledged_survives_its_death() {
    let postgres = Postgres::start();
    let redis = RedisServer::start();
    let database = migrated(&postgres).await;
    let options =
        Options { redis_url: redis.url().to_owned(), database: Some(database), ..Options::default() };
    let stack = Stack::with(options).await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let room = alice.room().await;
    let path = format!("/rooms/{room}/messages");
    let bus = Bus::new(redis.url());
    let call = place(&alice, &bob).await;
    eventually(SOON, || async {
        bus.publish(event("room:participant_joined", &call, Some((&alice, "PA_1"))));
        status(&alice, &call).await == "ringing"
    })
    .await;

    let mut acknowledged = Vec::new();
    for n in 0..10 {
        let message = json!({"id": Uuid::new_v4(), "text": format!("m{n}")});
        if alice.post(&path, message.clone()).await.status == 201 {
            acknowledged.push(message["text"].clone());
        }
        if n == 5 {
            postgres.kill9().await;
        }
    }
    let away = alice.get("/rooms").await;
    assert!(matches!(away.status.as_u16(), 503 | 504), "{}", away.text());
    assert_eq!(away.header("content-type"), "application/problem+json");
    // Heard while the database is away: waits for it.
    bus.publish(event("room:participant_joined", &call, Some((&bob, "PA_2"))));

    postgres.restart().await;
    eventually(SOON, || async { alice.get("/auth/me").await.status == 200 }).await;
    let history = alice.get(&path).await.expect(200);
    let kept: Vec<_> =
        history["items"].as_array().unwrap().iter().map(|message| message["text"].clone()).collect();
    assert_eq!(kept, acknowledged);
    eventually(SOON, || async { status(&alice, &call).await == "active" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_before_anything_it_needs() {
    let postgres = Postgres::start();
    let redis = RedisServer::start();
    let database = migrated(&postgres).await;
    postgres.kill9().await;
    redis.kill9().await;
    let options =
        Options { redis_url: redis.url().to_owned(), database: Some(database), ..Options::default() };
    let stack = Stack::with(options).await;
    let ready = reqwest::get(format!("http://{}/ready", stack.http())).await.unwrap();
    assert_eq!(ready.status(), 503);
    let health = reqwest::get(format!("http://{}/health", stack.http())).await.unwrap();
    assert_eq!(health.status(), 200, "being without others is no reason to be restarted");
    postgres.restart().await;
    redis.restart().await;
    eventually(SOON, || async {
        reqwest::get(format!("http://{}/ready", stack.http())).await.unwrap().status() == 200
    })
    .await;
    stack.person("Alice").await;
}
