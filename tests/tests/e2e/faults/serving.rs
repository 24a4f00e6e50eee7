//! Tests that Ready reports only whether events are stored: problems that do not prevent that are reported in other
//! conditions.

use serde_json::json;
use tributary_tests::kubernetes::{Tenant, condition, kubectl, wait_condition, within};
use tributary_tests::world::{ACCOUNT, REGION};

use super::{
    RECOVERY_TIMEOUT, REPORT_TIMEOUT, SECRET_SYNC_TIMEOUT, SIGNING_SECRET, WRITE_KEY, assert_kstatus, send,
    wait_recovered,
};
use crate::stage::tenant;

/// Waits until the condition has this status and reason and Ready has the reason `ready`. Asserts that Ready is True
/// and that events are stored.
async fn assert_serves_with_condition(
    tenant: &Tenant,
    name: &str,
    (r#type, status, reason): (&str, &str, &str),
    ready: &str,
) {
    within(SECRET_SYNC_TIMEOUT, &format!("{type} of {name} is {reason}"), async || {
        let function = tenant.functions().get(name).await.ok()?;
        let reported = condition(&function, r#type)?;
        let is_ready = condition(&function, "Ready")?;
        let is_reported = reported.status == status && reported.reason == reason && is_ready.reason == ready;
        is_reported.then(|| assert_eq!(is_ready.status, "True", "{}", is_ready.message))
    })
    .await;
    assert!(send(tenant, name).await, "Ready is True, and no event is stored");
}

/// A change waits until the pause ends.
#[tokio::test]
async fn a_paused_function_keeps_storing_events() {
    let tenant = tenant("platform").await;
    tenant.run("held", &json!({})).await;
    tenant.apply("held", &json!({"paused": true, "logLevel": "warn"})).await;
    assert_serves_with_condition(&tenant, "held", ("Accepted", "True", "Paused"), "Paused").await;
    assert_serves_with_condition(&tenant, "held", ("UpToDate", "False", "Paused"), "Paused").await;
    assert_serves_with_condition(&tenant, "held", ("Stalled", "False", "Ok"), "Paused").await;
    assert_kstatus(&tenant, "held", "Current").await;
    tenant.apply("held", &json!({"logLevel": "warn"})).await;
    wait_condition(&tenant.functions(), "held", "Accepted", "Ok", REPORT_TIMEOUT).await;
    wait_recovered(&tenant, "held", RECOVERY_TIMEOUT).await;
}

/// Its session does not need the Secret.
#[tokio::test]
async fn a_function_whose_secret_is_deleted_keeps_storing_events_while_its_session_lives() {
    let tenant = tenant("secrets").await;
    tenant.run("gone", &json!({})).await;
    kubectl(&["delete", "secret", "gone", "--namespace", "secrets"], "").expect("a Secret");
    assert_serves_with_condition(&tenant, "gone", ("ExternalIdAvailable", "False", "SecretNotFound"), "SecretNotFound")
        .await;
    let ready = condition(&tenant.functions().get("gone").await.expect("a function"), "Ready").expect("a condition");
    assert!(
        ready.message.contains("are stored until 2") && ready.message.contains("no Secret gone"),
        "{}",
        ready.message
    );
    tenant.prepare("gone").await;
    wait_condition(&tenant.functions(), "gone", "Ready", "Ok", SECRET_SYNC_TIMEOUT).await;
}

/// Requests with a write key need no signature.
#[tokio::test]
async fn a_function_whose_signing_secret_is_deleted_accepts_requests_with_a_write_key() {
    let tenant = tenant("secrets").await;
    tenant.secret("half-keys", &json!({"writeKeys": WRITE_KEY})).await;
    tenant.secret("half-signing", &json!({"signing": SIGNING_SECRET})).await;
    let ingest = json!({
        "writeKeySecretRef": {"name": "half-keys", "key": "writeKeys"},
        "signatureSecretRef": {"name": "half-signing", "key": "signing"},
    });
    tenant.run("half", &json!({"ingest": ingest})).await;
    kubectl(&["delete", "secret", "half-signing", "--namespace", "secrets"], "").expect("a Secret");
    assert_serves_with_condition(
        &tenant,
        "half",
        ("IngestConfigured", "True", "SignatureNotFound"),
        "SignatureNotFound",
    )
    .await;
}

#[tokio::test]
async fn a_function_scaled_past_its_quota_keeps_storing_events() {
    let tenant = tenant("scarce").await;
    tenant.run("orders", &json!({})).await;
    let pods = ["get", "pods", "--namespace", "scarce", "--output", "name"];
    let hard = format!("pods={}", kubectl(&pods, "").expect("pods").lines().count());
    kubectl(&["create", "quota", "few", "--hard", &hard, "--namespace", "scarce"], "").expect("a quota");
    kubectl(&["scale", "df", "orders", "--namespace", "scarce", "--replicas=2"], "").expect("a scale");
    assert_serves_with_condition(&tenant, "orders", ("UpToDate", "False", "QuotaExceeded"), "Ok").await;
    assert_serves_with_condition(&tenant, "orders", ("Stalled", "True", "QuotaExceeded"), "Ok").await;
    assert_kstatus(&tenant, "orders", "Failed").await;
    kubectl(&["delete", "quota", "few", "--namespace", "scarce"], "").expect("no quota");
    wait_recovered(&tenant, "orders", RECOVERY_TIMEOUT).await;
}

/// The old sidecars serve until new ones are ready, which is never.
#[tokio::test]
async fn a_change_that_never_becomes_ready_leaves_the_old_sidecars_serving() {
    let tenant = tenant("role").await;
    tenant.run("changed", &json!({})).await;
    let missing_role = json!({"roleArn": format!("arn:aws:iam::{ACCOUNT}:role/role-missing")});
    let missing_bucket = json!({"s3": {"bucket": "role-changed-typo", "region": REGION}});
    for (change, r#type, reason) in
        [(missing_role, "RoleAssumed", "AccessDenied"), (missing_bucket, "BucketWritable", "NoSuchBucket")]
    {
        tenant.apply("changed", &change).await;
        assert_serves_with_condition(&tenant, "changed", ("UpToDate", "False", reason), "Ok").await;
        assert_serves_with_condition(&tenant, "changed", (r#type, "False", reason), "Ok").await;
        assert_serves_with_condition(&tenant, "changed", ("Stalled", "True", reason), "Ok").await;
        assert_kstatus(&tenant, "changed", "Failed").await;
        tenant.apply("changed", &json!({})).await;
        wait_recovered(&tenant, "changed", RECOVERY_TIMEOUT).await;
    }
}
