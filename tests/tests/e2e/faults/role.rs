//! Tests faults of RoleAssumed and ExternalIdEnforced: refusals of STS, and the base identity.

use std::time::Duration;

use serde_json::{Value, json};
use tributary_tests::kubernetes::{Tenant, condition, kubectl, within};
use tributary_tests::world::{ACCOUNT, BASE_ACCOUNT, PRINCIPAL};

use super::{
    RECOVERY_TIMEOUT, SECRET_SYNC_TIMEOUT, assert_reported, assert_reported_with_status, send,
    wait_recovered_without_restart,
};
use crate::stage::{ENDPOINTS, tenant};

fn arn(tenant: &Tenant, name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{}", tenant.aws_name(name))
}

/// Replaces the function's role in AWS.
async fn set_role(tenant: &Tenant, name: &str, role: Value) {
    let name = tenant.aws_name(name);
    tenant.cloud.edit(|all| all["accounts"][ACCOUNT]["roles"][name] = role).await;
}

#[tokio::test]
async fn a_role_that_requires_another_external_id_is_reported() {
    let tenant = tenant("role").await;
    tenant.prepare("wrong").await;
    set_role(&tenant, "wrong", json!({"principals": [PRINCIPAL], "externalId": "another"})).await;
    tenant.apply("wrong", &json!({})).await;
    let arn = arn(&tenant, "wrong");
    assert_reported(&tenant, "wrong", "RoleAssumed", "AccessDenied", &[&arn, "trust policy", "sts:ExternalId"]).await;
    let described = kubectl(&["describe", "df", "wrong", "--namespace", "role"], "").expect("a description");
    assert!(described.contains("AccessDenied") && described.contains("sts:ExternalId"), "{described}");
    assert!(!described.contains(&tenant.external_id("wrong")), "the external ID is shown");
    tenant.prepare("wrong").await;
    wait_recovered_without_restart(&tenant, "wrong", RECOVERY_TIMEOUT).await;
}

/// The function stays ready while its session lives, but the failing renewal is reported.
#[tokio::test]
async fn a_failing_renewal_is_reported_while_events_are_stored() {
    let tenant = tenant("role").await;
    tenant.prepare("renewing").await;
    tenant.apply("renewing", &json!({})).await;
    tenant.wait_ready("renewing", Duration::from_secs(60)).await;
    tenant.secret("renewing", &json!({"externalId": "another"})).await;
    within(SECRET_SYNC_TIMEOUT, "the changed external ID is tried", async || {
        let function = tenant.functions().get("renewing").await.ok()?;
        condition(&function, "RoleAssumed").filter(|reported| reported.reason == "RenewalFailing")
    })
    .await;
    let parts = ["sts:ExternalId", "traffic stops at"];
    assert_reported_with_status(&tenant, "renewing", ("RoleAssumed", "True"), "RenewalFailing", &parts).await;
    assert!(send(&tenant, "renewing").await, "the current session must stay in use");
    tenant.prepare("renewing").await;
    within(SECRET_SYNC_TIMEOUT, "the function is ready with reason Ok", async || {
        let function = tenant.functions().get("renewing").await.ok()?;
        condition(&function, "Ready").filter(|ready| ready.status == "True" && ready.reason == "Ok")
    })
    .await;
}

#[tokio::test]
async fn a_role_that_trusts_another_principal_is_reported() {
    let tenant = tenant("role").await;
    tenant.prepare("strange").await;
    let somebody = format!("arn:aws:iam::{BASE_ACCOUNT}:user/somebody");
    set_role(&tenant, "strange", json!({"principals": [somebody], "externalId": tenant.external_id("strange")})).await;
    tenant.apply("strange", &json!({})).await;
    assert_reported(&tenant, "strange", "RoleAssumed", "AccessDenied", &["trust policy names", PRINCIPAL]).await;
    tenant.prepare("strange").await;
    wait_recovered_without_restart(&tenant, "strange", RECOVERY_TIMEOUT).await;
}

#[tokio::test]
async fn a_role_that_requires_no_external_id_is_reported() {
    let tenant = tenant("role").await;
    tenant.prepare("open").await;
    set_role(&tenant, "open", json!({"principals": [PRINCIPAL]})).await;
    tenant.apply("open", &json!({})).await;
    assert_reported(
        &tenant,
        "open",
        "ExternalIdEnforced",
        "NotEnforced",
        &["no event is stored until STS refuses", "sts:ExternalId"],
    )
    .await;
    assert!(tenant.cloud.keys(&tenant.aws_name("open")).await.is_empty());
    tenant.prepare("open").await;
    wait_recovered_without_restart(&tenant, "open", RECOVERY_TIMEOUT).await;
}

#[tokio::test]
async fn a_namespace_without_a_base_identity_is_reported() {
    let tenant = tenant("nobody").await;
    kubectl(&["delete", "secret", "aws-base", "--namespace", "nobody"], "").expect("a Secret");
    tenant.prepare("orders").await;
    tenant.apply("orders", &json!({})).await;
    assert_reported(
        &tenant,
        "orders",
        "RoleAssumed",
        "NoBaseIdentity",
        &["there is no Secret aws-base in the namespace nobody"],
    )
    .await;
    tenant.create_base_identity_secret().await;
    wait_recovered_without_restart(&tenant, "orders", SECRET_SYNC_TIMEOUT).await;
}

#[tokio::test]
async fn an_sts_that_throttles_is_reported() {
    assert_error_reported("throttled", "Throttling", "Throttled", &["STS asks for fewer requests"]).await;
}

#[tokio::test]
async fn a_session_policy_that_is_too_large_is_reported() {
    assert_error_reported("large", "PackedPolicyTooLarge", "PackedPolicyTooLarge", &["shorten spec.s3.prefix"]).await;
}

#[tokio::test]
async fn an_sts_error_is_reported_with_its_code() {
    assert_error_reported("failing", "InternalFailure", "StsError", &["InternalFailure"]).await;
}

async fn assert_error_reported(name: &str, code: &str, reason: &str, parts: &[&str]) {
    let tenant = tenant("role").await;
    let arn = arn(&tenant, name);
    tenant.prepare(name).await;
    tenant.cloud.add_fault(json!({"service": "sts", "role": arn, "action": {"error": code}})).await;
    tenant.apply(name, &json!({})).await;
    assert_reported(&tenant, name, "RoleAssumed", reason, parts).await;
    tenant.cloud.remove_faults("role", &arn).await;
    wait_recovered_without_restart(&tenant, name, RECOVERY_TIMEOUT).await;
}

/// The endpoint's Service points at nothing at first.
#[tokio::test]
async fn an_unreachable_sts_is_reported() {
    let tenant = tenant("role").await;
    tenant.cloud.point_service("sts", "nothing").await;
    tenant.prepare("far").await;
    tenant.apply("far", &json!({"sts": {"endpoint": ENDPOINTS[0]}})).await;
    assert_reported(
        &tenant,
        "far",
        "RoleAssumed",
        "StsUnreachable",
        &["STS at http://sts.cloud.svc:9000", "can't be reached"],
    )
    .await;
    tenant.cloud.point_service("sts", "aws").await;
    wait_recovered_without_restart(&tenant, "far", RECOVERY_TIMEOUT).await;
}
