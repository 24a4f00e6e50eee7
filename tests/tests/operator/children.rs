//! Tests a function's children: they are created, updated and deleted with it.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::{DeleteParams, PropagationPolicy};
use serde_json::json;
use tributary_crds::DestinationFunction;
use tributary_tests::kubernetes::{condition, eventually};

use crate::scene::{Fixture, image, is_observed, template};

/// The name of the ConfigMap that a Deployment's pods mount.
fn config_map_name(deployment: &Deployment) -> String {
    let volumes = template(deployment)["spec"]["volumes"].clone();
    let volume = volumes.as_array().expect("volumes").iter().find(|volume| volume["name"] == "function").cloned();
    volume.expect("a volume")["configMap"]["name"].as_str().expect("a name").to_owned()
}

#[tokio::test]
async fn a_function_gets_its_children_and_they_are_deleted_with_it() {
    let (fixture, _operator) = Fixture::with_operator("children").await;
    let deployment = fixture.apply_and_wait("orders", &json!({})).await;
    let map = fixture.wait_exists::<ConfigMap>(&config_map_name(&deployment)).await;
    assert_eq!(map.immutable, Some(true));
    assert!(map.data.expect("data")["function.yaml"].contains("name: orders"));
    let service = fixture.wait_exists::<Service>("orders").await;
    assert_eq!(service.spec.expect("a spec").ports.expect("ports")[0].port, 80);
    assert_eq!(fixture.wait_exists::<ServiceAccount>("orders").await.automount_service_account_token, Some(false));
    assert!(
        fixture.managed_names::<PodDisruptionBudget>().await.is_empty()
            && fixture.managed_names::<NetworkPolicy>().await.is_empty()
    );

    // Waits, because the status is written again after the operator has filled in `replicas`.
    let function = fixture.wait_for::<DestinationFunction>("orders", "is observed", is_observed).await;
    let status = function.status.clone().expect("a status");
    assert_eq!(status.url, Some(format!("http://orders.{}.svc", fixture.namespace.name)));
    let types: Vec<_> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    let all = [
        "Ready",
        "Accepted",
        "ExternalIdAvailable",
        "IngestConfigured",
        "RoleAssumed",
        "ExternalIdEnforced",
        "BucketWritable",
        "SidecarAvailable",
        "UpToDate",
        "Reconciling",
        "Stalled",
    ];
    assert_eq!(types, all);
    assert_eq!(condition(&function, "RoleAssumed").expect("the condition").status, "Unknown");

    fixture.delete::<DestinationFunction>("orders").await;
    eventually("all children are deleted", async || {
        let left = [
            fixture.managed_names::<Deployment>().await,
            fixture.managed_names::<ConfigMap>().await,
            fixture.managed_names::<Service>().await,
            fixture.managed_names::<ServiceAccount>().await,
        ];
        left.iter().all(Vec::is_empty).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_change_of_the_function_changes_its_children() {
    let (fixture, _operator) = Fixture::with_operator("changes").await;
    let before = fixture.apply_and_wait("orders", &json!({})).await;
    let tls = json!({"ingest": {"tlsSecretRef": {"name": "orders-tls"}}, "replicas": 2});
    fixture.apply("orders", &tls).await;
    let service = fixture
        .wait_for::<Service>("orders", "exposes port 443", |service| {
            let port = service.spec.as_ref().and_then(|spec| spec.ports.as_ref()?.first()).map(|port| port.port);
            port == Some(443)
        })
        .await;
    // There is one port: 443 has replaced 80.
    assert_eq!(service.spec.expect("a spec").ports.expect("ports").len(), 1);
    let after = fixture
        .wait_for::<Deployment>("orders", "has another configuration", |deployment| {
            config_map_name(deployment) != config_map_name(&before)
        })
        .await;
    assert_eq!(after.spec.as_ref().expect("a spec").replicas, Some(2));
    assert!(template(&after).to_string().contains("orders-tls"));
    fixture.wait_exists::<ConfigMap>(&config_map_name(&after)).await;
    fixture.wait_exists::<PodDisruptionBudget>("orders").await;

    // Changed back: objects and fields that are no longer desired are removed.
    fixture.apply("orders", &json!({"replicas": 1})).await;
    let again = fixture
        .wait_for::<Deployment>("orders", "has the first configuration", |deployment| {
            config_map_name(deployment) == config_map_name(&before)
        })
        .await;
    assert_eq!(template(&again)["spec"]["volumes"], template(&before)["spec"]["volumes"]);
    eventually("the budget is gone", async || {
        fixture.managed_names::<PodDisruptionBudget>().await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn platform_settings_are_applied_to_the_children() {
    let fixture = Fixture::new("platform").await;
    let operator = fixture.operator().start().await;
    let before = fixture.apply_and_wait("orders", &json!({})).await;
    assert_eq!(image(&before), "registry.invalid/tributary-sidecar:test");
    drop(operator);

    let changed = fixture
        .operator()
        .platform("sidecar.image", json!("registry.invalid/tributary-sidecar:next"))
        .platform("sidecar.region", json!("eu-west-1"))
        .platform("networkPolicy", json!({"enabled": true}))
        .platform("baseIdentity", json!({"default": {"irsa": {"roleArn": "arn:aws:iam::999999999999:role/base"}}}));
    let operator = changed.start().await;
    fixture
        .wait_for::<Deployment>("orders", "has the new image", |deployment| {
            image(deployment) == "registry.invalid/tributary-sidecar:next"
        })
        .await;
    let account = fixture.wait_exists::<ServiceAccount>("orders").await;
    assert_eq!(account.annotations()["eks.amazonaws.com/role-arn"], "arn:aws:iam::999999999999:role/base");
    fixture.wait_exists::<NetworkPolicy>("orders").await;
    drop(operator);

    let _operator = fixture.operator().start().await;
    eventually("the policy is gone", async || fixture.managed_names::<NetworkPolicy>().await.is_empty().then_some(()))
        .await;
    fixture
        .wait_for::<ServiceAccount>("orders", "has no role", |account| {
            !account.annotations().contains_key("eks.amazonaws.com/role-arn")
        })
        .await;
}

#[tokio::test]
async fn foreground_deletion_waits_for_the_children() {
    let (fixture, _operator) = Fixture::with_operator("foreground").await;
    fixture.apply_and_wait("orders", &json!({})).await;
    let params = DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    fixture.functions().delete("orders", &params).await.expect("a function to delete");
    eventually("the function is gone", async || {
        fixture.functions().get_opt("orders").await.ok()?.is_none().then_some(())
    })
    .await;
    assert!(fixture.managed_names::<Deployment>().await.is_empty());
}

#[tokio::test]
async fn a_function_recreated_immediately_gets_new_children() {
    let (fixture, _operator) = Fixture::with_operator("again").await;
    let first = fixture.apply_and_wait("orders", &json!({})).await;
    fixture.delete::<DestinationFunction>("orders").await;
    fixture.apply("orders", &json!({})).await;
    let second =
        fixture.wait_for::<Deployment>("orders", "is recreated", |deployment| deployment.uid() != first.uid()).await;
    let function = fixture.functions().get("orders").await.expect("the function");
    assert_eq!(second.owner_references()[0].uid, function.uid().expect("a uid"));
}
