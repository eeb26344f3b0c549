//! The HTTP edge.

use std::sync::Arc;
use std::time::Duration;

use aura_service::error::{Problem, ServiceError};
use aura_service::http::{
    ClientAddress, Json, Limits, Path, Query, TrustedProxies, TrustedProxy, limits, rate_limit, serve, shell,
};
use aura_service::resilience::LocalRateLimiter;
use aura_service::{Lifecycle, request_scope};
use aura_types::{ErrorCode, Quota, RoomId, SystemClock};
use axum::Router;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{lifecycle, listener, stop};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct NewRoom {
    name: String,
    #[serde(default)]
    max_participants: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paging {
    limit: Option<u32>,
}

fn bug() {
    panic!("a bug");
}

fn api() -> Router {
    let small = Router::new()
        .route("/rooms", post(|Json(room): Json<NewRoom>| async move { Json(room) }))
        .route("/rooms/{room_id}", get(|Path(id): Path<RoomId>| async move { id.to_string() }))
        .route("/list", get(|Query(paging): Query<Paging>| async move { Json(json!(paging.limit)) }))
        .route("/optional", post(|Json(paging): Json<Paging>| async move { Json(json!(paging.limit)) }))
        .route("/slow", get(|| async { std::future::pending::<()>().await }))
        .route("/panic", get(|| async { bug() }))
        .route("/fault", get(|| async { ServiceError::internal("the password is hunter2") }))
        .route("/from", get(|ClientAddress(address): ClientAddress| async move { address.to_string() }))
        .route("/id", get(|| async { request_scope::request_id().unwrap_or_default() }));
    limits(small, Limits { body_bytes: 1_000, timeout: Duration::from_millis(200) })
}

struct Server {
    life: Lifecycle,
    base: String,
    client: reqwest::Client,
}

impl Server {
    async fn start(router: Router) -> Self {
        Self::behind(TrustedProxies::default(), router).await
    }

    async fn behind(proxies: TrustedProxies, router: Router) -> Self {
        let life = lifecycle();
        let addr = serve(listener().await, shell(router, "sample", proxies), &life, "http").unwrap();
        Self { life, base: format!("http://{addr}"), client: reqwest::Client::new() }
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let request = self.client.post(format!("{}{path}", self.base));
        request.header("content-type", "application/json").body(body).send().await.unwrap()
    }
}

/// The problem in a response, after checking that every problem is dressed alike.
async fn problem(response: reqwest::Response, status: u16) -> Problem {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let problem: Problem = response.json().await.unwrap();
    assert_eq!((problem.status, problem.request_id.as_deref()), (status, Some(id.as_str())));
    problem
}

#[tokio::test]
async fn refusals_are_problems_that_name_the_field() {
    let server = Server::start(api()).await;
    let cases = [
        (r#"{"name":1}"#, "name"),
        (r#"{"name":"a","admin":true}"#, "admin"),
        ("{}", "name"),
        (r#"{"name":"a","max_participants":-1}"#, "max_participants"),
    ];
    for (body, field) in cases {
        let problem = problem(server.post("/rooms", body).await, 400).await;
        assert_eq!((problem.code, problem.errors[0].field.as_str()), (ErrorCode::InvalidArgument, field));
    }
    problem(server.post("/rooms", "{").await, 400).await;
    problem(server.post("/rooms", vec![0xff, 0xfe]).await, 400).await;
    let too_large = problem(server.post("/rooms", vec![b' '; 2_000]).await, 413).await;
    assert_eq!(too_large.code, ErrorCode::PayloadTooLarge);
    let untyped = server.client.post(format!("{}/rooms", server.base)).body("{}").send().await.unwrap();
    assert_eq!(problem(untyped, 415).await.code, ErrorCode::UnsupportedMediaType);
    let empty = server.client.post(format!("{}/rooms", server.base)).send().await.unwrap();
    assert_eq!(problem(empty, 415).await.code, ErrorCode::UnsupportedMediaType, "a field is required");
    let optional = || server.client.post(format!("{}/optional", server.base));
    for request in [optional(), optional().header("content-type", "Application/JSON; charset=utf-8")] {
        assert_eq!(request.send().await.unwrap().status(), 200, "no body says nothing");
    }
    let other = optional().header("content-type", "text/plain").send().await.unwrap();
    assert_eq!(problem(other, 415).await.code, ErrorCode::UnsupportedMediaType);

    let path = problem(server.get("/rooms/not-a-uuid").await, 400).await;
    assert_eq!(path.errors[0].field, "room_id");
    assert_eq!(problem(server.get("/list?limit=x").await, 400).await.errors[0].field, "limit");
    assert_eq!(problem(server.get("/list?limit=1&admin=1").await, 400).await.errors[0].field, "admin");
    assert_eq!(server.get("/list?limit=7").await.json::<Value>().await.unwrap(), json!(7));
    stop(&server.life).await;
}

#[tokio::test]
async fn faults_of_ours_tell_the_caller_nothing() {
    let server = Server::start(api()).await;
    for path in ["/panic", "/fault"] {
        let problem = problem(server.get(path).await, 500).await;
        assert_eq!(problem.code, ErrorCode::Internal);
        assert!(!problem.detail.contains("hunter2") && !problem.detail.contains("bug"), "{problem:?}");
    }
    assert_eq!(problem(server.get("/slow").await, 504).await.code, ErrorCode::DeadlineExceeded);
    assert_eq!(problem(server.get("/nowhere").await, 404).await.code, ErrorCode::NotFound);
    let wrong_method = server.get("/rooms").await;
    assert_eq!(wrong_method.headers()["allow"], "POST");
    problem(wrong_method, 405).await;
    stop(&server.life).await;
}

#[tokio::test]
async fn the_request_id_travels() {
    let server = Server::start(api()).await;
    let request = server.client.get(format!("{}/id", server.base)).header("x-request-id", "abc-1");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "abc-1");
    assert_eq!(response.text().await.unwrap(), "abc-1");
    let made = server.get("/id").await;
    let id = made.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(made.text().await.unwrap(), id);
    assert!(id.parse::<aura_types::RequestId>().is_ok());
    stop(&server.life).await;
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_return() {
    let limiter = Arc::new(LocalRateLimiter::new(SystemClock::shared()));
    let router = rate_limit(api(), limiter, Quota { burst: 2, refill_per_s: 0.1 }, "sample");
    let proxy: TrustedProxy = "127.0.0.0/8".parse().unwrap();
    let server = Server::behind(vec![proxy].into(), router).await;
    let ask = async |client: &str| {
        let request = server.client.get(format!("{}/from", server.base)).header("x-forwarded-for", client);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response)
    };
    // Whoever has one IPv6 address has 2^64: they count as one, and so does what the client wrote before the proxy did.
    for client in ["2001:db8:1:2::1", "6.6.6.6, 2001:db8:1:2:ffff::1"] {
        let (status, response) = ask(client).await;
        assert_eq!(status, 200);
        assert_eq!(response.text().await.unwrap(), client.rsplit(' ').next().unwrap());
    }
    let (_, refused) = ask("7.7.7.7, 2001:db8:1:2::3").await;
    assert_eq!(refused.headers()["retry-after"], "10");
    assert_eq!(problem(refused, 429).await.code, ErrorCode::ResourceExhausted);
    assert_eq!(ask("2001:db8:1:3::1").await.0, 200);
    assert_eq!(ask("203.0.113.9").await.0, 200);
    assert_eq!(ask("203.0.113.10").await.0, 200, "IPv4 addresses count one by one");
    stop(&server.life).await;
}

/// A client cannot have as many limits as it can think of addresses.
#[tokio::test]
async fn nobody_is_believed_who_is_not_a_named_proxy() {
    let limiter = Arc::new(LocalRateLimiter::new(SystemClock::shared()));
    let router = rate_limit(api(), limiter, Quota { burst: 2, refill_per_s: 0.1 }, "sample");
    let server = Server::start(router).await;
    for (index, status) in [200, 200, 429, 429].into_iter().enumerate() {
        let mut request = server.client.get(format!("{}/from", server.base));
        for name in ["x-forwarded-for", "x-real-ip", "cf-connecting-ip", "forwarded"] {
            request = request.header(name, format!("203.0.113.{index}"));
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{index}");
        if status == 200 {
            assert_eq!(response.text().await.unwrap(), "127.0.0.1");
        }
    }
    stop(&server.life).await;
}

#[tokio::test]
async fn draining_finishes_what_was_begun_and_closes_idle_connections() {
    let (begun, is_begun) = tokio::sync::oneshot::channel();
    let (finish, may_finish) = tokio::sync::oneshot::channel::<()>();
    let gates = Arc::new(tokio::sync::Mutex::new(Some((begun, may_finish))));
    let router = Router::new().route("/id", get(|| async { "x" })).route(
        "/work",
        get(move || async move {
            let (begun, may_finish) = gates.lock().await.take().expect("asked once");
            begun.send(()).unwrap();
            may_finish.await.unwrap();
            "done"
        }),
    );
    let server = Server::start(router).await;
    // An idle keep-alive connection.
    assert_eq!(server.get("/id").await.status(), 200);
    let work = server.get("/work");
    let shutdown = async {
        is_begun.await.unwrap();
        server.life.shutdown("test");
        let soft = server.life.soft();
        let ended = async {
            soft.cancelled().await;
            finish.send(()).unwrap();
        };
        tokio::join!(server.life.wait(), ended).0
    };
    let (response, code) = tokio::join!(work, shutdown);
    assert_eq!(response.text().await.unwrap(), "done");
    assert_eq!(code, 0);
    assert!(server.client.get(format!("{}/id", server.base)).send().await.is_err(), "no longer accepting");
}

#[tokio::test]
async fn garbage_on_the_wire_harms_nobody() {
    let server = Server::start(api()).await;
    let addr = server.base.trim_start_matches("http://");
    let long = vec![b'a'; 1_000_000];
    let oversized_header = [b"GET / HTTP/1.1\r\nx: ", &long[..], b"\r\n\r\n"].concat();
    for garbage in [&b"\x16\x03\x01\x00\xff\x01"[..], b"GET\r\n\r\n", b"\0\0\0\0\0\0\0\0", &oversized_header]
    {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let _ = stream.write_all(garbage).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
    }
    assert_eq!(server.get("/id").await.status(), 200);
    stop(&server.life).await;
}
