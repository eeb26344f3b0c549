//! Who is calling, read from the connection or the request.

use aura_types::SharedClock;
use time::OffsetDateTime;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::auth::service::ServiceKeys;

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
    /// A service token.
    Token,
}

/// How to recognise peers.
#[derive(Debug, Clone)]
pub(super) struct Identify {
    pub(super) keys: ServiceKeys,
    pub(super) clock: SharedClock,
}

impl Identify {
    /// The peer behind a request; a certificate outranks a token.
    pub(super) fn identify<B>(&self, request: &http::Request<B>) -> Option<Peer> {
        let tls = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
        if let Some(certs) = tls.and_then(TlsConnectInfo::peer_certs) {
            // A certificate without our identity in it is somebody else's: no second chance by token.
            let service = certs.first().and_then(|cert| service_of_certificate(cert))?;
            return Some(Peer { service, source: PeerSource::Certificate });
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

/// When a certificate ends.
pub(super) fn not_after(der: &[u8]) -> Option<OffsetDateTime> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.validity().not_after.to_datetime())
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
}
