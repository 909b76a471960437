//! A certificate for this machine, made anew each time.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

/// A server's configuration with a certificate of its own, which is also written to `path` for those who are to trust it.
pub(super) fn config(path: &Path) -> Result<Arc<ServerConfig>> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    fs::write(path, certified.cert.pem())?;
    let key =
        PrivateKeyDer::try_from(certified.signing_key.serialize_der()).map_err(|error| anyhow!(error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = builder.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key)?;
    Ok(Arc::new(config))
}
