//! In-process mTLS: both sides show a certificate of one authority. Optional, beside the mesh's own.
//!
//! Certificates are renewed while the process runs: every handshake looks at the files again, and what changed is used
//! from that handshake on. Files that cannot be used (a key that is not the certificate's, as in the middle of a
//! renewal) change nothing; that is logged and counted once per change. Connections that stand, stand, until the server's
//! end of them comes.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::counter;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::config::Secret;
use crate::metrics::TLS_RELOADS;

const ALPN_H2: &[u8] = b"h2";
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Where the PEM files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// This service's certificate chain; its SAN has the SPIFFE URI and the DNS name peers dial.
    pub cert_file: PathBuf,
    /// The certificate's private key.
    pub key_file: PathBuf,
    /// The authority that signs every service's certificate; several while it is being replaced.
    pub ca_file: PathBuf,
}

/// The certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not PEM, or not what was expected in it.
    #[error("the {what} is not readable PEM")]
    Pem {
        /// Certificate, key or authority.
        what: &'static str,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// Certificate, key and authority do not go together, or are none.
    #[error("the certificates cannot be used")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// This service's identity and the authority it trusts. Clones share them.
#[derive(Debug, Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// `None`: given as text, never changes.
    files: Option<TlsConfig>,
    /// One look at the files at a time: an older one must not overtake a newer.
    looking: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    current: Configs,
    /// What the files held at the last look, usable or not; `None` if they could not be read.
    seen: Option<Pem>,
}

#[derive(Debug, Clone)]
struct Configs {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

#[derive(Debug, Clone)]
struct Pem {
    cert: String,
    key: Secret,
    ca: String,
}

impl PartialEq for Pem {
    fn eq(&self, other: &Self) -> bool {
        self.cert == other.cert && self.key.expose() == other.key.expose() && self.ca == other.ca
    }
}

impl Tls {
    /// From PEM texts.
    ///
    /// # Errors
    /// When they are not a certificate, its key and an authority.
    pub fn from_pem(
        cert_pem: impl Into<String>,
        key_pem: Secret,
        ca_pem: impl Into<String>,
    ) -> Result<Self, TlsError> {
        Self::new(None, Pem { cert: cert_pem.into(), key: key_pem, ca: ca_pem.into() })
    }

    /// From files, read now and at every handshake.
    ///
    /// # Errors
    /// When one cannot be read or used.
    pub fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|source| TlsError::Read { path: path.clone(), source })
        };
        let pem = Pem {
            cert: read(&config.cert_file)?,
            key: read(&config.key_file)?.into(),
            ca: read(&config.ca_file)?,
        };
        Self::new(Some(config.clone()), pem)
    }

    fn new(files: Option<TlsConfig>, pem: Pem) -> Result<Self, TlsError> {
        // Another crate in the same program may bring a second provider, and rustls then refuses to choose, by panicking.
        // An error means that somebody chose already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let state = Mutex::new(State { current: Configs::new(&pem)?, seen: Some(pem) });
        Ok(Self { shared: Arc::new(Shared { files, looking: tokio::sync::Mutex::default(), state }) })
    }

    /// Greets a client, who must show a certificate of our authority.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        let handshake = async { TlsAcceptor::from(self.current().await.server).accept(stream).await };
        timeout(HANDSHAKE_LIMIT, handshake).await?
    }

    /// Greets the server called `name`, which must show a certificate of our authority with that name.
    pub(super) async fn connect(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let handshake = async { TlsConnector::from(self.current().await.client).connect(name, stream).await };
        let stream = timeout(HANDSHAKE_LIMIT, handshake).await??;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN_H2) {
            return Err(io::Error::other("the peer does not speak HTTP/2"));
        }
        Ok(stream)
    }

    /// What the next handshake uses.
    async fn current(&self) -> Configs {
        let Some(files) = &self.shared.files else { return self.shared.lock().current.clone() };
        let read = async |path: &PathBuf| {
            let text = tokio::fs::read_to_string(path).await;
            text.map_err(|source| TlsError::Read { path: path.clone(), source })
        };
        let pem = async {
            let (cert, key) = (read(&files.cert_file).await?, read(&files.key_file).await?.into());
            Ok(Pem { cert, key, ca: read(&files.ca_file).await? })
        };
        let _turn = self.shared.looking.lock().await;
        self.shared.take(pem.await)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes over to what was read, if that is new and can be used.
    fn take(&self, read: Result<Pem, TlsError>) -> Configs {
        let mut state = self.lock();
        let outcome = match read {
            Ok(pem) if state.seen.as_ref() == Some(&pem) => return state.current.clone(),
            Ok(pem) => {
                let configs = Configs::new(&pem);
                state.seen = Some(pem);
                configs.map(|configs| state.current = configs)
            }
            Err(_) if state.seen.is_none() => return state.current.clone(),
            Err(error) => {
                state.seen = None;
                Err(error)
            }
        };
        match outcome {
            Ok(()) => tracing::info!("new certificates are used from now on"),
            Err(ref error) => {
                tracing::error!(error = %crate::error::chain(error), "new certificates are not used; the old ones stay");
            }
        }
        counter!(TLS_RELOADS, "outcome" => if outcome.is_ok() { "used" } else { "refused" }).increment(1);
        state.current.clone()
    }
}

impl Configs {
    /// New ones have new session caches: nobody resumes a session that an authority no longer trusted vouched for.
    fn new(pem: &Pem) -> Result<Self, TlsError> {
        let certs = certificates("certificate", &pem.cert)?;
        let key = PrivateKeyDer::from_pem_slice(pem.key.expose().as_bytes())
            .map_err(|source| TlsError::Pem { what: "key", source })?;
        let mut roots = RootCertStore::empty();
        for authority in certificates("authority", &pem.ca)? {
            roots.add(authority).map_err(unusable)?;
        }
        let roots = Arc::new(roots);
        let verifier = WebPkiClientVerifier::builder(Arc::clone(&roots)).build().map_err(unusable)?;
        let mut server = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(certs.clone(), key.clone_key())
            .map_err(unusable)?;
        let mut client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(certs, key)
            .map_err(unusable)?;
        server.alpn_protocols = vec![ALPN_H2.to_vec()];
        client.alpn_protocols = vec![ALPN_H2.to_vec()];
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }
}

fn certificates(what: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match all {
        Ok(all) if all.is_empty() => Err(TlsError::Pem { what, source: pem::Error::NoItemsFound }),
        all => all.map_err(|source| TlsError::Pem { what, source }),
    }
}

fn unusable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TlsError {
    TlsError::Unusable(error.into())
}
