//! Many functions: what they cost when they come, and what they cost when nothing happens.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use kube::api::ListParams;
use serde_json::json;
use tributary_tests::kubernetes::{Request, condition, within};
use tributary_tests::process::peak_memory;
use tributary_tests::wait::{SOON, every};
use tributary_tests::{ApiProxy, OperatorProcess, OperatorSetup};

use crate::scene::{BUSY, Scene};
use crate::sidecars::SimulatedSidecars;

/// Functions that come at once, with a sidecar each.
const FUNCTIONS: usize = 1_000;
/// How long it may take until all of them have their children, and then until all are ready.
const TIME: Duration = Duration::from_secs(480);
/// Between two looks, since a look at a thousand takes the API server some time itself.
const OFTEN: Duration = Duration::from_secs(3);
/// The operator's memory: its container's limit is 256 MiB by default.
const MAX_MEMORY_BYTES: usize = 128 << 20;
/// Requests of an operator that begins to lead where nothing changed: lists, watches and the Lease.
const MAX_REQUESTS_AT_REST: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_functions_at_once_are_served_and_cost_no_write_afterwards() {
    let _turn = BUSY.lock().await;
    let scene = Scene::new("many").await;
    let sidecars = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 11)).await;
    // With all kinds of children that there are.
    let setup = scene.operator().platform("networkPolicy.enabled", json!(true));
    let mut operator = setup.start().await;
    operator.wait_leading(SOON).await;
    come(&scene, &sidecars, &operator).await;
    // What was begun is done.
    tokio::time::sleep(Duration::from_secs(5)).await;

    scene.api.forget();
    operator.kill();
    let restarted = setup.start().await;
    assert_at_rest("after a restart", &restarted, &scene.api, &sidecars).await;

    let api = ApiProxy::start(&scene.cluster).await;
    let standby = OperatorSetup { api: api.clone(), identity: "two".to_owned(), ..setup }.start().await;
    restarted.signal("TERM");
    assert_at_rest("after a failover", &standby, &api, &sidecars).await;
}

/// Applies all functions, and waits until they are ready.
async fn come(scene: &Scene, sidecars: &SimulatedSidecars, operator: &OperatorProcess) {
    scene.api.forget();
    let begun = Instant::now();
    stream::iter(0..FUNCTIONS)
        .for_each_concurrent(32, async |i| {
            scene.apply(&format!("f-{i}"), &json!({"replicas": 1})).await;
        })
        .await;
    let applied = begun.elapsed();
    every(OFTEN, "all children are there", TIME, async || {
        // The Deployment comes last.
        (scene.made::<Deployment>().await.len() == FUNCTIONS).then_some(())
    })
    .await;
    let made = begun.elapsed();
    every(OFTEN, "all functions are ready", TIME, async || {
        sidecars.serve(scene, "app.kubernetes.io/managed-by=tributary").await;
        let all = scene.functions().list(&ListParams::default()).await.ok()?;
        let ready = all.iter().filter_map(|function| condition(function, "Ready"));
        (ready.filter(|ready| ready.status == "True").count() == FUNCTIONS).then_some(())
    })
    .await;
    let ready = begun.elapsed();
    for made in [scene.made::<ConfigMap>().await, scene.made::<ServiceAccount>().await, scene.made::<Service>().await] {
        assert_eq!(made.len(), FUNCTIONS);
    }

    let requests = scene.api.requests();
    let memory = peak_memory(operator.pid());
    let per_function = |count: usize| count as f64 / FUNCTIONS as f64;
    println!(
        "{FUNCTIONS} functions applied within {:.1} s, their children there after {:.1} s, all ready after {:.1} s; \
         the operator's peak is {:.1} MiB; requests per function: {:.2}, of which it writes by {:.2}",
        applied.as_secs_f32(),
        made.as_secs_f32(),
        ready.as_secs_f32(),
        memory as f64 / 1_048_576.0,
        per_function(requests.len()),
        per_function(requests.iter().filter(|request| request.writes()).count()),
    );
    assert!(memory < MAX_MEMORY_BYTES, "it takes {memory} bytes");
}

/// Waits until a new leader has looked at all functions and asked all sidecars, and holds it to have
/// written nothing.
async fn assert_at_rest(when: &str, leader: &OperatorProcess, api: &ApiProxy, sidecars: &SimulatedSidecars) {
    leader.wait_leading(SOON).await;
    let asked = sidecars.asked();
    within(TIME, "all functions are looked at, and all sidecars asked", async || {
        let looks = leader.metric("reconcile_duration_seconds_count").await;
        let all = looks >= f64::from(u32::try_from(FUNCTIONS).expect("a number"));
        (all && sidecars.asked() >= asked + 2 * FUNCTIONS).then_some(())
    })
    .await;
    let writes: Vec<_> = api.requests().into_iter().filter(Request::writes).collect();
    assert!(writes.is_empty(), "{when}: {} writes, the first {:?}", writes.len(), writes.first());
    let requests = api.requests().len();
    println!("{when}: {requests} requests, no write");
    assert!(requests < MAX_REQUESTS_AT_REST, "{when}: {requests} requests for lists and watches");
}
