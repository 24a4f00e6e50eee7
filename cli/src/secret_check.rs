//! Checks the Secrets to which a function refers, as far as its file contains them. No problem shows a Secret's value.

use std::collections::BTreeSet;

use tributary_crds::DestinationFunction;
use tributary_crds::values::ExternalId;
use tributary_sidecar::{check_signing_secrets, check_write_keys};

use crate::manifest::{Manifest, Secret};

/// The field that refers to the external ID.
const EXTERNAL_ID_REFERENCE: &str = "spec.externalIdSecretRef";

/// The field that refers to the write keys.
const WRITE_KEY_REFERENCE: &str = "spec.ingest.writeKeySecretRef";

/// The field that refers to the signing secrets.
const SIGNATURE_REFERENCE: &str = "spec.ingest.signatureSecretRef";

/// The field that refers to the certificate, whose value is not checked.
const TLS_REFERENCE: &str = "spec.ingest.tlsSecretRef";

/// Whether the file must contain every Secret of the function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum MissingSecret {
    /// Secrets that the file does not contain are not checked: they may be in the cluster.
    Allowed,
    /// A Secret that the file does not contain is a problem.
    Refused,
}

/// The problems of the function's Secrets, one line each.
pub fn problems(
    manifest: &Manifest,
    namespace: &str,
    function: &DestinationFunction,
    missing: MissingSecret,
) -> Vec<String> {
    let problem = |reference: SecretReference<'_>| match manifest.secret(namespace, reference.name) {
        Some(secret) => secret_problem(secret, reference),
        None if missing == MissingSecret::Allowed => None,
        None => Some(missing_secret(manifest, namespace, reference)),
    };
    let mut problems: Vec<_> = secret_references(function).into_iter().filter_map(problem).collect();
    // A missing Secret with two keys, such as a certificate's, is one problem.
    problems.dedup();
    problems
}

/// A note about the function's Secrets that the file does not contain, if it contains others: a name may be misspelled.
pub fn unchecked(manifest: &Manifest, namespace: &str, function: &DestinationFunction) -> Option<String> {
    manifest.secrets_of(namespace).next()?;
    let names = secret_references(function).into_iter().map(|reference| reference.name);
    let absent: BTreeSet<_> = names.filter(|name| !manifest.has_secret(namespace, name)).collect();
    let absent: Vec<_> = absent.into_iter().collect();
    (!absent.is_empty())
        .then(|| format!("note: not in the file, and so not checked: Secret {}", absent.join(", Secret ")))
}

/// A reference to a key of a Secret.
#[derive(Clone, Copy)]
struct SecretReference<'a> {
    /// The path of the field in the function.
    path: &'static str,
    /// The Secret's name.
    name: &'a str,
    /// The key.
    key: &'a str,
}

fn secret_references(function: &DestinationFunction) -> Vec<SecretReference<'_>> {
    let spec = &function.spec;
    let external_id = &spec.external_id_secret_ref;
    let reference = |path, name, key| SecretReference { path, name, key };
    let mut references = vec![reference(EXTERNAL_ID_REFERENCE, external_id.name.as_str(), external_id.key.as_str())];
    if let Some(ingest) = &spec.ingest {
        let keys =
            [(WRITE_KEY_REFERENCE, &ingest.write_key_secret_ref), (SIGNATURE_REFERENCE, &ingest.signature_secret_ref)];
        references
            .extend(keys.into_iter().filter_map(|(path, key)| {
                key.as_ref().map(|key| reference(path, key.name.as_str(), key.key.as_str()))
            }));
        // The keys of a Secret of type kubernetes.io/tls.
        let tls = ingest.tls_secret_ref.iter();
        references.extend(
            tls.flat_map(|tls| ["tls.crt", "tls.key"].map(|key| reference(TLS_REFERENCE, tls.name.as_str(), key))),
        );
    }
    references
}

fn secret_problem(secret: &Secret, reference: SecretReference<'_>) -> Option<String> {
    let SecretReference { path, name, key } = reference;
    let Some(value) = secret.value(key) else {
        let keys: Vec<_> = secret.keys().collect();
        return Some(format!("{path}: Secret {name} has no key {key}; its keys are: {}", keys.join(", ")));
    };
    let one_per_line = |error| format!("{error}; put one per line");
    let error = match path {
        EXTERNAL_ID_REFERENCE => external_id_of(secret, key).err(),
        WRITE_KEY_REFERENCE => check_write_keys(value).err().map(one_per_line),
        SIGNATURE_REFERENCE => check_signing_secrets(value).err().map(one_per_line),
        _ => None,
    };
    Some(format!("{path}: Secret {name}, key {key}: {}", error?))
}

fn missing_secret(manifest: &Manifest, namespace: &str, reference: SecretReference<'_>) -> String {
    let SecretReference { path, name, .. } = reference;
    let others: Vec<_> = manifest.secrets_of(namespace).collect();
    let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
    let hint = if path == EXTERNAL_ID_REFERENCE {
        format!(" (tributary external-id {name} prints one)")
    } else {
        String::new()
    };
    format!(
        "{path}: the file has no Secret {name} in namespace {namespace}; add it{hint}, or name the right one; the file \
         has: {others}"
    )
}

/// The external ID under a Secret's key, parsed as the sidecar parses it.
///
/// # Errors
/// If the key is missing or its value is not a valid external ID. The error does not show the value.
pub fn external_id_of(secret: &Secret, key: &str) -> Result<ExternalId, String> {
    let text = secret.text(key).ok_or_else(|| format!("it has no key {key}"))?;
    let text = text.map_err(|_| "it is not UTF-8 text".to_owned())?;
    ExternalId::from_secret(text).map_err(|error| error.to_string())
}
