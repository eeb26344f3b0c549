//! gRPC under certificates: who they say one is, their renewal and their end, and peers that never show one.

use std::time::Duration;

use aura_service::config::Secret;
use aura_service::grpc::{Client, PeerSource, Server, Tls, TlsConfig, TlsError};
use aura_service::metrics::Metrics;
use aura_service::resilience::BreakerConfig;
use aura_types::{Clock as _, SystemClock};
use time::OffsetDateTime;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tonic::Code;

use crate::grpc::{Echo, call, keys, policy, serve};
use crate::{lifecycle, stop};

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
        self.pem_until(dns, uri, None)
    }

    fn pem_until(&self, dns: &str, uri: &str, end: Option<OffsetDateTime>) -> [String; 3] {
        let mut params = rcgen::CertificateParams::new(vec![dns.to_owned()]).unwrap();
        params.not_after = end.unwrap_or(params.not_after);
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

#[tokio::test]
async fn a_connection_ends_with_the_certificate_it_was_made_with() {
    let authority = Authority::new();
    let life = lifecycle();
    let tls = authority.identity("sample", "spiffe://auralink/service/sample");
    let addr = serve(&life, Echo::default(), Some(tls)).await;
    let channel = |end: Option<OffsetDateTime>| {
        let [cert, key, ca] = authority.pem_until("d", "spiffe://auralink/service/dashboard", end);
        let tls = Tls::from_pem(cert, Secret::new(key), ca).unwrap();
        let client = Client::new("dashboard", format!("https://{addr}"), keys(), SystemClock::shared());
        client.tls(Some(tls), "sample").connect_lazy().unwrap()
    };
    let (short, long) = (channel(Some(SystemClock.now() + Duration::from_secs(3))), channel(None));
    for channel in [&short, &long] {
        call(channel, "/sample.Echo/Say", "in time").await.unwrap();
    }
    // It is in use all the time, and what the client remembers of the session is of no use either.
    aura_testkit::eventually(Duration::from_secs(20), || async {
        let said = call(&short, "/sample.Echo/Say", "still here").await;
        said.is_err_and(|status| status.code() == Code::Unavailable)
    })
    .await;
    call(&long, "/sample.Echo/Say", "others go on").await.unwrap();
    stop(&life).await;
}

/// More than are greeted at the same time connect and say nothing; nobody waits for them.
#[tokio::test]
async fn silent_peers_do_not_hold_up_the_door() {
    let authority = Authority::new();
    let life = lifecycle();
    let tls = authority.identity("sample", "spiffe://auralink/service/sample");
    let addr = serve(&life, Echo::default(), Some(tls)).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(addr).await.unwrap());
    }
    let client = Client::new("dashboard", format!("https://{addr}"), keys(), SystemClock::shared());
    let tls = authority.identity("d", "spiffe://auralink/service/dashboard");
    let channel = client.tls(Some(tls), "sample").connect_lazy().unwrap();
    // The handshake's own limit, after which the silent ones are gone by themselves, is twice as long.
    let said = tokio::time::timeout(Duration::from_secs(5), call(&channel, "/sample.Echo/Say", "hi")).await;
    assert!(said.expect("at once").unwrap().starts_with("hi|"));
    // The first of them made room: it is hung up on.
    let end = tokio::time::timeout(Duration::from_secs(5), silent[0].read(&mut [0; 1])).await;
    assert!(!matches!(end.expect("at once"), Ok(1..)));
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
