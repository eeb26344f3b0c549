//! TLS to the server, with the machine's trusted roots.
//!
//! Read once per process. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the machine's roots.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::Connector;

use crate::error::{Result, RoomError};

pub(super) fn connector() -> Result<Connector> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Connector::Rustls(Arc::clone(config)));
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err(RoomError::Signal("this machine trusts no certificate authority".to_owned()));
    }
    // Named, because a process may contain more than one provider and then has no default.
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| RoomError::Signal(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Connector::Rustls(Arc::clone(CONFIG.get_or_init(|| Arc::new(config)))))
}
