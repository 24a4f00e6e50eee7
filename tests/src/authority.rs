//! A certificate authority for tests, which only sidecars that are configured to do so trust.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::ServerConfig;

/// A certificate authority with its own key.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// Creates an authority with a new key.
    ///
    /// # Panics
    /// Never in practice: generating a key does not fail.
    pub fn new() -> Self {
        let mut parameters = CertificateParams::default();
        // A unique name: clients would mix up authorities of the same name.
        let name = format!("authority {:x}", fastrand::u64(..));
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, key()).expect("a certificate"))
    }

    /// Writes its certificate as PEM, for `SSL_CERT_FILE`.
    ///
    /// # Panics
    /// If the file can't be written.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.0.pem()).expect("a file");
    }

    /// A TLS server configuration with a certificate for this name, which may start with `*.`.
    ///
    /// # Panics
    /// If it is not a valid name.
    pub fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = key();
        let parameters = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        Arc::new(config)
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}
