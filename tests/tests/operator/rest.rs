//! At rest, nothing is written.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;
use tributary_tests::kubernetes::eventually;

use crate::scene::Scene;

/// Functions that don't change.
const FUNCTIONS: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_that_did_not_change_are_looked_at_again_without_a_write() {
    let (scene, first) = Scene::with_operator("rest").await;
    stream::iter(0..FUNCTIONS)
        .for_each_concurrent(16, async |i| {
            scene.apply(&format!("f-{i}"), &json!({"replicas": 0})).await;
        })
        .await;
    eventually("all children are there", async || (scene.made::<Deployment>().await.len() == FUNCTIONS).then_some(()))
        .await;
    eventually("all is said", async || {
        let all = scene.functions().list(&kube::api::ListParams::default()).await.ok()?;
        let said = |reason: &str| {
            let conditions =
                all.iter().filter_map(|function| tributary_tests::kubernetes::condition(function, "Ready"));
            conditions.filter(|condition| condition.reason == reason).count()
        };
        (said("NoReplicas") == FUNCTIONS).then_some(())
    })
    .await;
    // What was begun is done.
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(first);

    scene.api.forget();
    // As another process, which knows nothing of what was done.
    let again = scene.operator().start().await;
    again.wait_leading(tributary_tests::wait::SOON).await;
    eventually("all are looked at", async || {
        let looks = again.metric("reconcile_duration_seconds_count").await;
        (looks >= f64::from(u32::try_from(FUNCTIONS).expect("a number"))).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let writes: Vec<_> =
        scene.api.requests().into_iter().filter(tributary_tests::kubernetes::Request::writes).collect();
    assert!(writes.is_empty(), "{} writes, the first {:?}", writes.len(), writes.first());
    let requests = scene.api.requests().len();
    assert!(requests < 60, "{requests} requests for lists and watches");
}
