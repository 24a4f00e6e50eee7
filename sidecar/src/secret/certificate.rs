//! Loads the TLS certificate for clients from its Secret, and reloads it for new connections when the Secret changes.
//!
//! An expired certificate stays in use: clients that do not check it are served, and the others get a clearer error
//! than from a refused connection.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tributary_crds::conditions::Reason;
use tributary_crds::sidecar_config::SecretUse;
use tributary_crds::values::SecretName;

use super::{Folder, Missing, Value, changed, follow};
use crate::blocker::Blocker;
use crate::clock::rfc3339;

/// The keys of a Secret of type `kubernetes.io/tls`.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets>
const TLS_KEYS: [&str; 2] = ["tls.crt", "tls.key"];

/// The state of the certificate after the last read of its Secret.
#[derive(Clone, Debug)]
struct Certificate {
    /// The last usable certificate, kept while the Secret holds an unusable one.
    good: Option<ServerCertificate>,
    /// Why the Secret's current content can't be used.
    blocker: Option<Blocker>,
}

/// A TLS configuration with a certificate and its key, and the certificate's validity.
#[derive(Clone, Debug)]
struct ServerCertificate {
    config: Arc<ServerConfig>,
    /// `None` if rustls can use the certificate but the parser of its dates can't read it.
    validity: Option<Validity>,
}

/// A certificate's validity period, both ends included (RFC 5280, section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Validity {
    not_before: SystemTime,
    not_after: SystemTime,
}

/// Follows the certificate's Secret. Clones share the state.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    secret: SecretName,
    certificate: watch::Receiver<Certificate>,
}

impl Tls {
    /// Reads the Secret `name` from its folder below `secrets`, and follows it.
    pub(crate) fn follow(secrets: &Path, name: &SecretName) -> Self {
        let folder = Folder::of(secrets, SecretUse::Tls);
        let (secret, name, mut good) = (name.clone(), name.to_string(), None);
        let certificate = follow(
            move || folder.read_together(TLS_KEYS),
            move |values| {
                let loaded = load(values, &name);
                let blocker = loaded.as_ref().err().cloned();
                good = loaded.ok().or(good.take());
                Certificate { good: good.clone(), blocker }
            },
        );
        Self { secret, certificate }
    }

    /// The TLS configuration for a new connection; `None` until there is a usable certificate.
    pub(crate) fn current(&self) -> Option<Arc<ServerConfig>> {
        self.certificate.borrow().good.as_ref().map(|certificate_in_use| Arc::clone(&certificate_in_use.config))
    }

    /// The problem with the Secret or, if it has none, with the certificate's validity at `now`.
    pub(crate) fn blocker(&self, now: SystemTime) -> Option<Blocker> {
        let certificate = self.certificate.borrow();
        let outdated = || certificate.good.as_ref()?.validity?.blocker(&self.secret, now);
        certificate.blocker.clone().or_else(outdated)
    }

    /// Whether the certificate in use is valid at `now`, even if the Secret's current content can't be used.
    pub(crate) fn serves(&self, now: SystemTime) -> bool {
        let certificate = self.certificate.borrow();
        let outdated = |certificate_in_use: &ServerCertificate| {
            certificate_in_use.validity.and_then(|validity| validity.blocker(&self.secret, now)).is_some()
        };
        certificate.good.as_ref().is_some_and(|certificate_in_use| !outdated(certificate_in_use))
    }

    /// When the certificate in use expires; `None` without one or if its dates can't be read.
    pub(crate) fn expiry(&self) -> Option<SystemTime> {
        Some(self.certificate.borrow().good.as_ref()?.validity?.not_after)
    }

    /// Completes when the certificate's Secret changes; never, if the function names none.
    pub(crate) async fn changed(tls: Option<&mut Self>) {
        changed(tls.map(|tls| &mut tls.certificate)).await;
    }

    /// Completes once there is a usable certificate.
    pub(crate) async fn ready(&mut self) {
        while self.current().is_none() {
            Self::changed(Some(self)).await;
        }
    }
}

impl Validity {
    /// The validity of a certificate; `None` if it can't be parsed.
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let at = |time: x509_parser::time::ASN1Time| {
            let since = Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or_default());
            SystemTime::UNIX_EPOCH.checked_add(since)
        };
        Some(Self { not_before: at(parsed.validity.not_before)?, not_after: at(parsed.validity.not_after)? })
    }

    /// Why clients that check the certificate refuse it at `now`.
    fn blocker(self, secret: &SecretName, now: SystemTime) -> Option<Blocker> {
        let why = if now < self.not_before {
            format!("is not valid before {}; put one that is valid now into the Secret", rfc3339(self.not_before))
        } else if now >= self.not_after + Duration::from_secs(1) {
            format!("expired at {}; renew it", rfc3339(self.not_after))
        } else {
            return None;
        };
        Some(blocker(format!(
            "the certificate in the Secret {secret} {why}. Until then clients that check it refuse it"
        )))
    }
}

fn blocker(message: String) -> Blocker {
    Blocker { reason: Reason::TlsInvalid, message }
}

/// Builds the TLS configuration from a certificate chain and its key, both PEM; the error describes the fix.
fn load([certificate, key]: &[Value; 2], name: &str) -> Result<ServerCertificate, Blocker> {
    let part = |value: &'_ Value, key| match value {
        Ok(value) => Ok(value.to_vec()),
        Err(Missing::Secret) => Err(blocker(format!(
            "there is no Secret {name} in this namespace; create it with kubectl create secret tls {name}"
        ))),
        Err(Missing::Key) => {
            Err(blocker(format!("the Secret {name} has no key {key}; a Secret of type kubernetes.io/tls has one")))
        }
    };
    let (certificate, key) = (part(certificate, TLS_KEYS[0])?, part(key, TLS_KEYS[1])?);
    let unusable =
        |part, why: &dyn std::fmt::Display| blocker(format!("{part} in the Secret {name} can't be used: {why}"));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(TLS_KEYS[0], &error))?;
    if chain.is_empty() {
        return Err(unusable(TLS_KEYS[0], &"it holds no certificate in PEM"));
    }
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| unusable(TLS_KEYS[1], &error))?;
    // Only of the leaf: a chain may end with an expired root that no client needs.
    let validity = chain.first().and_then(Validity::of);
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map(|mut config| {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            ServerCertificate { config: Arc::new(config), validity }
        })
        // Most likely the key does not belong to the certificate.
        .map_err(|error| unusable("the certificate with its key", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A self-signed certificate and its key, in PEM.
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
    fn a_certificate_is_accepted_only_with_its_key() {
        let (good, key) = certificate();
        let (_, other_key) = certificate();
        assert_eq!(read(&good, &key), Ok(()));
        for (certificate, key, part) in [
            (&b""[..], &key[..], "tls.crt in the Secret site can't be used"),
            (b"-----BEGIN CERTIFICATE-----\nnonsense", &key, "tls.crt in the Secret site can't be used"),
            (&good, b"", "tls.key in the Secret site can't be used"),
            (&key, &key, "no certificate"),
            (&good, &other_key, "the certificate with its key in the Secret site can't be used"),
        ] {
            let message = read(certificate, key).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_certificate_is_valid_from_its_first_second_to_its_last() {
        let second = Duration::from_secs(1);
        let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        (parameters.not_before, parameters.not_after) =
            (rcgen::date_time_ymd(2026, 3, 1), rcgen::date_time_ymd(2027, 4, 2));
        let key = rcgen::KeyPair::generate().unwrap();
        let made = parameters.self_signed(&key).unwrap();
        let validity = Validity::of(made.der()).unwrap();
        assert_eq!(rfc3339(validity.not_before), "2026-03-01T00:00:00Z");
        assert_eq!(rfc3339(validity.not_after), "2027-04-02T00:00:00Z");
        let message = |now| Some(validity.blocker(&"site".parse().unwrap(), now)?.message);
        assert!(message(validity.not_before - second).unwrap().contains("Secret site is not valid before 2026-03-01"));
        assert_eq!(message(validity.not_before), None);
        assert_eq!(message(validity.not_after + second / 2), None);
        assert!(message(validity.not_after + second).unwrap().contains("Secret site expired at 2027-04-02T00:00:00Z"));
        assert_eq!(Validity::of(&CertificateDer::from(vec![0x30, 0])), None);
    }

    #[test]
    fn a_missing_secret_or_key_is_named() {
        let message = |values: [Value; 2]| load(&values, "site").unwrap_err().message;
        assert!(message([Err(Missing::Secret), Err(Missing::Secret)]).contains("kubectl create secret tls site"));
        assert!(message([Ok(certificate().0.into()), Err(Missing::Key)]).contains("no key tls.key"));
    }
}
