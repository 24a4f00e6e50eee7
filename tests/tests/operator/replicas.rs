//! How many sidecars there are is their owner's to say: the function's, or an autoscaler's.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tributary_crds::DestinationFunction;
use tributary_tests::wait::{SOON, until};

use crate::scene::{Scene, is_observed};

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref().and_then(|spec| spec.replicas)
}

#[tokio::test]
async fn the_scale_subresource_scales_the_deployment() {
    let (scene, _operator) = Scene::with_operator("scale").await;
    scene.applied("orders", &json!({})).await;
    let scale = Patch::Merge(json!({"spec": {"replicas": 4}}));
    scene.functions().patch_scale("orders", &PatchParams::default(), &scale).await.expect("a scale");
    scene.becomes::<Deployment>("orders", "is scaled", |deployment| replicas(deployment) == Some(4)).await;
    let scale = scene.functions().get_scale("orders").await.expect("a scale");
    let selector = scale.status.and_then(|status| status.selector).expect("a selector");
    assert_eq!(selector, "app.kubernetes.io/name=tributary-sidecar,tributary.dev/function=orders");
}

#[tokio::test]
async fn replicas_that_the_function_does_not_name_are_nobodys() {
    let (scene, _operator) = Scene::with_operator("unnamed").await;
    let first = scene.applied("orders", &json!({})).await;
    assert_eq!(replicas(&first), Some(1));
    // As an autoscaler of the Deployment itself would.
    scene.edit::<Deployment>("orders", &json!({"spec": {"replicas": 3}})).await;
    scene.apply("orders", &json!({"logLevel": "warn"})).await;
    let changed = scene
        .becomes::<Deployment>("orders", "is changed otherwise", |deployment| deployment.metadata.generation >= Some(3))
        .await;
    assert_eq!(replicas(&changed), Some(3));
}

/// The API server has no scale of a resource without a number: an autoscaler of the function could not begin.
#[tokio::test]
async fn a_function_that_names_no_replicas_has_a_scale_all_the_same() {
    let (scene, _operator) = Scene::with_operator("autoscaled").await;
    scene.applied("orders", &json!({})).await;
    let scale = async || scene.functions().get_scale("orders").await.ok()?.spec?.replicas;
    until("it has a scale", SOON, async || scale().await.filter(|replicas| *replicas == 1)).await;
    // It is nobody's, and so is the Deployment's.
    scene.edit::<Deployment>("orders", &json!({"spec": {"replicas": 3}})).await;
    scene.apply("orders", &json!({"logLevel": "warn"})).await;
    let changed = scene
        .becomes::<Deployment>("orders", "is changed", |deployment| deployment.metadata.generation >= Some(3))
        .await;
    assert_eq!((replicas(&changed), scale().await), (Some(3), Some(1)));
    // The autoscaler's from here on.
    for number in [5, 1] {
        let patch = Patch::Merge(json!({"spec": {"replicas": number}}));
        scene.functions().patch_scale("orders", &PatchParams::default(), &patch).await.expect("a scale");
        scene.becomes::<Deployment>("orders", "is scaled", |deployment| replicas(deployment) == Some(number)).await;
        scene.edit::<Deployment>("orders", &json!({"spec": {"replicas": 2}})).await;
        scene
            .becomes::<Deployment>("orders", "is scaled back", |deployment| replicas(deployment) == Some(number))
            .await;
        assert_eq!(scale().await, Some(number));
    }
}

#[tokio::test]
async fn replicas_that_the_function_names_no_more_stay_what_they_were() {
    let (scene, _operator) = Scene::with_operator("released").await;
    scene.applied("orders", &json!({"replicas": 3})).await;
    // A second apply, by which the operator owns the field in server-side apply's books.
    scene.apply("orders", &json!({"replicas": 4})).await;
    scene.becomes::<Deployment>("orders", "is scaled", |deployment| replicas(deployment) == Some(4)).await;
    let released = scene.apply("orders", &json!({"logLevel": "warn"})).await;
    assert_eq!(released.spec.replicas, None);
    let changed = scene
        .becomes::<Deployment>("orders", "follows the function", |deployment| {
            let text = serde_json::to_string(deployment).expect("JSON");
            deployment.metadata.generation >= Some(3) && text.contains("orders-")
        })
        .await;
    assert_eq!(replicas(&changed), Some(4));
    scene
        .becomes::<DestinationFunction>("orders", "is observed", |function| {
            is_observed(function) && function.spec.replicas == Some(4)
        })
        .await;
}

#[tokio::test]
async fn a_zero_that_the_function_names_no_more_is_one_again() {
    let (scene, _operator) = Scene::with_operator("again").await;
    scene.applied("orders", &json!({"replicas": 0})).await;
    scene.becomes::<Deployment>("orders", "is at zero", |deployment| replicas(deployment) == Some(0)).await;
    assert_eq!(scene.apply("orders", &json!({})).await.spec.replicas, None);
    scene.becomes::<Deployment>("orders", "has a sidecar again", |deployment| replicas(deployment) == Some(1)).await;
    // From then on the number is nobody's.
    scene.becomes::<DestinationFunction>("orders", "has a number", |function| function.spec.replicas == Some(1)).await;
    scene.edit::<Deployment>("orders", &json!({"spec": {"replicas": 0}})).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let now = scene.objects::<Deployment>().get("orders").await.expect("the Deployment");
    assert_eq!(replicas(&now), Some(0), "whoever scales it to none is left to it");
}
