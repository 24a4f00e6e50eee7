//! Ready says whether events are stored, and nothing else: what is wrong while they are, other conditions say.

use serde_json::json;
use tributary_tests::kubernetes::{Tenant, condition, kubectl, wait_condition, within};
use tributary_tests::world::ACCOUNT;

use super::{BROUGHT, MENDED, SAID, SIGNING_SECRET, WRITE_KEY, assert_judged, mends, send};
use crate::stage::tenant;

/// The condition has this status and reason, Ready is True with that reason, and events are stored.
async fn serves(tenant: &Tenant, name: &str, (r#type, status, reason): (&str, &str, &str), ready: &str) {
    within(BROUGHT, &format!("{type} of {name} is {reason}"), async || {
        let function = tenant.functions().get(name).await.ok()?;
        let said = condition(&function, r#type)?;
        let is_ready = condition(&function, "Ready")?;
        let is_said = said.status == status && said.reason == reason && is_ready.reason == ready;
        is_said.then(|| assert_eq!(is_ready.status, "True", "{}", is_ready.message))
    })
    .await;
    assert!(send(tenant, name).await, "Ready is True, and no event is stored");
}

/// A change waits for the end of the pause.
#[tokio::test]
async fn a_paused_function_goes_on() {
    let tenant = tenant("platform").await;
    tenant.run("held", &json!({})).await;
    tenant.apply("held", &json!({"paused": true, "logLevel": "warn"})).await;
    serves(&tenant, "held", ("Accepted", "True", "Paused"), "Paused").await;
    serves(&tenant, "held", ("UpToDate", "False", "Paused"), "Paused").await;
    serves(&tenant, "held", ("Stalled", "False", "Ok"), "Paused").await;
    assert_judged(&tenant, "held", "Current").await;
    tenant.apply("held", &json!({"logLevel": "warn"})).await;
    wait_condition(&tenant.functions(), "held", "Accepted", "Ok", SAID).await;
    mends(&tenant, "held", MENDED).await;
}

/// Its session lives on without it.
#[tokio::test]
async fn a_function_whose_secret_is_deleted_goes_on_until_its_session_ends() {
    let tenant = tenant("secrets").await;
    tenant.run("gone", &json!({})).await;
    kubectl(&["delete", "secret", "gone", "--namespace", "secrets"], "").expect("a Secret");
    serves(&tenant, "gone", ("ExternalIdAvailable", "False", "SecretNotFound"), "SecretNotFound").await;
    let ready = condition(&tenant.functions().get("gone").await.expect("a function"), "Ready").expect("a condition");
    assert!(
        ready.message.contains("are stored until 2") && ready.message.contains("no Secret gone"),
        "{}",
        ready.message
    );
    tenant.prepare("gone").await;
    wait_condition(&tenant.functions(), "gone", "Ready", "Ok", BROUGHT).await;
}

/// Requests with a write key need no signature.
#[tokio::test]
async fn a_function_whose_signing_secret_is_deleted_takes_requests_with_a_write_key() {
    let tenant = tenant("secrets").await;
    tenant.secret("half-keys", &json!({"writeKeys": WRITE_KEY})).await;
    tenant.secret("half-signing", &json!({"signing": SIGNING_SECRET})).await;
    let ingest = json!({
        "writeKeySecretRef": {"name": "half-keys", "key": "writeKeys"},
        "signatureSecretRef": {"name": "half-signing", "key": "signing"},
    });
    tenant.run("half", &json!({"ingest": ingest})).await;
    kubectl(&["delete", "secret", "half-signing", "--namespace", "secrets"], "").expect("a Secret");
    serves(&tenant, "half", ("IngestConfigured", "True", "SignatureNotFound"), "SignatureNotFound").await;
}

#[tokio::test]
async fn a_function_that_is_scaled_past_its_quota_goes_on() {
    let tenant = tenant("scarce").await;
    tenant.run("orders", &json!({})).await;
    let pods = ["get", "pods", "--namespace", "scarce", "--output", "name"];
    let hard = format!("pods={}", kubectl(&pods, "").expect("pods").lines().count());
    kubectl(&["create", "quota", "few", "--hard", &hard, "--namespace", "scarce"], "").expect("a quota");
    kubectl(&["scale", "df", "orders", "--namespace", "scarce", "--replicas=2"], "").expect("a scale");
    serves(&tenant, "orders", ("UpToDate", "False", "QuotaExceeded"), "Ok").await;
    serves(&tenant, "orders", ("Stalled", "True", "QuotaExceeded"), "Ok").await;
    assert_judged(&tenant, "orders", "Failed").await;
    kubectl(&["delete", "quota", "few", "--namespace", "scarce"], "").expect("no quota");
    mends(&tenant, "orders", MENDED).await;
}

/// The sidecars of before serve until the new ones do, which is never.
#[tokio::test]
async fn a_change_that_does_not_come_up_leaves_the_sidecars_of_before() {
    let tenant = tenant("role").await;
    tenant.run("changed", &json!({})).await;
    let missing = format!("arn:aws:iam::{ACCOUNT}:role/role-missing");
    tenant.apply("changed", &json!({"roleArn": missing})).await;
    serves(&tenant, "changed", ("UpToDate", "False", "AccessDenied"), "Ok").await;
    serves(&tenant, "changed", ("RoleAssumed", "False", "AccessDenied"), "Ok").await;
    serves(&tenant, "changed", ("Stalled", "True", "AccessDenied"), "Ok").await;
    assert_judged(&tenant, "changed", "Failed").await;
    tenant.apply("changed", &json!({})).await;
    mends(&tenant, "changed", MENDED).await;
}
