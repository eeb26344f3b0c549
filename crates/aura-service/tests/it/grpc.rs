//! The gRPC edge: who may call what, and a peer that dies and returns.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use aura_service::auth::service::ServiceKeys;
use aura_service::grpc::{Channel, Client, Peer, PeerPolicy, Server, Tls};
use aura_service::resilience::{BreakerConfig, RetryPolicy};
use aura_service::{Health, Lifecycle, request_scope};
use aura_types::SystemClock;
use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::{SECRET, lifecycle, listener, stop};

type Text = ProstCodec<String, String>;

/// `sample.Echo/Say` answers with what it saw; `/Fail` fails as told, but only so many times.
#[derive(Debug, Clone, Default)]
pub(crate) struct Echo {
    calls: Arc<AtomicU32>,
    failures_left: Arc<AtomicU32>,
}

impl NamedService for Echo {
    const NAME: &'static str = "sample.Echo";
}

impl Echo {
    fn answer(&self, method: &str, request: &Request<String>) -> Result<Response<String>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if method == "Fail"
            && self
                .failures_left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok()
        {
            return Err(Status::unavailable("not now"));
        }
        let peer =
            request.extensions().get::<Peer>().map(|peer| format!("{}:{:?}", peer.service, peer.source));
        let id = request_scope::request_id().unwrap_or_default();
        Ok(Response::new(format!("{}|{}|{id}", request.get_ref(), peer.unwrap_or_default())))
    }
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let handler = tower::service_fn(move |request: Request<String>| {
                let answer = this.answer(&method, &request);
                async move { answer }
            });
            Ok(tonic::server::Grpc::new(Text::default()).unary(handler, request).await)
        })
    }
}

pub(crate) async fn call(channel: &Channel, path: &'static str, text: &str) -> Result<String, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
    let path = PathAndQuery::from_static(path);
    let response = grpc.unary(Request::new(text.to_owned()), path, Text::default()).await?;
    Ok(response.into_inner())
}

pub(crate) fn keys() -> ServiceKeys {
    ServiceKeys::new(&SECRET.into()).unwrap()
}

pub(crate) fn policy() -> PeerPolicy {
    PeerPolicy::new().allow("dashboard", "sample.Echo").allow("mesh-router", "sample.Echo/Other")
}

pub(crate) async fn serve(life: &Lifecycle, echo: Echo, tls: Option<Tls>) -> SocketAddr {
    let server = Server::new("sample", SystemClock::shared(), keys()).policy(policy()).tls(tls);
    server.serve(listener().await, tonic::service::Routes::new(echo), life).unwrap()
}

fn client(me: &'static str, addr: SocketAddr) -> Client {
    Client::new(me, format!("http://{addr}"), keys(), SystemClock::shared())
}

#[tokio::test]
async fn the_policy_decides_by_service_token() {
    let life = lifecycle();
    let addr = serve(&life, Echo::default(), None).await;
    let dashboard = client("dashboard", addr).connect_lazy().unwrap();
    let mut headers = http::HeaderMap::new();
    headers.insert("x-request-id", "req-7".parse().unwrap());
    let scope = request_scope::RequestScope::from_headers(&headers);
    let answer = scope.run(call(&dashboard, "/sample.Echo/Say", "hi")).await.unwrap();
    assert_eq!(answer, "hi|dashboard:Token|req-7", "identity and request id arrive");

    let mesh = client("mesh-router", addr).connect_lazy().unwrap();
    let denied = call(&mesh, "/sample.Echo/Say", "hi").await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let stranger = client("stranger", addr).connect_lazy().unwrap();
    assert_eq!(call(&stranger, "/sample.Echo/Say", "hi").await.unwrap_err().code(), Code::PermissionDenied);

    let other_keys = ServiceKeys::new(&"another-secret-of-thirty-two-byte".into()).unwrap();
    let forger = Client::new("dashboard", format!("http://{addr}"), other_keys, SystemClock::shared());
    let forger = forger.connect_lazy().unwrap();
    assert_eq!(call(&forger, "/sample.Echo/Say", "hi").await.unwrap_err().code(), Code::Unauthenticated);
    stop(&life).await;
}

#[tokio::test]
async fn health_is_open_to_all_and_mirrors_readiness() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;

    let life = lifecycle();
    let health = Health::new("sample", "1", life.clone(), SystemClock::shared());
    health.add("database", || async { false });
    let server = Server::new("sample", SystemClock::shared(), keys()).health(&health);
    let addr = server.serve(listener().await, tonic::service::Routes::new(Echo::default()), &life).unwrap();
    let plain = tonic::transport::Endpoint::from_shared(format!("http://{addr}")).unwrap().connect_lazy();
    let client = HealthClient::new(plain);
    aura_testkit::eventually(Duration::from_secs(5), || {
        let mut client = client.clone();
        async move {
            let status = client.check(HealthCheckRequest::default()).await.unwrap().into_inner().status();
            status == ServingStatus::NotServing
        }
    })
    .await;
    stop(&life).await;
}

#[tokio::test]
async fn only_idempotent_methods_are_repeated() {
    let life = lifecycle();
    let echo = Echo::default();
    let addr = serve(&life, echo.clone(), None).await;
    let quick = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
    let channel =
        client("dashboard", addr).retry(quick).idempotent(&["/sample.Echo/Fail"]).connect_lazy().unwrap();
    echo.failures_left.store(2, Ordering::Relaxed);
    assert!(call(&channel, "/sample.Echo/Fail", "x").await.unwrap().starts_with("x|"));
    assert_eq!(echo.calls.load(Ordering::Relaxed), 3);

    echo.failures_left.store(1, Ordering::Relaxed);
    let channel = client("dashboard", addr).retry(quick).connect_lazy().unwrap();
    assert_eq!(call(&channel, "/sample.Echo/Fail", "x").await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(echo.calls.load(Ordering::Relaxed), 4);
    stop(&life).await;
}

#[tokio::test]
async fn a_dead_peer_is_noticed_fast_and_its_return_too() {
    let life = lifecycle();
    let addr = serve(&life, Echo::default(), None).await;
    let breaker = BreakerConfig {
        failures: 2,
        open_for: Duration::from_millis(100),
        max_open_for: Duration::from_millis(100),
    };
    let channel = client("dashboard", addr).breaker(breaker).connect_lazy().unwrap();
    call(&channel, "/sample.Echo/Say", "x").await.unwrap();
    stop(&life).await;

    for _ in 0..2 {
        assert_eq!(call(&channel, "/sample.Echo/Say", "x").await.unwrap_err().code(), Code::Unavailable);
    }
    let refused = call(&channel, "/sample.Echo/Say", "x").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("circuit"), "{refused:?}");

    let life = lifecycle();
    let listener = aura_service::http::bind(addr).await.unwrap();
    let server = Server::new("sample", SystemClock::shared(), keys()).policy(policy());
    server.serve(listener, tonic::service::Routes::new(Echo::default()), &life).unwrap();
    aura_testkit::eventually(Duration::from_secs(5), || async {
        call(&channel, "/sample.Echo/Say", "x").await.is_ok()
    })
    .await;
    stop(&life).await;
}
