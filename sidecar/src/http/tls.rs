//! The certificate that clients are shown: taken up anew whenever its Secret changes, for the
//! connections that begin after that.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tributary_crds::conditions::Reason;
use tributary_crds::sidecar_config::SecretUse;
use tributary_crds::values::SecretName;

use crate::conditions::Blocker;
use crate::secret::{Folder, Missing, Value, changed, follow};

/// The keys of a Secret of type kubernetes.io/tls.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets>
const KEYS: [&str; 2] = ["tls.crt", "tls.key"];

/// The certificate as it stands.
#[derive(Clone, Debug)]
struct Certificate {
    /// The last one that was good: better than none, while its Secret holds another.
    good: Option<Arc<ServerConfig>>,
    /// What is wrong with the Secret now.
    blocker: Option<Blocker>,
}

/// The certificate, followed.
#[derive(Clone, Debug)]
pub(crate) struct Tls(watch::Receiver<Certificate>);

impl Tls {
    /// Reads the Secret `name` below the folder of all Secrets, and follows it.
    pub(crate) fn follow(secrets: &Path, name: &SecretName) -> Self {
        let folder = Folder::of(secrets, SecretUse::Tls);
        let (name, mut good) = (name.to_string(), None);
        Self(follow(
            move || folder.read_together(KEYS),
            move |values| {
                let loaded = load(values, &name);
                let blocker = loaded.as_ref().err().cloned();
                good = loaded.ok().or(good.take());
                Certificate { good: good.clone(), blocker }
            },
        ))
    }

    /// What a new connection is to be shown.
    pub(super) fn current(&self) -> Option<Arc<ServerConfig>> {
        self.0.borrow().good.clone()
    }

    /// What is wrong with the Secret.
    pub(crate) fn blocker(&self) -> Option<Blocker> {
        self.0.borrow().blocker.clone()
    }

    /// Ends when the Secret of a certificate has changed; never, where there is to be none.
    pub(crate) async fn changed(tls: Option<&mut Self>) {
        changed(tls.map(|tls| &mut tls.0)).await;
    }

    /// Ends once there is a certificate to show.
    pub(crate) async fn ready(&mut self) {
        while self.current().is_none() {
            Self::changed(Some(self)).await;
        }
    }
}

/// The certificate with its key, or what a person should do.
fn load([certificate, key]: &[Value; 2], name: &str) -> Result<Arc<ServerConfig>, Blocker> {
    let says = |message| Blocker { reason: Reason::TlsInvalid, message };
    let part = |value: &'_ Value, key| match value {
        Ok(value) => Ok(value.to_vec()),
        Err(Missing::Secret) => Err(says(format!(
            "there is no Secret {name} in this namespace; create it with kubectl create secret tls {name}"
        ))),
        Err(Missing::Key) => {
            Err(says(format!("the Secret {name} has no key {key}; a Secret of type kubernetes.io/tls has")))
        }
    };
    let (certificate, key) = (part(certificate, KEYS[0])?, part(key, KEYS[1])?);
    let wrong = |part, why: &dyn std::fmt::Display| says(format!("{part} in the Secret {name} can't be used: {why}"));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(KEYS[0], &error))?;
    if chain.is_empty() {
        return Err(wrong(KEYS[0], &"it holds no certificate in PEM"));
    }
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| wrong(KEYS[1], &error))?;
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map(|mut config| {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Arc::new(config)
        })
        // Most likely a key that is another certificate's.
        .map_err(|error| wrong("the certificate with its key", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate and its key, in PEM.
    fn certificate() -> (Vec<u8>, Vec<u8>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes())
    }

    fn read(certificate: &[u8], key: &[u8]) -> Result<(), String> {
        let value = |bytes: &[u8]| Ok(bytes.to_vec().into());
        load(&[value(certificate), value(key)], "site").map(drop).map_err(|blocker| {
            assert_eq!(blocker.reason, Reason::TlsInvalid);
            blocker.message
        })
    }

    #[test]
    fn a_certificate_goes_with_its_key() {
        let (good, key) = certificate();
        let (_, other_key) = certificate();
        assert_eq!(read(&good, &key), Ok(()));
        for (certificate, key, says) in [
            (&b""[..], &key[..], "tls.crt in the Secret site can't be used"),
            (b"-----BEGIN CERTIFICATE-----\nnonsense", &key, "tls.crt in the Secret site can't be used"),
            (&good, b"", "tls.key in the Secret site can't be used"),
            (&key, &key, "no certificate"),
            (&good, &other_key, "the certificate with its key in the Secret site can't be used"),
        ] {
            let message = read(certificate, key).unwrap_err();
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let says = |values: [Value; 2]| load(&values, "site").unwrap_err().message;
        assert!(says([Err(Missing::Secret), Err(Missing::Secret)]).contains("kubectl create secret tls site"));
        assert!(says([Ok(certificate().0.into()), Err(Missing::Key)]).contains("no key tls.key"));
    }
}
