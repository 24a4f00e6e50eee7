//! Many functions at once.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use kube::api::ListParams;
use serde_json::json;
use tributary_tests::kubernetes::condition;
use tributary_tests::process::peak_memory;
use tributary_tests::wait::every;

use crate::scene::{BUSY, Scene};

/// Functions that come at once.
const FUNCTIONS: usize = 1_000;
/// How long it may take until all of them have their children.
const TIME: Duration = Duration::from_secs(180);
/// Between two looks, since a look at a thousand takes the API server some time itself.
const OFTEN: Duration = Duration::from_secs(2);
/// Its container's limit is 256 MiB by default.
const MEMORY: usize = 128 << 20;

/// Without replicas: what becomes of pods is other controllers' work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_functions_at_once_get_their_children() {
    let _turn = BUSY.lock().await;
    let (scene, operator) = Scene::with_operator("many").await;
    scene.api.forget();
    let begun = Instant::now();
    stream::iter(0..FUNCTIONS)
        .for_each_concurrent(32, async |i| {
            scene.apply(&format!("f-{i}"), &json!({"replicas": 0})).await;
        })
        .await;
    let applied = begun.elapsed();
    every(OFTEN, "all children are there", TIME, async || {
        // The Deployment comes last.
        (scene.made::<Deployment>().await.len() == FUNCTIONS).then_some(())
    })
    .await;
    let made = begun.elapsed();
    every(OFTEN, "all is said", TIME, async || {
        let all = scene.functions().list(&ListParams::default()).await.ok()?;
        let said = all.iter().filter_map(|function| condition(function, "Ready"));
        (said.filter(|ready| ready.reason == "NoReplicas").count() == FUNCTIONS).then_some(())
    })
    .await;
    let said = begun.elapsed();
    for made in [scene.made::<ConfigMap>().await, scene.made::<ServiceAccount>().await, scene.made::<Service>().await] {
        assert_eq!(made.len(), FUNCTIONS);
    }

    let requests = scene.api.requests();
    let memory = peak_memory(operator.pid());
    let of_each = |count: usize| count as f64 / FUNCTIONS as f64;
    println!(
        "{FUNCTIONS} functions applied within {:.1} s, their children there after {:.1} s, all said after {:.1} s; \
         the operator's peak is {:.1} MiB; requests for each: {:.2}, of which it writes by {:.2}",
        applied.as_secs_f32(),
        made.as_secs_f32(),
        said.as_secs_f32(),
        memory as f64 / 1_048_576.0,
        of_each(requests.len()),
        of_each(requests.iter().filter(|request| request.writes()).count()),
    );
    assert!(memory < MEMORY, "it takes {memory} bytes");
}
