//! Calls: what REST does, what the bus's events do, and what time does. Transitions in full are the engine's
//! tests; a whole call through the SFU is the whole stack's.

use crate::client::Person;
use crate::stack::{Options, Stack};
use aura_store::bus::{Event, Publisher};
use aura_testkit::{RedisServer, eventually};
use aura_types::SystemClock;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(10);

/// Publishes what SFU nodes publish.
pub(crate) struct Bus {
    publisher: Publisher,
    _stop: tokio_util::sync::DropGuard,
}

impl Bus {
    pub(crate) fn new(url: &str) -> Self {
        let (publisher, task) = Publisher::new(url, SystemClock::shared()).unwrap();
        let stop = CancellationToken::new();
        aura_service::Lifecycle::new(Duration::ZERO).spawn("test-bus", task.run(stop.clone()));
        Self { publisher, _stop: stop.drop_guard() }
    }

    pub(crate) fn publish(&self, event: Event) {
        self.publisher.publish(event);
    }
}

pub(crate) fn event(kind: &str, call: &Value, participant: Option<(&Person, &str)>) -> Event {
    let room = format!("call-{}", call["id"].as_str().unwrap());
    let participant = participant
        .map(|(who, sid)| json!({"sid": sid, "identity": who.id, "name": "x", "kind": "standard"}));
    let data = json!({"room_sid": "RM_x", "room_name": room, "participant": participant});
    Event::new(kind, Some(room), data)
}

pub(crate) async fn place(caller: &Person, callee: &Person) -> Value {
    let body = json!({"callee_id": callee.id, "media": "video"});
    caller.post("/calls", body).await.expect(201)["call"].clone()
}

pub(crate) async fn status(person: &Person, call: &Value) -> String {
    let call = person.get(&format!("/calls/{}", call["id"].as_str().unwrap())).await.expect(200);
    call["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn placing_a_call_gives_the_way_in_to_the_caller_alone() {
    let stack = Stack::start().await;
    let (alice, bob, eve) =
        (stack.person("Alice").await, stack.person("Bob").await, stack.person("Eve").await);
    let body = json!({"callee_aura_id": bob.aura_id, "media": "audio"});
    let placed = alice.post("/calls", body).await.expect(201);
    let (call, join) = (&placed["call"], &placed["join"]);
    assert_eq!(
        (
            &call["status"],
            &call["media"],
            &call["caller"]["id"],
            &call["callee"]["id"],
            &call["duration_seconds"]
        ),
        (&json!("initiated"), &json!("audio"), &json!(alice.id), &json!(bob.id), &Value::Null)
    );
    let id = call["id"].as_str().unwrap();
    assert_eq!(
        (&join["livekit_room"], &join["identity"], &join["room_name"], &join["room_id"]),
        (&json!(format!("call-{id}")), &json!(alice.id), &json!("Bob"), &json!(id))
    );
    assert_eq!(&bob.get("/calls").await.expect(200)["items"][0], call);
    assert_eq!(&bob.get(&format!("/calls/{id}")).await.expect(200), call);
    assert_eq!(
        bob.post(&format!("/calls/{id}/token"), json!({})).await.expect(200)["identity"],
        json!(bob.id)
    );
    for path in [format!("/calls/{id}"), format!("/calls/{}", uuid::Uuid::new_v4())] {
        eve.get(&path).await.problem(404, "not_found", "");
    }
    eve.post(&format!("/calls/{id}/end"), json!({})).await.problem(404, "not_found", "");
    assert_eq!(eve.get("/calls").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn calls_go_to_somebody_else_who_exists() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    for (body, field) in [
        (json!({"callee_id": alice.id, "media": "audio"}), "callee_id"),
        (json!({"media": "audio"}), "callee_id"),
        (json!({"callee_id": bob.id, "callee_aura_id": bob.aura_id, "media": "audio"}), "callee_id"),
        (json!({"callee_aura_id": "bob", "media": "audio"}), "callee_aura_id"),
        (json!({"callee_aura_id": "@b\u{0}.aura", "media": "audio"}), "callee_aura_id"),
        (json!({"callee_id": bob.id, "media": "smell"}), "media"),
    ] {
        alice.post("/calls", body).await.problem(400, "invalid_argument", field);
    }
    let nobody = json!({"callee_id": uuid::Uuid::new_v4(), "media": "audio"});
    alice.post("/calls", nobody).await.problem(404, "not_found", "");
    for _ in 0..5 {
        place(&alice, &bob).await;
    }
    let body = json!({"callee_id": bob.id, "media": "video"});
    alice.post("/calls", body).await.problem(429, "resource_exhausted", "");
}

#[tokio::test]
async fn callees_decline_and_callers_cancel() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let call = place(&alice, &bob).await;
    let path = format!("/calls/{}", call["id"].as_str().unwrap());
    alice.post(&format!("{path}/accept"), json!({})).await.problem(403, "permission_denied", "");
    alice.post(&format!("{path}/decline"), json!({})).await.problem(403, "permission_denied", "");
    let declined = bob.post(&format!("{path}/decline"), json!({})).await.expect(200);
    assert_eq!((&declined["status"], &declined["end_reason"]), (&json!("declined"), &json!("declined")));
    assert_eq!(alice.get(&path).await.expect(200), declined);
    bob.post(&format!("{path}/accept"), json!({})).await.problem(409, "failed_precondition", "");
    alice.post(&format!("{path}/token"), json!({})).await.problem(409, "failed_precondition", "");
    assert_eq!(alice.post(&format!("{path}/end"), json!({})).await.expect(200), declined);

    let call = place(&alice, &bob).await;
    let path = format!("/calls/{}", call["id"].as_str().unwrap());
    let cancelled = alice.post(&format!("{path}/end"), json!({})).await.expect(200);
    assert_eq!((&cancelled["status"], &cancelled["end_reason"]), (&json!("missed"), &json!("cancelled")));
}

#[tokio::test]
async fn reported_facts_move_a_call_and_count_once() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let call = place(&alice, &bob).await;
    let bus = Bus::new(RedisServer::shared().url());
    eventually(SOON, || async {
        // Published until heard: the subscription may still be on its way.
        bus.publish(event("room:participant_joined", &call, Some((&alice, "PA_1"))));
        status(&alice, &call).await == "ringing"
    })
    .await;
    let path = format!("/calls/{}", call["id"].as_str().unwrap());
    let accepted = bob.post(&format!("{path}/accept"), json!({})).await.expect(200);
    assert_eq!(
        (&accepted["call"]["status"], &accepted["join"]["identity"]),
        (&json!("ringing"), &json!(bob.id))
    );

    let joined = event("room:participant_joined", &call, Some((&bob, "PA_2")));
    bus.publish(joined.clone());
    eventually(SOON, || async { status(&bob, &call).await == "active" }).await;

    // Bob goes; the report of his arrival, delivered again, does not bring him back.
    bus.publish(event("room:participant_left", &call, Some((&bob, "PA_2"))));
    bus.publish(joined);
    bus.publish(event("room:ended", &call, None));
    eventually(SOON, || async { status(&alice, &call).await == "completed" }).await;
    let ended = alice.get(&path).await.expect(200);
    assert!(ended["duration_seconds"].as_i64().unwrap() >= 0);
    assert_eq!(ended["end_reason"], json!("room_ended"));

    let mut db = stack.database.superuser().await;
    let (seen,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM dashboard.processed_events WHERE event_type = 'room:ended'")
            .fetch_one(&mut db)
            .await
            .unwrap();
    assert_eq!(seen, 1);
}

#[tokio::test]
async fn facts_about_strangers_and_foreign_rooms_change_nothing() {
    let stack = Stack::start().await;
    let (alice, bob, eve) =
        (stack.person("Alice").await, stack.person("Bob").await, stack.person("Eve").await);
    let (call, other) = (place(&alice, &bob).await, place(&alice, &bob).await);
    let bus = Bus::new(RedisServer::shared().url());
    let room = |name: &str| Event::new("room:ended", Some(name.to_owned()), json!({"room_name": name}));
    for junk in [
        event("room:participant_joined", &call, Some((&eve, "PA_9"))),
        room("call-not-an-id"),
        room("lobby"),
        Event::new("room:ended", None, json!({"room_name": 7})),
        Event::new("room:participant_joined", None, json!({})),
    ] {
        bus.publish(junk);
    }
    // Events of one publisher come in order: once this one has worked, the others have been seen.
    eventually(SOON, || async {
        bus.publish(event("room:participant_joined", &other, Some((&alice, "PA_1"))));
        status(&alice, &other).await == "ringing"
    })
    .await;
    assert_eq!(status(&alice, &call).await, "initiated");
}

#[tokio::test]
async fn unanswered_calls_end_by_time_also_across_a_restart() {
    let options = || {
        Options::default()
            .set("AURA_DASHBOARD__CALLS__JOIN_TIMEOUT_S", 1)
            .set("AURA_DASHBOARD__CALLS__RING_TIMEOUT_S", 1)
    };
    let stack = Stack::with(options()).await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let call = place(&alice, &bob).await;
    eventually(SOON, || async { status(&alice, &call).await == "failed" }).await;
    let failed = bob.get(&format!("/calls/{}", call["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(failed["end_reason"], json!("caller_never_joined"));

    let call = place(&alice, &bob).await;
    let bus = Bus::new(RedisServer::shared().url());
    eventually(SOON, || async {
        bus.publish(event("room:participant_joined", &call, Some((&alice, "PA_1"))));
        status(&alice, &call).await != "initiated"
    })
    .await;
    // No timer lives in the process that goes down here.
    let database = stack.stop().await;
    let stack = Stack::with(Options { database: Some(database), ..options() }).await;
    let alice = alice.moved_to(&stack);
    eventually(SOON, || async { status(&alice, &call).await == "missed" }).await;
}

#[tokio::test]
async fn hanging_up_while_the_sfu_is_away_is_kept_as_a_promise() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let call = place(&alice, &bob).await;
    let bus = Bus::new(RedisServer::shared().url());
    eventually(SOON, || async {
        bus.publish(event("room:participant_joined", &call, Some((&alice, "PA_1"))));
        bus.publish(event("room:participant_joined", &call, Some((&bob, "PA_2"))));
        status(&alice, &call).await == "active"
    })
    .await;
    let path = format!("/calls/{}", call["id"].as_str().unwrap());
    let answer = alice.post(&format!("{path}/end"), json!({})).await.expect(200);
    assert_eq!(answer["status"], json!("active"), "only the SFU's word completes a call");
    alice.post(&format!("{path}/token"), json!({})).await.problem(409, "failed_precondition", "");
    let mut db = stack.database.superuser().await;
    let (open,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM dashboard.room_deletions WHERE done_at IS NULL AND livekit_room = $1",
    )
    .bind(format!("call-{}", call["id"].as_str().unwrap()))
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert_eq!(open, 1);
    bus.publish(event("room:ended", &call, None));
    eventually(SOON, || async { status(&alice, &call).await == "completed" }).await;
    assert_eq!(alice.get(&path).await.expect(200)["end_reason"], json!("hung_up"));
}
