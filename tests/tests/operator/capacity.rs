//! Tests namespaces whose quota allows no more pods.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tributary_tests::kubernetes::eventually;
use tributary_tests::wait::poll_every;

use crate::scene::{Fixture, image};

/// The Deployment's progressDeadlineSeconds, and the delay of a busy machine.
const SLOT_TIMEOUT: Duration = Duration::from_secs(180);

/// Sets the status of the function's pod to running and ready, as the kubelet does.
async fn mark_pod_ready(fixture: &Fixture, function: &str) {
    let of_function = ListParams::default().labels(&format!("tributary.dev/function={function}"));
    let pods = fixture.objects::<Pod>();
    let pod = eventually("the Deployment has a pod", async || pods.list(&of_function).await.ok()?.items.pop()).await;
    let running = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(running)).await.expect("a status");
    let available = |deployment: &Deployment| deployment.status.as_ref().and_then(|status| status.available_replicas);
    fixture
        .wait_for::<Deployment>(function, "has an available pod", |deployment| available(deployment) == Some(1))
        .await;
}

/// The functions whose Deployments have this image.
async fn functions_with_image(fixture: &Fixture, to: &str) -> Vec<String> {
    let deployments = fixture.objects::<Deployment>().list(&ListParams::default()).await.expect("a list");
    deployments.iter().filter(|deployment| image(deployment) == to).map(ResourceExt::name_any).collect()
}

#[tokio::test]
async fn a_rollout_without_room_for_pods_releases_its_slot() {
    let (fixture, mut operator) = Fixture::with_operator("full").await;
    for function in ["orders", "payments"] {
        fixture.apply_and_wait(function, &json!({})).await;
        mark_pod_ready(&fixture, function).await;
    }
    let full = json!({"metadata": {"name": "full"}, "spec": {"hard": {"pods": 2}}});
    fixture.create::<ResourceQuota>(full).await;
    let used = |quota: &ResourceQuota| quota.status.as_ref().is_some_and(|status| status.used.is_some());
    fixture.wait_for::<ResourceQuota>("full", "has counted the pods", used).await;

    operator.kill();
    let next = "registry.invalid/tributary-sidecar:next";
    let setup = fixture.operator().platform("sidecar.image", json!(next)).platform("maxConcurrentRollouts", json!(1));
    let _operator = setup.start().await;
    let refused = |deployment: &Deployment| {
        let conditions = deployment.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "ReplicaFailure" && one.status == "True"))
    };
    let first = eventually("one rollout begins", async || functions_with_image(&fixture, next).await.pop()).await;
    fixture.wait_for::<Deployment>(&first, "gets no pod", refused).await;
    assert_eq!(functions_with_image(&fixture, next).await, [first], "the other rollout must wait for its turn");

    let both = async || (functions_with_image(&fixture, next).await.len() == 2).then_some(());
    poll_every(Duration::from_secs(1), "the other rollout begins", SLOT_TIMEOUT, both).await;
    let available = fixture.objects::<Deployment>().list(&ListParams::default()).await.expect("a list");
    let available = available.iter().filter_map(|deployment| deployment.status.as_ref()?.available_replicas);
    assert_eq!(available.sum::<i32>(), 2, "the old pods must continue to serve");
}
