//! Accepted: what the platform says.

use serde_json::json;
use tributary_tests::kubernetes::kubectl;

use super::{BROUGHT, MENDED, mends, mends_by_itself, says};
use crate::stage::{GUARDED, tenant};

#[tokio::test]
async fn a_function_that_asks_for_too_much_or_too_little_is_told() {
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
        says(&tenant, name, "Accepted", "ResourcesOutOfBounds", &parts).await;
        tenant.apply(name, &resources("192Mi")).await;
        mends(&tenant, name, MENDED).await;
    }
}

/// Under a key of its own, which the admission policy does not look at, but the sidecar does.
#[tokio::test]
async fn an_external_id_of_another_prefix_is_told() {
    let tenant = tenant(GUARDED).await;
    tenant.prepare("another").await;
    tenant.secret("by-another-key", &json!({"id": "red/another-3kF9"})).await;
    tenant.apply("another", &json!({"externalIdSecretRef": {"name": "by-another-key", "key": "id"}})).await;
    let parts = &["does not begin with guarded/"];
    says(&tenant, "another", "Accepted", "ExternalIdNotAllowed", parts).await;
    tenant.secret("by-another-key", &json!({"id": tenant.external_id("another")})).await;
    mends_by_itself(&tenant, "another", BROUGHT).await;
}

#[tokio::test]
async fn a_child_of_somebody_elses_is_told_and_left_alone() {
    let tenant = tenant("platform").await;
    tenant.prepare("taken").await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "taken", "namespace": "platform"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "somebody"}},
    });
    kubectl(&["apply", "--filename", "-"], &service.to_string()).expect("a Service");
    tenant.apply("taken", &json!({})).await;
    says(&tenant, "taken", "Accepted", "NameClash", &["Service", "taken"]).await;
    let selector = ["get", "service", "taken", "--namespace", "platform", "--output", "jsonpath={.spec.selector}"];
    assert_eq!(kubectl(&selector, "").expect("the Service"), r#"{"app":"somebody"}"#);
    kubectl(&["delete", "service", "taken", "--namespace", "platform"], "").expect("no Service");
    mends(&tenant, "taken", MENDED).await;
}
