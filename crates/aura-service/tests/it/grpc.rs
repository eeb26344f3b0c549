//! The gRPC edge: who may call what, certificates, and a peer that dies and returns.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use aura_service::auth::service::ServiceKeys;
use aura_service::config::Secret;
use aura_service::grpc::{Channel, Client, Peer, PeerPolicy, PeerSource, Server, Tls, TlsConfig, TlsError};
use aura_service::metrics::Metrics;
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
struct Echo {
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

async fn call(channel: &Channel, path: &'static str, text: &str) -> Result<String, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
    let path = PathAndQuery::from_static(path);
    let response = grpc.unary(Request::new(text.to_owned()), path, Text::default()).await?;
    Ok(response.into_inner())
}

fn keys() -> ServiceKeys {
    ServiceKeys::new(&SECRET.into()).unwrap()
}

fn policy() -> PeerPolicy {
    PeerPolicy::new().allow("dashboard", "sample.Echo").allow("mesh-router", "sample.Echo/Other")
}

async fn serve(life: &Lifecycle, echo: Echo, tls: Option<Tls>) -> SocketAddr {
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

/// An authority and the certificates it signs.
struct Authority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        Self { issuer: rcgen::CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    fn identity(&self, dns: &str, uri: &str) -> Tls {
        let [cert, key, ca] = self.pem(dns, uri);
        Tls::from_pem(cert, Secret::new(key), ca).unwrap()
    }

    /// Certificate, key, authority.
    fn pem(&self, dns: &str, uri: &str) -> [String; 3] {
        let mut params = rcgen::CertificateParams::new(vec![dns.to_owned()]).unwrap();
        params.subject_alt_names.push(rcgen::SanType::URI(uri.try_into().unwrap()));
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        [cert.pem(), key.serialize_pem(), self.issuer.pem()]
    }
}

#[tokio::test]
async fn certificates_identify_without_tokens() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let life = lifecycle();
    let tls = ours.identity("sample", "spiffe://auralink/service/sample");
    let addr = serve(&life, Echo::default(), Some(tls)).await;
    let connect = |tls: Option<Tls>, scheme: &str| {
        // A token that claims to be the dashboard: beside a certificate it must not count.
        let client = Client::new("dashboard", format!("{scheme}://{addr}"), keys(), SystemClock::shared());
        client.tls(tls, "sample").connect_lazy().unwrap()
    };

    let dashboard = connect(Some(ours.identity("d", "spiffe://auralink/ns/x/sa/dashboard")), "https");
    let answer = call(&dashboard, "/sample.Echo/Say", "hi").await.unwrap();
    assert!(answer.contains(&format!("dashboard:{:?}", PeerSource::Certificate)), "{answer}");

    let other = connect(Some(ours.identity("o", "spiffe://auralink/service/other")), "https");
    assert_eq!(call(&other, "/sample.Echo/Say", "hi").await.unwrap_err().code(), Code::PermissionDenied);
    let nameless = connect(Some(ours.identity("n", "https://auralink/dashboard")), "https");
    assert_eq!(call(&nameless, "/sample.Echo/Say", "hi").await.unwrap_err().code(), Code::Unauthenticated);

    let foreign = connect(Some(theirs.identity("d", "spiffe://auralink/service/dashboard")), "https");
    assert_eq!(call(&foreign, "/sample.Echo/Say", "hi").await.unwrap_err().code(), Code::Unavailable);
    let plain = connect(None, "http");
    assert!(call(&plain, "/sample.Echo/Say", "hi").await.is_err());
    stop(&life).await;
}

/// A folder of certificate files that are renewed while services use them.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(pem: &[String; 3]) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.renew(pem);
        files
    }

    fn config(&self) -> TlsConfig {
        let [cert_file, key_file, ca_file] = ["cert", "key", "ca"].map(|name| self.folder.path().join(name));
        TlsConfig { cert_file, key_file, ca_file }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn renew(&self, [cert, key, ca]: &[String; 3]) {
        for (name, text) in [("cert", cert), ("key", key), ("ca", ca)] {
            self.write(name, text);
        }
    }
}

fn reloads(outcome: &str) -> u64 {
    let wanted = format!("auralink_tls_reloads_total{{outcome=\"{outcome}\"}} ");
    let text = Metrics::install().render();
    text.lines().find_map(|line| line.strip_prefix(&wanted)).map_or(0, |count| count.parse().unwrap())
}

/// Both ends live through the replacement of their certificates and of the authority itself.
#[tokio::test]
async fn renewed_certificates_are_used_without_a_restart() {
    const SERVER: &str = "spiffe://auralink/service/sample";
    const DASHBOARD: &str = "spiffe://auralink/service/dashboard";
    Metrics::install();
    let (old, new) = (Authority::new(), Authority::new());
    let server = Files::new(&old.pem("sample", SERVER));
    let client_files = Files::new(&old.pem("d", DASHBOARD));
    let life = lifecycle();
    let addr = serve(&life, Echo::default(), Some(Tls::load(&server.config()).unwrap())).await;
    // A channel keeps its connection: each of these is one handshake more, with what `files` hold by then.
    let load = |files: &Files| Tls::load(&files.config()).unwrap();
    let say = async |tls: &Tls| {
        let client = Client::new("dashboard", format!("https://{addr}"), keys(), SystemClock::shared());
        let channel = client.tls(Some(tls.clone()), "sample").connect_lazy().unwrap();
        call(&channel, "/sample.Echo/Say", "hi").await.map_err(|status| status.code())
    };
    let (long_lived, of_the_old) = (load(&client_files), old.identity("d", DASHBOARD));
    let of_the_new = new.identity("d", DASHBOARD);
    assert!(say(&long_lived).await.unwrap().contains("dashboard:Certificate"));
    assert_eq!(say(&of_the_new).await, Err(Code::Unavailable), "of an authority nobody has heard of");

    // The server goes over to the new authority, in the worst order: the key comes last.
    let [cert, key, ca] = new.pem("sample", SERVER);
    let (used, refused) = (reloads("used"), reloads("refused"));
    server.write("cert", &cert);
    assert!(say(&long_lived).await.is_ok(), "the old files stay in use while the new do not fit");
    assert!(say(&long_lived).await.is_ok());
    server.write("ca", "no certificate at all");
    assert!(say(&long_lived).await.is_ok());
    std::fs::remove_file(server.config().key_file).unwrap();
    assert!(say(&long_lived).await.is_ok());
    assert_eq!(reloads("refused"), refused + 3, "each change is counted, each handshake is not");
    server.write("ca", &ca);
    server.write("key", &key);
    assert!(say(&of_the_new).await.unwrap().contains("dashboard:Certificate"), "the new ones are used");
    assert!(reloads("used") > used);
    assert_eq!(
        say(&of_the_old).await,
        Err(Code::Unavailable),
        "the old authority vouches for nobody any more"
    );
    assert_eq!(say(&long_lived).await, Err(Code::Unavailable));

    // The client follows, on the files it has always read.
    client_files.renew(&new.pem("d", DASHBOARD));
    assert!(say(&long_lived).await.unwrap().contains("dashboard:Certificate"));
    client_files.renew(&new.pem("o", "spiffe://auralink/service/other"));
    assert_eq!(say(&long_lived).await, Err(Code::PermissionDenied), "its new certificate says somebody else");
    client_files.renew(&new.pem("n", "https://auralink/dashboard"));
    assert_eq!(say(&long_lived).await, Err(Code::Unauthenticated), "and this one nobody");
    stop(&life).await;
}

/// A channel that is in use goes on over its connection, and makes the next one with the files of that time.
#[tokio::test]
async fn a_channel_survives_the_renewal_of_both_ends() {
    let (old, new) = (Authority::new(), Authority::new());
    let uri = |service: &str| format!("spiffe://auralink/service/{service}");
    let server = Files::new(&old.pem("sample", &uri("sample")));
    let client_files = Files::new(&old.pem("d", &uri("dashboard")));
    let life = lifecycle();
    let addr = serve(&life, Echo::default(), Some(Tls::load(&server.config()).unwrap())).await;
    let tls = Tls::load(&client_files.config()).unwrap();
    let client = Client::new("dashboard", format!("https://{addr}"), keys(), SystemClock::shared());
    let breaker = BreakerConfig {
        failures: 2,
        open_for: Duration::from_millis(50),
        max_open_for: Duration::from_millis(50),
    };
    let channel = client.tls(Some(tls), "sample").breaker(breaker).connect_lazy().unwrap();
    call(&channel, "/sample.Echo/Say", "one").await.unwrap();
    server.renew(&new.pem("sample", &uri("sample")));
    client_files.renew(&new.pem("d", &uri("dashboard")));
    call(&channel, "/sample.Echo/Say", "the connection stands").await.unwrap();

    stop(&life).await;
    let life = lifecycle();
    let listener = aura_service::http::bind(addr).await.unwrap();
    let again = Server::new("sample", SystemClock::shared(), keys()).policy(policy());
    let again = again.tls(Some(Tls::load(&server.config()).unwrap()));
    again.serve(listener, tonic::service::Routes::new(Echo::default()), &life).unwrap();
    aura_testkit::eventually(Duration::from_secs(5), || async {
        call(&channel, "/sample.Echo/Say", "two").await.is_ok()
    })
    .await;
    stop(&life).await;
}

#[test]
fn files_that_do_not_go_together_stop_the_start() {
    let authority = Authority::new();
    let [cert, key, ca] = authority.pem("sample", "spiffe://auralink/service/sample");
    let [_, other_key, _] = authority.pem("sample", "spiffe://auralink/service/sample");
    for bad in [
        [cert.clone(), other_key, ca.clone()],
        ["none".to_owned(), key.clone(), ca.clone()],
        [cert.clone(), String::new(), ca],
        [cert, key, String::new()],
    ] {
        let error = Tls::load(&Files::new(&bad).config()).unwrap_err();
        assert!(!format!("{error:?}").contains("PRIVATE"), "{error:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("absent");
    let absent = TlsConfig { cert_file: file.clone(), key_file: file.clone(), ca_file: file };
    assert!(matches!(Tls::load(&absent), Err(TlsError::Read { .. })));
}
