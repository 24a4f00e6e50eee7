//! RoleAssumed and ExternalIdEnforced: what STS answers, and who asks.

use std::time::Duration;

use serde_json::{Value, json};
use tributary_tests::kubernetes::{Tenant, condition, kubectl, within};
use tributary_tests::world::{ACCOUNT, BASE_ACCOUNT, PRINCIPAL};

use super::{BROUGHT, MENDED, mends_by_itself, says, says_so, send};
use crate::stage::{DOORS, tenant};

fn arn(tenant: &Tenant, name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{}", tenant.of(name))
}

/// The role is this.
async fn role(tenant: &Tenant, name: &str, role: Value) {
    let name = tenant.of(name);
    tenant.cloud.edit(|all| all["accounts"][ACCOUNT]["roles"][name] = role).await;
}

#[tokio::test]
async fn a_role_that_demands_another_external_id_is_told() {
    let tenant = tenant("role").await;
    tenant.prepare("wrong").await;
    role(&tenant, "wrong", json!({"principals": [PRINCIPAL], "externalId": "another"})).await;
    tenant.apply("wrong", &json!({})).await;
    let arn = arn(&tenant, "wrong");
    says(&tenant, "wrong", "RoleAssumed", "AccessDenied", &[&arn, "trust policy", "sts:ExternalId"]).await;
    let described = kubectl(&["describe", "df", "wrong", "--namespace", "role"], "").expect("a description");
    assert!(described.contains("AccessDenied") && described.contains("sts:ExternalId"), "{described}");
    assert!(!described.contains(&tenant.external_id("wrong")), "the external ID is shown");
    tenant.prepare("wrong").await;
    mends_by_itself(&tenant, "wrong", MENDED).await;
}

/// The function stays ready while its session lives; what will end it is said all the same.
#[tokio::test]
async fn a_renewal_that_fails_is_told_while_events_are_stored() {
    let tenant = tenant("role").await;
    tenant.prepare("renewing").await;
    tenant.apply("renewing", &json!({})).await;
    tenant.wait_ready("renewing", Duration::from_secs(60)).await;
    tenant.secret("renewing", &json!({"externalId": "another"})).await;
    within(BROUGHT, "the changed external ID is tried", async || {
        let function = tenant.functions().get("renewing").await.ok()?;
        condition(&function, "RoleAssumed").filter(|said| said.reason == "RenewalFailing")
    })
    .await;
    let parts = ["sts:ExternalId", "traffic stops at"];
    says_so(&tenant, "renewing", ("RoleAssumed", "True"), "RenewalFailing", &parts).await;
    assert!(send(&tenant, "renewing").await, "the session that there is stays in use");
    tenant.prepare("renewing").await;
    within(BROUGHT, "the function is ready with nothing to warn of", async || {
        let function = tenant.functions().get("renewing").await.ok()?;
        condition(&function, "Ready").filter(|ready| ready.status == "True" && ready.reason == "Ok")
    })
    .await;
}

#[tokio::test]
async fn a_role_that_trusts_somebody_else_is_told() {
    let tenant = tenant("role").await;
    tenant.prepare("strange").await;
    let somebody = format!("arn:aws:iam::{BASE_ACCOUNT}:user/somebody");
    role(&tenant, "strange", json!({"principals": [somebody], "externalId": tenant.external_id("strange")})).await;
    tenant.apply("strange", &json!({})).await;
    says(&tenant, "strange", "RoleAssumed", "AccessDenied", &["trust policy names", PRINCIPAL]).await;
    tenant.prepare("strange").await;
    mends_by_itself(&tenant, "strange", MENDED).await;
}

#[tokio::test]
async fn a_role_that_is_given_away_without_an_external_id_is_told() {
    let tenant = tenant("role").await;
    tenant.prepare("open").await;
    role(&tenant, "open", json!({"principals": [PRINCIPAL]})).await;
    tenant.apply("open", &json!({})).await;
    says(&tenant, "open", "ExternalIdEnforced", "NotEnforced", &["no event is sent through it", "sts:ExternalId"])
        .await;
    assert!(tenant.cloud.keys(&tenant.of("open")).await.is_empty());
    tenant.prepare("open").await;
    mends_by_itself(&tenant, "open", MENDED).await;
}

#[tokio::test]
async fn a_namespace_without_a_base_identity_is_told() {
    let tenant = tenant("nobody").await;
    kubectl(&["delete", "secret", "aws-base", "--namespace", "nobody"], "").expect("a Secret");
    tenant.prepare("orders").await;
    tenant.apply("orders", &json!({})).await;
    says(&tenant, "orders", "RoleAssumed", "NoBaseIdentity", &["there is no Secret aws-base in the namespace nobody"])
        .await;
    tenant.give_base_identity().await;
    mends_by_itself(&tenant, "orders", BROUGHT).await;
}

#[tokio::test]
async fn an_sts_that_throttles_is_told() {
    errors("throttled", "Throttling", "Throttled", &["STS asks for fewer requests"]).await;
}

#[tokio::test]
async fn a_session_policy_that_is_too_large_is_told() {
    errors("large", "PackedPolicyTooLarge", "PackedPolicyTooLarge", &["shorten spec.s3.prefix"]).await;
}

#[tokio::test]
async fn an_sts_that_fails_is_told_in_its_own_words() {
    errors("failing", "InternalFailure", "StsError", &["InternalFailure"]).await;
}

async fn errors(name: &str, code: &str, reason: &str, parts: &[&str]) {
    let tenant = tenant("role").await;
    let arn = arn(&tenant, name);
    tenant.prepare(name).await;
    tenant.cloud.break_with(json!({"service": "sts", "role": arn, "action": {"error": code}})).await;
    tenant.apply(name, &json!({})).await;
    says(&tenant, name, "RoleAssumed", reason, parts).await;
    tenant.cloud.mend("role", &arn).await;
    mends_by_itself(&tenant, name, MENDED).await;
}

/// The Service of the endpoint leads nowhere at first.
#[tokio::test]
async fn an_sts_that_can_not_be_reached_is_told() {
    let tenant = tenant("role").await;
    tenant.cloud.lead("sts", "nothing").await;
    tenant.prepare("far").await;
    tenant.apply("far", &json!({"sts": {"endpoint": DOORS[0]}})).await;
    says(&tenant, "far", "RoleAssumed", "StsUnreachable", &["STS at http://sts.cloud.svc:9000", "can't be reached"])
        .await;
    tenant.cloud.lead("sts", "aws").await;
    mends_by_itself(&tenant, "far", MENDED).await;
}
