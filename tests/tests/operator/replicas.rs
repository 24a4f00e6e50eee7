//! Tests who controls the number of sidecars: the function's owner, or an autoscaler.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tributary_crds::DestinationFunction;
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};

use crate::scene::{Fixture, is_observed};

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref().and_then(|spec| spec.replicas)
}

#[tokio::test]
async fn the_scale_subresource_scales_the_deployment() {
    let (fixture, _operator) = Fixture::with_operator("scale").await;
    fixture.apply_and_wait("orders", &json!({})).await;
    let scale = Patch::Merge(json!({"spec": {"replicas": 4}}));
    fixture.functions().patch_scale("orders", &PatchParams::default(), &scale).await.expect("a scale");
    fixture.wait_for::<Deployment>("orders", "is scaled", |deployment| replicas(deployment) == Some(4)).await;
    let scale = fixture.functions().get_scale("orders").await.expect("a scale");
    let selector = scale.status.and_then(|status| status.selector).expect("a selector");
    assert_eq!(selector, "app.kubernetes.io/name=tributary-sidecar,tributary.dev/function=orders");
}

#[tokio::test]
async fn without_spec_replicas_the_deployments_number_is_left_alone() {
    let (fixture, _operator) = Fixture::with_operator("unnamed").await;
    let first = fixture.apply_and_wait("orders", &json!({})).await;
    assert_eq!(replicas(&first), Some(1));
    // As an autoscaler of the Deployment would.
    fixture.edit::<Deployment>("orders", &json!({"spec": {"replicas": 3}})).await;
    fixture.apply("orders", &json!({"logLevel": "warn"})).await;
    let changed = fixture
        .wait_for::<Deployment>("orders", "is changed otherwise", |deployment| {
            deployment.metadata.generation >= Some(3)
        })
        .await;
    assert_eq!(replicas(&changed), Some(3));
}

/// Without a number in the spec, the API server has no scale subresource, and an autoscaler of the function could not
/// start.
#[tokio::test]
async fn a_function_without_spec_replicas_has_a_scale_subresource() {
    let (fixture, _operator) = Fixture::with_operator("autoscaled").await;
    fixture.apply_and_wait("orders", &json!({})).await;
    let scale = async || fixture.functions().get_scale("orders").await.ok()?.spec?.replicas;
    until("it has a scale", DEFAULT_TIMEOUT, async || scale().await.filter(|replicas| *replicas == 1)).await;
    // No client has set the function's number, so the Deployment's is left alone too.
    fixture.edit::<Deployment>("orders", &json!({"spec": {"replicas": 3}})).await;
    fixture.apply("orders", &json!({"logLevel": "warn"})).await;
    let changed = fixture
        .wait_for::<Deployment>("orders", "is changed", |deployment| deployment.metadata.generation >= Some(3))
        .await;
    assert_eq!((replicas(&changed), scale().await), (Some(3), Some(1)));
    // From here on the autoscaler has set it.
    for number in [5, 1] {
        let patch = Patch::Merge(json!({"spec": {"replicas": number}}));
        fixture.functions().patch_scale("orders", &PatchParams::default(), &patch).await.expect("a scale");
        fixture.wait_for::<Deployment>("orders", "is scaled", |deployment| replicas(deployment) == Some(number)).await;
        fixture.edit::<Deployment>("orders", &json!({"spec": {"replicas": 2}})).await;
        fixture
            .wait_for::<Deployment>("orders", "is scaled back", |deployment| replicas(deployment) == Some(number))
            .await;
        assert_eq!(scale().await, Some(number));
    }
}

#[tokio::test]
async fn removing_spec_replicas_keeps_the_current_number() {
    let (fixture, _operator) = Fixture::with_operator("released").await;
    fixture.apply_and_wait("orders", &json!({"replicas": 3})).await;
    // The second apply makes the operator the owner of the field in the managed fields.
    fixture.apply("orders", &json!({"replicas": 4})).await;
    fixture.wait_for::<Deployment>("orders", "is scaled", |deployment| replicas(deployment) == Some(4)).await;
    let released = fixture.apply("orders", &json!({"logLevel": "warn"})).await;
    assert_eq!(released.spec.replicas, None);
    let changed = fixture
        .wait_for::<Deployment>("orders", "follows the function", |deployment| {
            let text = serde_json::to_string(deployment).expect("JSON");
            deployment.metadata.generation >= Some(3) && text.contains("orders-")
        })
        .await;
    assert_eq!(replicas(&changed), Some(4));
    fixture
        .wait_for::<DestinationFunction>("orders", "is observed", |function| {
            is_observed(function) && function.spec.replicas == Some(4)
        })
        .await;
}

#[tokio::test]
async fn removing_spec_replicas_of_zero_scales_to_one() {
    let (fixture, _operator) = Fixture::with_operator("again").await;
    fixture.apply_and_wait("orders", &json!({"replicas": 0})).await;
    fixture.wait_for::<Deployment>("orders", "is at zero", |deployment| replicas(deployment) == Some(0)).await;
    assert_eq!(fixture.apply("orders", &json!({})).await.spec.replicas, None);
    fixture.wait_for::<Deployment>("orders", "has a sidecar again", |deployment| replicas(deployment) == Some(1)).await;
    // From then on the Deployment's number is left alone.
    fixture
        .wait_for::<DestinationFunction>("orders", "has a number", |function| function.spec.replicas == Some(1))
        .await;
    fixture.edit::<Deployment>("orders", &json!({"spec": {"replicas": 0}})).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let now = fixture.objects::<Deployment>().get("orders").await.expect("the Deployment");
    assert_eq!(replicas(&now), Some(0), "somebody else's scaling to zero must stay");
}
