//! What the public port serves beside the API: the app, health, and the headers around everything.

use crate::stack::Stack;
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let stack = Stack::start().await;
    for path in ["/", "/api/v1/auth/me", "/api/docs", "/api/openapi.json"] {
        let answer = stack.anonymous().get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(
            policy.contains("connect-src 'self' ws://127.0.0.1:7880 http://127.0.0.1:7880"),
            "{path}: {policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn pages_of_the_app_are_the_app_and_unknown_api_paths_are_problems() {
    let stack = Stack::start().await;
    let client = stack.anonymous();
    let get = async |path: &str| reqwest::get(client.url(path)).await.unwrap();
    for page in ["/", "/login", "/room/1", "/join/abc", "/share/abc"] {
        let answer = get(page).await;
        assert_eq!(answer.status(), 200, "{page}");
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"), "{page}");
    }
    client.get("/api/v1/nothing").await.problem(404, "not_found", "");
    client.get("/api").await.problem(404, "not_found", "");
    assert_eq!(get("/assets/nothing.js").await.status(), 404);
    let put = client.request(Method::PUT, "/api/v1/rooms").send().await.unwrap();
    assert_eq!(put.status(), 405);
}

#[tokio::test]
async fn health_and_readiness_are_told() {
    let stack = Stack::start().await;
    for address in [stack.addresses.http, stack.addresses.admin] {
        let get = async |path: &str| reqwest::get(format!("http://{address}{path}")).await.unwrap();
        let health: Value = get("/health").await.json().await.unwrap();
        assert_eq!((&health["status"], health["version"].is_string()), (&json!("healthy"), true));
        let ready = get("/ready").await;
        assert_eq!(ready.status(), 200);
        let ready: Value = ready.json().await.unwrap();
        assert_eq!(ready["checks"], json!({"database": true, "redis": true}));
        assert_eq!(get("/metrics").await.status(), 200);
    }
}

#[tokio::test]
async fn the_grpc_port_answers_health() {
    let stack = Stack::start().await;
    let url = format!("http://{}", stack.addresses.grpc);
    let channel = tonic::transport::Channel::from_shared(url).unwrap().connect().await.unwrap();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    aura_testkit::eventually(std::time::Duration::from_secs(10), || {
        let mut health = health.clone();
        async move {
            let reply =
                health.check(tonic_health::pb::HealthCheckRequest { service: String::new() }).await.unwrap();
            reply.into_inner().status() == tonic_health::pb::health_check_response::ServingStatus::Serving
        }
    })
    .await;
    let unknown = tonic_health::pb::HealthCheckRequest { service: "nobody".into() };
    assert_eq!(health.check(unknown).await.unwrap_err().code(), tonic::Code::NotFound);
}
