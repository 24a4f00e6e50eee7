//! At rest, nothing is written.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use serde_json::json;
use tributary_tests::kubernetes::{Request, condition, eventually};
use tributary_tests::wait::{SOON, every};

use crate::scene::{BUSY, Scene};

/// Functions that don't change.
const FUNCTIONS: usize = 500;
/// How long it may take until all of them have their children, and it is said of them.
const TIME: Duration = Duration::from_secs(120);
/// Between two looks, since a look at all of them takes the API server some time itself.
const OFTEN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_that_did_not_change_are_looked_at_again_without_a_write() {
    let _turn = BUSY.lock().await;
    let scene = Scene::new("rest").await;
    // With all kinds of children that there are.
    let operator = || scene.operator().platform("networkPolicy.enabled", json!(true));
    let first = operator().start().await;
    first.wait_leading(SOON).await;
    stream::iter(0..FUNCTIONS)
        .for_each_concurrent(16, async |i| {
            scene.apply(&format!("f-{i}"), &json!({"replicas": 0})).await;
        })
        .await;
    every(OFTEN, "all children are there", TIME, async || {
        (scene.made::<Deployment>().await.len() == FUNCTIONS).then_some(())
    })
    .await;
    every(OFTEN, "all is said", TIME, async || {
        let all = scene.functions().list(&ListParams::default()).await.ok()?;
        let said = all.iter().filter_map(|function| condition(function, "Ready"));
        (said.filter(|ready| ready.reason == "NoReplicas").count() == FUNCTIONS).then_some(())
    })
    .await;
    // What was begun is done.
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(first);

    scene.api.forget();
    // As another process, which knows nothing of what was done.
    let again = operator().start().await;
    again.wait_leading(SOON).await;
    eventually("all are looked at", async || {
        let looks = again.metric("reconcile_duration_seconds_count").await;
        (looks >= f64::from(u32::try_from(FUNCTIONS).expect("a number"))).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let writes: Vec<_> = scene.api.requests().into_iter().filter(Request::writes).collect();
    assert!(writes.is_empty(), "{} writes, the first {:?}", writes.len(), writes.first());
    let requests = scene.api.requests().len();
    assert!(requests < 60, "{requests} requests for lists and watches");
}
