//! Tests faults of Accepted: settings that the platform refuses.

use serde_json::json;
use tributary_tests::kubernetes::kubectl;

use super::{RECOVERY_TIMEOUT, SECRET_SYNC_TIMEOUT, assert_reported, wait_recovered, wait_recovered_without_restart};
use crate::stage::{GUARDED, tenant};

#[tokio::test]
async fn memory_limits_out_of_bounds_are_reported() {
    let tenant = tenant("platform").await;
    let resources = |memory: &str| json!({"resources": {"limits": {"memory": memory}}});
    for (name, memory, parts) in [
        ("greedy", "64Gi", ["resources.limits.memory is 64Gi", "at most 2Gi", "ask for less"]),
        (
            "starved",
            "16Mi",
            ["a memory limit of 16Mi is too small", "24Mi for the process", "limits.memory to at least"],
        ),
    ] {
        tenant.prepare(name).await;
        tenant.apply(name, &resources(memory)).await;
        assert_reported(&tenant, name, "Accepted", "ResourcesOutOfBounds", &parts).await;
        tenant.apply(name, &resources("192Mi")).await;
        wait_recovered(&tenant, name, RECOVERY_TIMEOUT).await;
    }
}

/// The Secret has another key than the default, which the admission policy does not check, but the sidecar does.
#[tokio::test]
async fn an_external_id_of_another_prefix_is_reported() {
    let tenant = tenant(GUARDED).await;
    tenant.prepare("another").await;
    tenant.secret("by-another-key", &json!({"id": "red/another-3kF9"})).await;
    tenant.apply("another", &json!({"externalIdSecretRef": {"name": "by-another-key", "key": "id"}})).await;
    let parts = &["does not begin with guarded/"];
    assert_reported(&tenant, "another", "Accepted", "ExternalIdNotAllowed", parts).await;
    tenant.secret("by-another-key", &json!({"id": tenant.external_id("another")})).await;
    wait_recovered_without_restart(&tenant, "another", SECRET_SYNC_TIMEOUT).await;
}

#[tokio::test]
async fn a_foreign_object_of_the_same_name_is_reported_and_left_alone() {
    let tenant = tenant("platform").await;
    tenant.prepare("taken").await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "taken", "namespace": "platform"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "somebody"}},
    });
    kubectl(&["apply", "--filename", "-"], &service.to_string()).expect("a Service");
    tenant.apply("taken", &json!({})).await;
    assert_reported(&tenant, "taken", "Accepted", "NameClash", &["Service", "taken"]).await;
    let selector = ["get", "service", "taken", "--namespace", "platform", "--output", "jsonpath={.spec.selector}"];
    assert_eq!(kubectl(&selector, "").expect("the Service"), r#"{"app":"somebody"}"#);
    kubectl(&["delete", "service", "taken", "--namespace", "platform"], "").expect("no Service");
    wait_recovered(&tenant, "taken", RECOVERY_TIMEOUT).await;
}
