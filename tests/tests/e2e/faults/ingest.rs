//! Tests faults of ExternalIdAvailable and IngestConfigured: Secrets that are missing or have invalid values.

use serde_json::{Value, json};

use super::{SECRET_SYNC_TIMEOUT, SIGNING_SECRET, WRITE_KEY, assert_reported, wait_recovered_without_restart};
use crate::stage::tenant;

/// The entries of the function's Secret: at first, where `None` means that it is missing, and once the fault is fixed.
struct Secret {
    at_first: Option<Value>,
    later: Value,
}

/// Asserts that a function with these fields reports the fault until the Secret with the function's name is corrected.
async fn assert_reported_until_fixed(
    name: &str,
    fields: Value,
    secret: Secret,
    (r#type, reason): (&str, &str),
    parts: &[&str],
) {
    let tenant = tenant("secrets").await;
    tenant.cloud.add_role(&tenant.aws_name(name), &tenant.external_id(name)).await;
    tenant.cloud.add_bucket(&tenant.aws_name(name)).await;
    if let Some(entries) = secret.at_first {
        tenant.secret(name, &entries).await;
    }
    tenant.apply(name, &fields).await;
    assert_reported(&tenant, name, r#type, reason, parts).await;
    tenant.secret(name, &secret.later).await;
    wait_recovered_without_restart(&tenant, name, SECRET_SYNC_TIMEOUT).await;
}

async fn assert_external_id_fault(name: &str, at_first: Option<Value>, reason: &str, parts: &[&str]) {
    let later = json!({"externalId": format!("secrets/{name}-3kF9")});
    assert_reported_until_fixed(name, json!({}), Secret { at_first, later }, ("ExternalIdAvailable", reason), parts)
        .await;
}

#[tokio::test]
async fn a_missing_secret_is_reported() {
    assert_external_id_fault("missing", None, "SecretNotFound", &["Secret missing", "create it"]).await;
}

#[tokio::test]
async fn a_secret_without_the_key_is_reported() {
    let other = json!({"external-id": "x"});
    assert_external_id_fault("keyless", Some(other), "SecretKeyNotFound", &["keyless", "no key externalId"]).await;
}

#[tokio::test]
async fn an_invalid_external_id_is_reported() {
    let spaces = json!({"externalId": "with spaces in it"});
    assert_external_id_fault(
        "invalid",
        Some(spaces),
        "InvalidExternalId",
        &["externalId", "invalid", "not an external ID"],
    )
    .await;
}

/// The external ID is right, and another entry of the same Secret is missing at first.
async fn assert_ingest_fault(name: &str, ingest: Value, entries: Value, reason: &str, parts: &[&str]) {
    let id = json!(format!("secrets/{name}-3kF9"));
    let at_first = json!({"externalId": id});
    let mut later = entries;
    later["externalId"] = id;
    let secret = Secret { at_first: Some(at_first), later };
    assert_reported_until_fixed(name, json!({"ingest": ingest}), secret, ("IngestConfigured", reason), parts).await;
}

#[tokio::test]
async fn missing_write_keys_are_reported() {
    let reference = json!({"writeKeySecretRef": {"name": "closed", "key": "writeKeys"}});
    assert_ingest_fault(
        "closed",
        reference,
        json!({"writeKeys": WRITE_KEY}),
        "WriteKeyNotFound",
        &["closed", "writeKeys"],
    )
    .await;
}

#[tokio::test]
async fn a_missing_signing_secret_is_reported() {
    let reference = json!({"signatureSecretRef": {"name": "unsigned", "key": "signing"}});
    let entries = json!({"signing": SIGNING_SECRET});
    assert_ingest_fault("unsigned", reference, entries, "SignatureNotFound", &["unsigned", "signing"]).await;
}

/// A certificate that can't be used; HTTPS works once it can.
#[tokio::test]
async fn an_invalid_certificate_is_reported() {
    let tenant = tenant("secrets").await;
    tenant.prepare("unsealed").await;
    tenant.secret("site", &json!({"tls.crt": "no certificate", "tls.key": "no key"})).await;
    tenant.apply("unsealed", &json!({"ingest": {"tlsSecretRef": {"name": "site"}}})).await;
    assert_reported(&tenant, "unsealed", "IngestConfigured", "TlsInvalid", &["tls.crt in the Secret site", "PEM"])
        .await;
    let made = rcgen::generate_simple_self_signed(["unsealed.secrets.svc".to_owned()]).expect("a certificate");
    tenant.secret("site", &json!({"tls.crt": made.cert.pem(), "tls.key": made.signing_key.serialize_pem()})).await;
    wait_recovered_without_restart(&tenant, "unsealed", SECRET_SYNC_TIMEOUT).await;
}
