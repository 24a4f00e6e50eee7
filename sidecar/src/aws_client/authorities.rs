//! The certificate authorities that connections to AWS and to S3-compatible stores trust.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

/// The authorities: those that the system trusts, or a bundle in their place, and the platform's own.
#[derive(Clone, Debug, Default)]
pub struct Authorities {
    /// `None`: those of the system.
    bundle: Option<Vec<CertificateDer<'static>>>,
    own: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// Trusts only the authorities in this PEM file, as AWS's tools do with `AWS_CA_BUNDLE`.
    ///
    /// # Errors
    /// When the file can't be read, or has no certificate.
    pub fn of_bundle(path: &Path) -> Result<Self, String> {
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let bundle = certificates(&text).map_err(|why| format!("{}: {why}", path.display()))?;
        Ok(Self { bundle: Some(bundle), own: Vec::new() })
    }

    /// Also trusts the authorities in this PEM text.
    ///
    /// # Errors
    /// When it has no certificate.
    pub fn and(self, pem: &str) -> Result<Self, String> {
        Ok(Self { own: certificates(pem.as_bytes())?, ..self })
    }

    /// The TLS configuration of clients. To read the system's authorities takes milliseconds.
    pub(super) fn tls_config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        match &self.bundle {
            Some(bundle) => _ = roots.add_parsable_certificates(bundle.iter().cloned()),
            None => add_system_authorities(&mut roots),
        }
        roots.add_parsable_certificates(self.own.iter().cloned());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

/// Adds the authorities that the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` override them.
fn add_system_authorities(roots: &mut RootCertStore) {
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        let errors: Vec<_> = native.errors.iter().map(ToString::to_string).collect();
        warn!(errors = errors.join("; "), "no certificate authorities were found, so HTTPS to AWS will fail");
    }
}

/// The certificates of a PEM text, at least one, each of which can be used as an authority.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    // The parser's own message has bytes of the file.
    let found = found.map_err(|_| "not PEM: a section of it is cut off, or is not base64".to_owned())?;
    if found.is_empty() {
        return Err("no certificate (-----BEGIN CERTIFICATE-----) in it".to_owned());
    }
    for (number, certificate) in (1..).zip(&found) {
        let added = RootCertStore::empty().add(certificate.clone());
        added.map_err(|error| format!("certificate {number} can't be used: {error}"))?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(["authority".to_owned()]).unwrap();
        parameters.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_bundle_holds_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle.pem");
        std::fs::write(&path, format!("# two\n{}\n{}", authority(), authority())).unwrap();
        assert_eq!(Authorities::of_bundle(&path).unwrap().bundle.unwrap().len(), 2);
        let and = Authorities::default().and(&authority()).unwrap();
        assert_eq!((and.own.len(), and.bundle.is_some()), (1, false));
        for (wrong, why) in [
            ("", "no certificate"),
            ("certificate", "no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "not PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 can't be used"),
        ] {
            let error = Authorities::default().and(wrong).unwrap_err();
            assert!(error.starts_with(why), "{wrong:?}: {error}");
        }
        assert!(Authorities::of_bundle(&folder.path().join("none")).unwrap_err().contains("none: "));
    }
}
