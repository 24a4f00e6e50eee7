//! Namespaces that have no room for more pods.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tributary_tests::kubernetes::eventually;
use tributary_tests::wait::every;

use crate::scene::{Scene, image};

/// The Deployment's progressDeadlineSeconds, and what a busy machine needs beyond.
const GIVEN_UP: Duration = Duration::from_secs(180);

/// Says of the function's pod what a kubelet says of one that takes events.
async fn serve(scene: &Scene, function: &str) {
    let of_function = ListParams::default().labels(&format!("tributary.dev/function={function}"));
    let pods = scene.objects::<Pod>();
    let pod = eventually("it has a pod", async || pods.list(&of_function).await.ok()?.items.pop()).await;
    let serves = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(serves)).await.expect("a status");
    let available = |deployment: &Deployment| deployment.status.as_ref().and_then(|status| status.available_replicas);
    scene.becomes::<Deployment>(function, "takes events", |deployment| available(deployment) == Some(1)).await;
}

/// The functions whose Deployments are of the image.
async fn rolled(scene: &Scene, to: &str) -> Vec<String> {
    let deployments = scene.objects::<Deployment>().list(&ListParams::default()).await.expect("a list");
    deployments.iter().filter(|deployment| image(deployment) == to).map(ResourceExt::name_any).collect()
}

#[tokio::test]
async fn a_roll_for_which_there_is_no_room_gives_its_turn_away() {
    let (scene, mut operator) = Scene::with_operator("full").await;
    for function in ["orders", "payments"] {
        scene.applied(function, &json!({})).await;
        serve(&scene, function).await;
    }
    let full = json!({"metadata": {"name": "full"}, "spec": {"hard": {"pods": 2}}});
    scene.create::<ResourceQuota>(full).await;
    let used = |quota: &ResourceQuota| quota.status.as_ref().is_some_and(|status| status.used.is_some());
    scene.becomes::<ResourceQuota>("full", "counts", used).await;

    operator.kill();
    let next = "registry.invalid/tributary-sidecar:next";
    let setup = scene.operator().platform("sidecar.image", json!(next)).platform("maxConcurrentRollouts", json!(1));
    let _operator = setup.start().await;
    let refused = |deployment: &Deployment| {
        let conditions = deployment.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "ReplicaFailure" && one.status == "True"))
    };
    let first = eventually("one begins", async || rolled(&scene, next).await.pop()).await;
    scene.becomes::<Deployment>(&first, "gets no pod", refused).await;
    assert_eq!(rolled(&scene, next).await, [first], "the other waits for its turn");

    let both = async || (rolled(&scene, next).await.len() == 2).then_some(());
    every(Duration::from_secs(1), "the other's turn comes", GIVEN_UP, both).await;
    let available = scene.objects::<Deployment>().list(&ListParams::default()).await.expect("a list");
    let available = available.iter().filter_map(|deployment| deployment.status.as_ref()?.available_replicas);
    assert_eq!(available.sum::<i32>(), 2, "who waits for room goes on as before");
}
