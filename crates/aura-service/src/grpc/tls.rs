//! In-process mTLS: both sides show a certificate of one authority. Optional, beside the mesh's own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::config::Secret;

/// Where the PEM files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// This service's certificate chain; its SAN has the SPIFFE URI and the DNS name peers dial.
    pub cert_file: PathBuf,
    /// The certificate's private key.
    pub key_file: PathBuf,
    /// The authority that signs every service's certificate.
    pub ca_file: PathBuf,
}

/// A PEM file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct TlsError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// This service's identity and the authority it trusts.
#[derive(Debug, Clone)]
pub struct Tls {
    cert_pem: String,
    key_pem: Secret,
    ca_pem: String,
}

impl Tls {
    /// From PEM texts.
    #[must_use]
    pub fn from_pem(cert_pem: impl Into<String>, key_pem: Secret, ca_pem: impl Into<String>) -> Self {
        // Another crate in the same program may bring a second provider, and rustls then refuses to choose, by panicking.
        // An error means that somebody chose already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self { cert_pem: cert_pem.into(), key_pem, ca_pem: ca_pem.into() }
    }

    /// Reads the files, once, at start-up.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|source| TlsError { path: path.clone(), source })
        };
        Ok(Self::from_pem(read(&config.cert_file)?, read(&config.key_file)?.into(), read(&config.ca_file)?))
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(&self.cert_pem, self.key_pem.expose())
    }

    pub(super) fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new().identity(self.identity()).client_ca_root(Certificate::from_pem(&self.ca_pem))
    }

    pub(super) fn client(&self, domain: &str) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .identity(self.identity())
            .ca_certificate(Certificate::from_pem(&self.ca_pem))
            .domain_name(domain)
    }
}
