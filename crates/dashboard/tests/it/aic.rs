//! Low-bandwidth audio through the real codec service: settings, reports, measurements; each user's own.

use crate::client::Person;
use crate::stack::{Options, Stack, now};
use aura_testkit::eventually;
use serde_json::{Value, json};
use std::time::Duration;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);

/// Ten seconds of speech at 6 kbit/s where Opus would have taken 32; with `change` in it.
pub(crate) fn report(change: Value) -> Value {
    let mut report = json!({
        "session_id": Uuid::new_v4(), "sequence": 0, "mode": "adaptive", "model": "aic16m-1",
        "window_ms": 10_000, "frames": 500, "coded_bytes": 8_000, "native_bytes": 40_000,
        "quality_mean": 0.9, "quality_min": 0.86, "latency_mean_ms": 1.5, "latency_p95_ms": 2.5,
    });
    let Value::Object(change) = change else { panic!("a change is an object") };
    report.as_object_mut().unwrap().extend(change);
    report
}

async fn sessions(of: &Person) -> Vec<Value> {
    of.get("/aic/sessions").await.expect(200)["items"].as_array().unwrap().clone()
}

/// The totals of the last hour and the next minute: clocks of database and test may differ.
async fn totals(of: &Person) -> Value {
    let to = (now() + Duration::from_secs(60)).format(&Rfc3339).unwrap();
    let mut total = of.get(&format!("/aic/metrics?to={to}")).await.expect(200)["total"].take();
    // Where the span begins: moves with the clock.
    total.as_object_mut().unwrap().remove("at");
    total
}

#[tokio::test]
async fn requests_are_judged_before_the_service_is_asked() {
    let stack = Stack::with(Options::default().set("AURA_DASHBOARD__LIMITS__AIC_REPORTS_PER_USER", 3)).await;
    let alice = stack.person("Alice").await;
    for path in ["/aic/config", "/aic/metrics", "/aic/sessions", "/aic/alerts", "/aic/models"] {
        alice.get(path).await.problem(503, "unavailable", "");
    }
    for (query, field) in [
        ("metrics?from=yesterday", "from"),
        ("metrics?to=2026-11-21", "to"),
        ("metrics?from=2026-11-21T07:00:00Z&to=2026-11-21T06:00:00Z", "from"),
        ("metrics?bucket_s=4", "bucket_s"),
        ("metrics?bucket_s=many", "bucket_s"),
        ("metrics?from=2026-11-01T00:00:00Z&to=2026-11-21T00:00:00Z&bucket_s=60", "bucket_s"),
        ("metrics?session_id=7", "session_id"),
        ("metrics?user_id=7", "user_id"),
        ("sessions?limit=0", "limit"),
        ("sessions?cursor=nonsense", "cursor"),
        ("sessions?open=maybe", "open"),
        ("models?hours=0", "hours"),
        ("models?hours=721", "hours"),
        ("models?hours=many", "hours"),
    ] {
        alice.get(&format!("/aic/{query}")).await.problem(400, "invalid_argument", field);
    }
    for (change, field) in [
        (json!({"target_compression_ratio": 1}), "target_compression_ratio"),
        (json!({"max_latency_ms": 0}), "max_latency_ms"),
        (json!({"min_quality_score": -0.1}), "min_quality_score"),
        (json!({"mode": "turbo"}), "mode"),
        (json!({"gpu": {"enabled": true, "device_id": 64}}), "gpu.device_id"),
        (json!({"gpu": {"enabled": true, "device_id": 0, "volts": 12}}), "gpu.volts"),
    ] {
        alice.post("/aic/config", change).await.problem(400, "invalid_argument", field);
    }
    for (change, field) in [
        (json!({"frames": 700}), "frames"),
        (json!({"fallback_frames": 501}), "fallback_frames"),
        (json!({"native_bytes": 1_000_000}), "native_bytes"),
        (json!({"quality_min": 2}), "quality_min"),
        (json!({"latency_p95_ms": -1}), "latency_p95_ms"),
        (json!({"window_ms": 60_001}), "window_ms"),
        (json!({"model": "<script>"}), "model"),
        (json!({"room": "lobby"}), "room"),
        (json!({"track": "a b"}), "track"),
        (json!({"fallbacks": {"weather": 1}}), "fallbacks"),
        (json!({"user_id": Uuid::new_v4()}), "user_id"),
    ] {
        let answer = alice.post("/aic/metrics", report(change)).await;
        let problem = answer.expect(400);
        let named = problem["errors"][0]["field"].as_str().unwrap();
        assert!(named.starts_with(field), "{field}: {problem}");
    }
    for _ in 0..3 {
        alice.post("/aic/metrics", report(json!({}))).await.problem(503, "unavailable", "");
    }
    alice.post("/aic/metrics", report(json!({}))).await.problem(429, "resource_exhausted", "");
    stack.person("Bob").await.post("/aic/metrics", report(json!({}))).await.problem(503, "unavailable", "");
}

#[tokio::test]
async fn settings_are_each_users_own() {
    let (stack, _codec) = Stack::with_codec().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let defaults = alice.get("/aic/config").await.expect(200);
    let expected = json!({
        "enabled": true, "mode": "adaptive", "target_compression_ratio": 0.8, "max_latency_ms": 20.0,
        "min_quality_score": 0.85, "enable_fallback": true, "gpu": {"enabled": false, "device_id": 0},
        "updated_at": null,
    });
    assert_eq!(defaults, expected);

    let changed =
        alice.post("/aic/config", json!({"mode": "aggressive", "max_latency_ms": 30})).await.expect(200);
    assert_eq!(
        (&changed["mode"], &changed["max_latency_ms"], &changed["min_quality_score"]),
        (&json!("aggressive"), &json!(30.0), &json!(0.85))
    );
    assert!(changed["updated_at"].is_string());
    assert_eq!(alice.get("/aic/config").await.expect(200), changed);
    assert_eq!(bob.get("/aic/config").await.expect(200), defaults);

    let whole = json!({
        "enabled": false, "mode": "conservative", "target_compression_ratio": 0.5, "max_latency_ms": 10,
        "min_quality_score": 0.9, "enable_fallback": false, "gpu": {"enabled": true, "device_id": 1},
    });
    let put = |body: Value| {
        let request = alice.request(http::Method::PUT, "/aic/config").json(&body);
        crate::client::Answer::of(request)
    };
    let stored = put(whole.clone()).await.expect(200);
    for (field, value) in whole.as_object().unwrap() {
        if field == "max_latency_ms" {
            assert_eq!(stored[field], json!(10.0));
        } else {
            assert_eq!(&stored[field], value, "{field}");
        }
    }
    // Absent from a PUT: off, not as before.
    let mut without = whole;
    without.as_object_mut().unwrap().remove("gpu");
    assert_eq!(put(without).await.expect(200)["gpu"], json!({"enabled": false, "device_id": 0}));
}

#[tokio::test]
async fn reports_become_sessions_and_measurements_of_their_user_alone() {
    let (stack, _codec) = Stack::with_codec().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let room = alice.room().await;
    let session = Uuid::new_v4();
    let send = async |by: &Person, change: Value| {
        let mut body = report(json!({"session_id": session, "room": room}));
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        by.post("/aic/metrics", body).await.expect(204);
    };
    send(&alice, json!({"sequence": 0})).await;
    send(&alice, json!({"sequence": 0})).await;
    let fallback = json!({
        "sequence": 1, "fallback_frames": 50, "coded_bytes": 12_000, "fallbacks": {"content": 2}, "ended": true
    });
    send(&alice, fallback).await;
    eventually(SOON, || async { totals(&alice).await["figures"]["frames"] == json!(1000) }).await;

    let total = totals(&alice).await;
    let figures = &total["figures"];
    assert_eq!((&figures["coded_bytes"], &figures["native_bytes"]), (&json!(20_000), &json!(80_000)));
    assert_eq!((&figures["saved_bytes"], &figures["compression_ratio"]), (&json!(60_000), &json!(0.75)));
    assert_eq!((&figures["fallback_rate"], &total["fallbacks"]), (&json!(0.05), &json!({"content": 2})));
    let listed = sessions(&alice).await;
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["id"], &listed[0]["room"]), (&json!(session), &json!(room)));
    assert_eq!((&listed[0]["kind"], &listed[0]["direction"]), (&json!("browser"), &json!("send")));
    assert_eq!(listed[0]["figures"]["frames"], json!(1000));
    assert_eq!((&listed[0]["fallbacks"], &listed[0]["last_fallback_reason"]), (&json!(2), &json!("content")));
    assert!(listed[0]["ended_at"].is_string());
    assert!(alice.get("/aic/sessions?open=true").await.expect(200)["items"].as_array().unwrap().is_empty());

    // Somebody else's: not seen, and not touched by using the same id.
    assert!(sessions(&bob).await.is_empty());
    assert_eq!(totals(&bob).await["figures"]["frames"], json!(0));
    let foreign = bob.get(&format!("/aic/metrics?session_id={session}")).await.expect(200);
    assert_eq!(foreign["points"], json!([]));
    send(&bob, json!({"sequence": 9, "frames": 1, "coded_bytes": 16, "native_bytes": 80})).await;
    eventually(SOON, || async { sessions(&bob).await.len() == 1 }).await;
    assert_eq!(sessions(&alice).await, listed);
    assert_eq!(totals(&alice).await, total);
}

#[tokio::test]
async fn sessions_come_in_pages_newest_first() {
    let (stack, _codec) = Stack::with_codec().await;
    let alice = stack.person("Alice").await;
    let mut made = Vec::new();
    for _ in 0..5 {
        let body = report(json!({}));
        made.insert(0, body["session_id"].clone());
        alice.post("/aic/metrics", body).await.expect(204);
    }
    eventually(SOON, || async { sessions(&alice).await.len() == 5 }).await;
    let (mut seen, mut path) = (Vec::new(), "/aic/sessions?limit=2".to_owned());
    loop {
        let page = alice.get(&path).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|session| session["id"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/aic/sessions?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn alerts_are_each_users_own_and_models_everybodys() {
    let (stack, _codec) = Stack::with_codec().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let list = async |of: &Person, what: &str| {
        of.get(&format!("/aic/{what}")).await.expect(200)["items"].as_array().unwrap().clone()
    };
    assert!(list(&alice, "alerts").await.is_empty() && list(&alice, "models").await.is_empty());
    sqlx::query(
        "INSERT INTO aic.aic_alerts (user_id, id, rule, instance, value, threshold, started_at, fired_at, seen_at)
         VALUES ($1::uuid, $2, 'fallback_rate', 'x', 0.2, 0.05, now(), now(), now())",
    )
    .bind(&alice.id)
    .bind(Uuid::now_v7())
    .execute(&mut stack.database.superuser().await)
    .await
    .unwrap();
    let alerts = list(&alice, "alerts").await;
    assert_eq!(alerts.len(), 1);
    assert_eq!((&alerts[0]["rule"], &alerts[0]["value"]), (&json!("fallback_rate"), &json!(0.2)));
    assert_eq!((&alerts[0]["threshold"], &alerts[0]["resolved_at"]), (&json!(0.05), &Value::Null));
    assert!(list(&bob, "alerts").await.is_empty());

    alice.post("/aic/metrics", report(json!({"fallback_frames": 50}))).await.expect(204);
    eventually(SOON, || async { !list(&bob, "models?hours=2").await.is_empty() }).await;
    let words = report(json!({"model": "buy-cheap-watches"}));
    alice.post("/aic/metrics", words).await.expect(204);
    eventually(SOON, || async { list(&bob, "models").await.len() == 2 }).await;
    // The newest hour comes first, and an hour may have turned between the two reports.
    let mut models = list(&bob, "models").await;
    models.sort_by_key(|row| row["model"].to_string());
    assert_eq!(models[1]["model"], json!("other"), "a client's words are not for everybody");
    assert_eq!((&models[0]["model"], &models[0]["backend"]), (&json!("aic16m-1"), &json!("browser")));
    assert_eq!((&models[0]["frames"], &models[0]["fallback_rate"]), (&json!(500), &json!(0.1)));
    assert!(!models[0].to_string().contains(&alice.id));
}

#[tokio::test]
async fn the_service_may_die_and_return() {
    let (stack, mut codec) = Stack::with_codec().await;
    let alice = stack.person("Alice").await;
    alice.post("/aic/config", json!({"mode": "conservative"})).await.expect(200);
    codec.kill().await;
    alice.get("/aic/config").await.problem(503, "unavailable", "");
    alice.get("/rooms").await.expect(200);
    codec.restart().await;
    eventually(SOON, || async { alice.get("/aic/config").await.status == 200 }).await;
    assert_eq!(alice.get("/aic/config").await.expect(200)["mode"], json!("conservative"));
}
