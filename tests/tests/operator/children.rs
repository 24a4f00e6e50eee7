//! A function's children: made, changed with it, gone with it.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::{DeleteParams, PropagationPolicy};
use serde_json::json;
use tributary_crds::DestinationFunction;
use tributary_tests::kubernetes::{condition, eventually};

use crate::scene::{Scene, image, is_observed, template};

/// The ConfigMap that a Deployment's pods are started with.
fn configuration(deployment: &Deployment) -> String {
    let volumes = template(deployment)["spec"]["volumes"].clone();
    let volume = volumes.as_array().expect("volumes").iter().find(|volume| volume["name"] == "function").cloned();
    volume.expect("a volume")["configMap"]["name"].as_str().expect("a name").to_owned()
}

#[tokio::test]
async fn a_function_gets_its_children_and_they_go_with_it() {
    let (scene, _operator) = Scene::with_operator("children").await;
    let deployment = scene.applied("orders", &json!({})).await;
    let map = scene.appears::<ConfigMap>(&configuration(&deployment)).await;
    assert_eq!(map.immutable, Some(true));
    assert!(map.data.expect("data")["function.yaml"].contains("name: orders"));
    let service = scene.appears::<Service>("orders").await;
    assert_eq!(service.spec.expect("a spec").ports.expect("ports")[0].port, 80);
    assert_eq!(scene.appears::<ServiceAccount>("orders").await.automount_service_account_token, Some(false));
    assert!(scene.made::<PodDisruptionBudget>().await.is_empty() && scene.made::<NetworkPolicy>().await.is_empty());

    // Soon, and again when the operator has filled its replicas in.
    let function = scene.becomes::<DestinationFunction>("orders", "is observed", is_observed).await;
    let status = function.status.clone().expect("a status");
    assert_eq!(status.url, Some(format!("http://orders.{}.svc", scene.namespace.name)));
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

    scene.delete::<DestinationFunction>("orders").await;
    eventually("nothing is left of it", async || {
        let left = [
            scene.made::<Deployment>().await,
            scene.made::<ConfigMap>().await,
            scene.made::<Service>().await,
            scene.made::<ServiceAccount>().await,
        ];
        left.iter().all(Vec::is_empty).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_change_of_the_function_is_a_change_of_its_children() {
    let (scene, _operator) = Scene::with_operator("changes").await;
    let before = scene.applied("orders", &json!({})).await;
    let tls = json!({"ingest": {"tlsSecretRef": {"name": "orders-tls"}}, "replicas": 2});
    scene.apply("orders", &tls).await;
    let service = scene
        .becomes::<Service>("orders", "leads to HTTPS", |service| {
            let port = service.spec.as_ref().and_then(|spec| spec.ports.as_ref()?.first()).map(|port| port.port);
            port == Some(443)
        })
        .await;
    // What was one port is one port.
    assert_eq!(service.spec.expect("a spec").ports.expect("ports").len(), 1);
    let after = scene
        .becomes::<Deployment>("orders", "has another configuration", |deployment| {
            configuration(deployment) != configuration(&before)
        })
        .await;
    assert_eq!(after.spec.as_ref().expect("a spec").replicas, Some(2));
    assert!(template(&after).to_string().contains("orders-tls"));
    scene.appears::<ConfigMap>(&configuration(&after)).await;
    scene.appears::<PodDisruptionBudget>("orders").await;

    // And back: what is no longer wanted goes, in the objects and of them.
    scene.apply("orders", &json!({"replicas": 1})).await;
    let again = scene
        .becomes::<Deployment>("orders", "has the first configuration", |deployment| {
            configuration(deployment) == configuration(&before)
        })
        .await;
    assert_eq!(template(&again)["spec"]["volumes"], template(&before)["spec"]["volumes"]);
    eventually("the budget is gone", async || scene.made::<PodDisruptionBudget>().await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn what_the_platform_says_is_in_the_pods() {
    let scene = Scene::new("platform").await;
    let operator = scene.operator().start().await;
    let before = scene.applied("orders", &json!({})).await;
    assert_eq!(image(&before), "registry.invalid/tributary-sidecar:test");
    drop(operator);

    let changed = scene
        .operator()
        .platform("sidecar.image", json!("registry.invalid/tributary-sidecar:next"))
        .platform("sidecar.region", json!("eu-west-1"))
        .platform("networkPolicy", json!({"enabled": true}))
        .platform("baseIdentity", json!({"default": {"irsa": {"roleArn": "arn:aws:iam::999999999999:role/base"}}}));
    let operator = changed.start().await;
    scene
        .becomes::<Deployment>("orders", "has the new image", |deployment| {
            image(deployment) == "registry.invalid/tributary-sidecar:next"
        })
        .await;
    let account = scene.appears::<ServiceAccount>("orders").await;
    assert_eq!(account.annotations()["eks.amazonaws.com/role-arn"], "arn:aws:iam::999999999999:role/base");
    scene.appears::<NetworkPolicy>("orders").await;
    drop(operator);

    let _operator = scene.operator().start().await;
    eventually("the policy is gone", async || scene.made::<NetworkPolicy>().await.is_empty().then_some(())).await;
    scene
        .becomes::<ServiceAccount>("orders", "has no role", |account| {
            !account.annotations().contains_key("eks.amazonaws.com/role-arn")
        })
        .await;
}

#[tokio::test]
async fn a_deletion_in_the_foreground_waits_for_the_children() {
    let (scene, _operator) = Scene::with_operator("foreground").await;
    scene.applied("orders", &json!({})).await;
    let params = DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    scene.functions().delete("orders", &params).await.expect("a function to delete");
    eventually("the function is gone", async || {
        scene.functions().get_opt("orders").await.ok()?.is_none().then_some(())
    })
    .await;
    assert!(scene.made::<Deployment>().await.is_empty());
}

#[tokio::test]
async fn a_function_that_comes_again_at_once_is_made_anew() {
    let (scene, _operator) = Scene::with_operator("again").await;
    let first = scene.applied("orders", &json!({})).await;
    scene.delete::<DestinationFunction>("orders").await;
    scene.apply("orders", &json!({})).await;
    let second =
        scene.becomes::<Deployment>("orders", "is another", |deployment| deployment.uid() != first.uid()).await;
    let function = scene.functions().get("orders").await.expect("the function");
    assert_eq!(second.owner_references()[0].uid, function.uid().expect("a uid"));
}
