//! A call through the REST API, from sign-up to `completed`, with every state taken from what the SFU saw.

use std::time::Duration;

use auralink_tests::{Outcome, Person, PythonParticipant, Stack, entries, fixture, wait};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);

async fn status_becomes(person: &Person, call: &str, status: &str) -> Value {
    wait::until(&format!("the call is {status}"), LIMIT, || async {
        let call = person.get(&format!("/calls/{call}")).await.map_err(|error| format!("{error:#}"))?;
        if call["status"] == status { Ok(call) } else { Err(call.to_string()) }
    })
    .await
}

/// Joins with what the API handed out.
async fn enter(join: &Value) -> anyhow::Result<PythonParticipant> {
    let text = |field: &str| join[field].as_str().unwrap_or_default().to_owned();
    let participant = PythonParticipant::join(&text("url"), &text("token"), true).await?;
    participant.publish().await?;
    Ok(participant)
}

#[tokio::test]
async fn a_call_from_sign_up_to_completed() -> Outcome {
    let _turn = fixture::turn().await;
    let stack = Stack::start().await?;
    let api = stack.api();
    let alice = api.sign_up("Alice").await?;
    let bob = api.sign_up("Bob").await?;
    let eve = api.sign_up("Eve").await?;
    assert_eq!(alice.session["user"]["aura_id"].as_str().map(|id| id.ends_with(".aura")), Some(true));

    let placed = alice.post("/calls", json!({ "callee_id": bob.id, "media": "video" })).await?;
    let id = placed["call"]["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(placed["call"]["status"], "initiated");
    assert_eq!(placed["join"]["livekit_room"], format!("call-{id}"));
    assert_eq!(placed["call"]["duration_seconds"], Value::Null);

    // The caller's own word moves nothing: the SFU reports that she is there.
    let at_alice = enter(&placed["join"]).await?;
    let ringing = status_becomes(&bob, &id, "ringing").await;
    assert!(ringing["ringing_at"].is_string() && ringing["answered_at"].is_null(), "{ringing}");

    let accepted = bob.post(&format!("/calls/{id}/accept"), json!({})).await?;
    let at_bob = enter(&accepted["join"]).await?;
    let active = status_becomes(&alice, &id, "active").await;
    assert!(active["answered_at"].is_string(), "{active}");
    tokio::join!(at_alice.sees_and_hears([&at_bob]), at_bob.sees_and_hears([&at_alice]));

    let (status, problem) = eve.send(Method::POST, &format!("/calls/{id}/token"), Some(&json!({}))).await?;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");

    alice.post(&format!("/calls/{id}/end"), json!({})).await?;
    at_bob.event("disconnected", |_| true).await;
    let completed = status_becomes(&bob, &id, "completed").await;
    assert!(completed["ended_at"].is_string(), "{completed}");
    let seconds = completed["duration_seconds"].as_u64();
    assert!(seconds.is_some_and(|seconds| seconds < 60), "{completed}");

    for person in [&alice, &bob] {
        let history = person.get("/calls").await?;
        assert!(entries(&history["items"]).any(|call| call["id"] == json!(id)), "{history}");
    }
    let (status, problem) = eve.send(Method::GET, &format!("/calls/{id}"), None).await?;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
    assert_eq!(eve.get("/calls").await?["items"], json!([]));
    Ok(())
}

#[tokio::test]
async fn who_leaves_ends_the_call_after_the_grace() -> Outcome {
    let _turn = fixture::turn().await;
    let stack = Stack::start().await?;
    let alice = stack.api().sign_up("Alice").await?;
    let bob = stack.api().sign_up("Bob").await?;
    let placed =
        alice.post("/calls", json!({ "callee_aura_id": bob.session["user"]["aura_id"], "media": "audio" }));
    let placed = placed.await?;
    let id = placed["call"]["id"].as_str().unwrap_or_default().to_owned();
    let _at_alice = enter(&placed["join"]).await?;
    status_becomes(&bob, &id, "ringing").await;
    let accepted = bob.post(&format!("/calls/{id}/accept"), json!({})).await?;
    let at_bob = enter(&accepted["join"]).await?;
    status_becomes(&alice, &id, "active").await;

    at_bob.call("leave", json!({})).await?;
    let completed = wait::until("the grace for reconnects passes", Duration::from_secs(40), || async {
        let call = alice.get(&format!("/calls/{id}")).await.map_err(|error| format!("{error:#}"))?;
        if call["status"] == "completed" { Ok(call) } else { Err(call.to_string()) }
    })
    .await;
    assert!(completed["duration_seconds"].is_u64(), "{completed}");
    Ok(())
}

#[tokio::test]
async fn a_declined_call_and_a_cancelled_one() -> Outcome {
    let stack = Stack::start().await?;
    let alice = stack.api().sign_up("Alice").await?;
    let bob = stack.api().sign_up("Bob").await?;

    let placed = alice.post("/calls", json!({ "callee_id": bob.id, "media": "audio" })).await?;
    let id = placed["call"]["id"].as_str().unwrap_or_default().to_owned();
    let _at_alice = enter(&placed["join"]).await?;
    status_becomes(&bob, &id, "ringing").await;
    let (status, problem) =
        alice.send(Method::POST, &format!("/calls/{id}/accept"), Some(&json!({}))).await?;
    assert!(status.is_client_error(), "the caller accepted her own call: {problem}");
    bob.post(&format!("/calls/{id}/decline"), json!({})).await?;
    let declined = status_becomes(&alice, &id, "declined").await;
    assert_eq!(declined["duration_seconds"], Value::Null, "{declined}");
    let (status, problem) = bob.send(Method::POST, &format!("/calls/{id}/accept"), Some(&json!({}))).await?;
    assert!(status.is_client_error(), "accepted after declining: {problem}");

    let placed = alice.post("/calls", json!({ "callee_id": bob.id, "media": "audio" })).await?;
    let id = placed["call"]["id"].as_str().unwrap_or_default().to_owned();
    let _at_alice = enter(&placed["join"]).await?;
    status_becomes(&bob, &id, "ringing").await;
    alice.post(&format!("/calls/{id}/end"), json!({})).await?;
    status_becomes(&bob, &id, "missed").await;
    Ok(())
}
