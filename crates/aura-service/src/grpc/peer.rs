//! Who is calling, read from the connection or the request.

use std::net::IpAddr;

use aura_types::SharedClock;
use http::HeaderMap;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::auth::service::ServiceKeys;

const FORWARDED_CERT: &str = "x-forwarded-client-cert";

/// The calling service, in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name, for example `dashboard`.
    pub service: String,
    /// How it proved that.
    pub source: PeerSource,
}

/// How a peer proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerSource {
    /// Its TLS client certificate.
    Certificate,
    /// Its certificate, as the local mesh proxy saw it.
    MeshProxy,
    /// A service token.
    Token,
}

/// How to recognise peers.
#[derive(Debug, Clone)]
pub(super) struct Identify {
    pub(super) keys: ServiceKeys,
    pub(super) clock: SharedClock,
    pub(super) trust_mesh_proxy: bool,
}

impl Identify {
    /// The peer behind a request; a certificate outranks a token.
    pub(super) fn identify<B>(&self, request: &http::Request<B>) -> Option<Peer> {
        let extensions = request.extensions();
        let tls = extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
        if let Some(certs) = tls.and_then(TlsConnectInfo::peer_certs) {
            // A certificate without our identity in it is somebody else's: no second chance by token.
            let service = certs.first().and_then(|cert| service_of_certificate(cert))?;
            return Some(Peer { service, source: PeerSource::Certificate });
        }
        let tcp = tls.map(TlsConnectInfo::get_ref).or_else(|| extensions.get::<TcpConnectInfo>());
        let peer_ip = tcp.and_then(TcpConnectInfo::remote_addr).map(|addr| addr.ip());
        if self.trust_mesh_proxy
            && let Some(service) = forwarded_service(request.headers(), peer_ip)
        {
            return Some(Peer { service, source: PeerSource::MeshProxy });
        }
        let token = crate::http::bearer(request.headers())?;
        match self.keys.verify(token, self.clock.now()) {
            Ok(service) => Some(Peer { service, source: PeerSource::Token }),
            Err(error) => {
                tracing::debug!(%error, "service token refused");
                None
            }
        }
    }
}

/// The last path segment of a SPIFFE id: `spiffe://auralink/service/dashboard`,
/// `spiffe://cluster.local/ns/auralink/sa/dashboard`.
fn service_of_spiffe(uri: &str) -> Option<String> {
    let path = uri.strip_prefix("spiffe://")?;
    let (trust_domain, path) = path.split_once('/')?;
    let service = path.rsplit('/').next()?;
    let named = service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (!trust_domain.is_empty() && !service.is_empty() && named).then(|| service.to_owned())
}

fn service_of_certificate(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    // SPIFFE: exactly one URI.
    let uri = uris.next()?;
    if uris.next().is_some() {
        return None;
    }
    service_of_spiffe(uri)
}

/// Envoy's header, from the proxy beside us only: its last element is the connection that proxy accepted.
fn forwarded_service(headers: &HeaderMap, peer_ip: Option<IpAddr>) -> Option<String> {
    if !peer_ip?.to_canonical().is_loopback() {
        return None;
    }
    let value = headers.get_all(FORWARDED_CERT).iter().next_back()?.to_str().ok()?;
    let element = split_outside_quotes(value, ',').pop()?;
    split_outside_quotes(element, ';')
        .into_iter()
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| key.eq_ignore_ascii_case("uri"))
        .and_then(|(_, uri)| service_of_spiffe(uri.trim_matches('"')))
}

/// Subjects are quoted and may hold the separators.
fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spiffe_ids() {
        assert_eq!(
            service_of_spiffe("spiffe://cluster.local/ns/a/sa/dashboard").as_deref(),
            Some("dashboard")
        );
        for bad in
            ["https://x/dashboard", "spiffe://x", "spiffe:///dashboard", "spiffe://x/", "spiffe://x/a b"]
        {
            assert_eq!(service_of_spiffe(bad), None, "{bad}");
        }
    }

    #[test]
    fn forwarded_identity_comes_from_the_local_proxy_only() {
        let mut headers = HeaderMap::new();
        headers.insert(
            FORWARDED_CERT,
            r#"By=spiffe://x/sa/evil;URI=spiffe://x/sa/evil,Subject="CN=a;URI=spiffe://x/sa/evil2,b";URI=spiffe://x/sa/dashboard"#
                .parse()
                .unwrap(),
        );
        let from = |ip: &str| forwarded_service(&headers, Some(ip.parse().unwrap()));
        assert_eq!(from("127.0.0.1").as_deref(), Some("dashboard"));
        assert_eq!(from("::ffff:127.0.0.1").as_deref(), Some("dashboard"));
        assert_eq!(from("10.0.0.9"), None);
        assert_eq!(forwarded_service(&headers, None), None);
    }
}
