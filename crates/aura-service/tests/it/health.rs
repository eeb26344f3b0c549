//! Health, readiness and metrics over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use aura_service::{Health, http};
use aura_types::{ManualClock, SystemClock};
use serde_json::{Value, json};

use crate::{lifecycle, listener, stop};

async fn get(url: &str) -> (u16, Value) {
    let response = reqwest::get(url).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn the_three_endpoints() {
    let life = lifecycle();
    let clock = ManualClock::new(time::OffsetDateTime::UNIX_EPOCH + Duration::from_millis(1_234));
    let health = Health::new("sample", "1.2.3", life.clone(), clock.shared());
    let up = Arc::new(AtomicBool::new(true));
    let asked = Arc::new(AtomicU32::new(0));
    let (is_up, count) = (Arc::clone(&up), Arc::clone(&asked));
    health.add("database", move || {
        count.fetch_add(1, Ordering::Relaxed);
        let answer = is_up.load(Ordering::Relaxed);
        async move { answer }
    });
    let addr = http::serve(
        listener().await,
        http::shell(health.router(), "sample", http::TrustedProxies::default()),
        &life,
        "admin",
    )
    .unwrap();
    let url = |path: &str| format!("http://{addr}{path}");

    let (status, body) = get(&url("/health")).await;
    assert_eq!(status, 200);
    assert_eq!(body, json!({"status": "healthy", "version": "1.2.3", "checks": {}, "timestamp": 1_234}));
    assert_eq!(asked.load(Ordering::Relaxed), 0, "liveness touches nothing");

    let (status, body) = get(&url("/ready")).await;
    assert_eq!(status, 200);
    assert_eq!(body, json!({"status": "ready", "checks": {"database": true}, "timestamp": 1_234}));
    for _ in 0..5 {
        get(&url("/ready")).await;
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "asking often does not load the database");

    up.store(false, Ordering::Relaxed);
    clock.advance(Duration::from_secs(1));
    let (status, body) = get(&url("/ready")).await;
    assert_eq!(status, 503);
    assert_eq!(body, json!({"status": "not_ready", "checks": {"database": false}, "timestamp": 2_234}));
    let (_, body) = get(&url("/health")).await;
    assert_eq!((&body["status"], &body["checks"]), (&json!("healthy"), &json!({"database": false})));

    metrics::counter!("aura_sample_things_total").increment(3);
    let response = reqwest::get(url("/metrics")).await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let text = response.text().await.unwrap();
    assert!(text.contains("aura_sample_things_total 3"), "{text}");
    assert!(text.contains(r#"http_route="/ready""#), "{text}");
    stop(&life).await;
}

#[tokio::test]
async fn what_can_be_done_without_is_shown_and_decides_nothing() {
    let health = Health::new("sample", "1", lifecycle(), SystemClock::shared());
    health.add("database", || std::future::ready(true));
    health.add_soft("redis", || std::future::ready(false));
    let readiness = health.readiness().await;
    assert!(readiness.is_ready() && !readiness.checks["redis"] && readiness.checks["database"]);
}

#[tokio::test]
async fn draining_and_hanging_dependencies_are_not_ready() {
    let life = lifecycle();
    let health = Health::new("sample", "1", life.clone(), SystemClock::shared());
    assert!(health.readiness().await.is_ready());
    health.add("stuck", std::future::pending);
    let started = tokio::time::Instant::now();
    // The answer of a moment ago is still good for a moment.
    aura_testkit::eventually(Duration::from_secs(5), || async { !health.readiness().await.is_ready() }).await;
    assert!(started.elapsed() < Duration::from_secs(4));

    let life = lifecycle();
    let health = Health::new("sample", "1", life.clone(), SystemClock::shared());
    life.shutdown("test");
    assert!(!health.readiness().await.is_ready());
}
