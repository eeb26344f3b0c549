//! How a channel reaches its peer over TLS: tonic's own way fixes the certificates when the channel is made; this one
//! asks [`Tls`] at every connection.

use std::io;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::transport::Endpoint;

use super::client::ClientError;
use super::tls::Tls;

const HTTPS: u16 = 443;

/// A lazy connection to `url`, an https one, whose certificate must be for `domain`. `configure` sets what both ways to
/// connect have in common.
pub(super) fn over_tls(
    url: &str,
    tls: Tls,
    domain: &str,
    configure: impl FnOnce(Endpoint) -> Endpoint,
) -> Result<tonic::transport::Channel, ClientError> {
    let bad_url = |source| ClientError::Url { url: url.to_owned(), source };
    // Towards tonic the connection is plain: it must not wrap it a second time. Peers still read `https`.
    let plain = Endpoint::from_shared(url.replacen("https", "http", 1)).map_err(bad_url)?;
    let origin = Endpoint::from_shared(url.to_owned()).map_err(bad_url)?.uri().clone();
    let name = ServerName::try_from(domain.to_owned())
        .map_err(|source| ClientError::Domain { domain: domain.to_owned(), source })?;
    let host = origin.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = origin.port_u16().unwrap_or(HTTPS);
    let connector = tower::service_fn(move |_: Uri| connect(tls.clone(), name.clone(), host.clone(), port));
    Ok(configure(plain).origin(origin).connect_with_connector_lazy(connector))
}

async fn connect(
    tls: Tls,
    name: ServerName<'static>,
    host: String,
    port: u16,
) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    tls.connect(name, stream).await.map(TokioIo::new)
}
