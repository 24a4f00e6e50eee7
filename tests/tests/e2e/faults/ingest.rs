//! ExternalIdAvailable and IngestConfigured: Secrets that are not there, or not right.

use serde_json::{Value, json};

use super::{BROUGHT, SIGNING_SECRET, WRITE_KEY, mends_by_itself, says};
use crate::stage::tenant;

/// The Secret that the fault is about has this at first, or is not there.
struct Secret {
    at_first: Option<Value>,
    later: Value,
}

/// A function with these fields says so until its Secret, called as itself, is right.
async fn is_told(name: &str, fields: Value, secret: Secret, (r#type, reason): (&str, &str), parts: &[&str]) {
    let tenant = tenant("secrets").await;
    tenant.cloud.add_role(&tenant.of(name), &tenant.external_id(name)).await;
    tenant.cloud.add_bucket(&tenant.of(name)).await;
    if let Some(entries) = secret.at_first {
        tenant.secret(name, &entries).await;
    }
    tenant.apply(name, &fields).await;
    says(&tenant, name, r#type, reason, parts).await;
    tenant.secret(name, &secret.later).await;
    mends_by_itself(&tenant, name, BROUGHT).await;
}

async fn external_id(name: &str, at_first: Option<Value>, reason: &str, parts: &[&str]) {
    let later = json!({"externalId": format!("secrets/{name}-3kF9")});
    is_told(name, json!({}), Secret { at_first, later }, ("ExternalIdAvailable", reason), parts).await;
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_told() {
    external_id("missing", None, "SecretNotFound", &["Secret missing", "create it"]).await;
}

#[tokio::test]
async fn a_secret_without_the_key_is_told() {
    let other = json!({"external-id": "x"});
    external_id("keyless", Some(other), "SecretKeyNotFound", &["keyless", "no key externalId"]).await;
}

#[tokio::test]
async fn a_value_that_is_no_external_id_is_told() {
    let spaces = json!({"externalId": "with spaces in it"});
    external_id("invalid", Some(spaces), "InvalidExternalId", &["externalId", "invalid", "not an external ID"]).await;
}

/// The external ID is right, and something else in the same Secret is not.
async fn ingest(name: &str, ingest: Value, entries: Value, reason: &str, parts: &[&str]) {
    let id = json!(format!("secrets/{name}-3kF9"));
    let at_first = json!({"externalId": id});
    let mut later = entries;
    later["externalId"] = id;
    let secret = Secret { at_first: Some(at_first), later };
    is_told(name, json!({"ingest": ingest}), secret, ("IngestConfigured", reason), parts).await;
}

#[tokio::test]
async fn write_keys_that_are_not_there_are_told() {
    let reference = json!({"writeKeySecretRef": {"name": "closed", "key": "writeKeys"}});
    ingest("closed", reference, json!({"writeKeys": WRITE_KEY}), "WriteKeyNotFound", &["closed", "writeKeys"]).await;
}

#[tokio::test]
async fn a_signing_secret_that_is_not_there_is_told() {
    let reference = json!({"signatureSecretRef": {"name": "unsigned", "key": "signing"}});
    let entries = json!({"signing": SIGNING_SECRET});
    ingest("unsigned", reference, entries, "SignatureNotFound", &["unsigned", "signing"]).await;
}

/// A certificate that can't be used; HTTPS leads there once it can.
#[tokio::test]
async fn a_certificate_that_is_none_is_told() {
    let tenant = tenant("secrets").await;
    tenant.prepare("unsealed").await;
    tenant.secret("site", &json!({"tls.crt": "no certificate", "tls.key": "no key"})).await;
    tenant.apply("unsealed", &json!({"ingest": {"tlsSecretRef": {"name": "site"}}})).await;
    says(&tenant, "unsealed", "IngestConfigured", "TlsInvalid", &["tls.crt in the Secret site", "PEM"]).await;
    let made = rcgen::generate_simple_self_signed(["unsealed.secrets.svc".to_owned()]).expect("a certificate");
    tenant.secret("site", &json!({"tls.crt": made.cert.pem(), "tls.key": made.signing_key.serialize_pem()})).await;
    mends_by_itself(&tenant, "unsealed", BROUGHT).await;
}
