//! Tests many functions: the cost of creating them, and the cost when nothing changes.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use kube::api::ListParams;
use serde_json::json;
use tributary_tests::kubernetes::{Request, condition, within};
use tributary_tests::process::peak_memory;
use tributary_tests::wait::{DEFAULT_TIMEOUT, poll_every};
use tributary_tests::{ApiProxy, OperatorProcess, OperatorSetup};

use crate::scene::{API_LOAD_LOCK, Fixture};
use crate::sidecars::SimulatedSidecars;

/// Functions that are created concurrently, with one sidecar each.
const FUNCTIONS: usize = 1_000;
/// The timeout until all of them have their children, and again until all are ready.
const FLEET_TIMEOUT: Duration = Duration::from_secs(480);
/// The polling interval: a list of a thousand objects is expensive for the API server.
const POLL_INTERVAL: Duration = Duration::from_secs(3);
/// The operator's peak memory; the default memory limit of its container is 256 MiB.
const MAX_MEMORY_BYTES: usize = 128 << 20;
/// Requests of a new leader when nothing has changed: lists, watches and the Lease.
const MAX_REQUESTS_AT_REST: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_functions_become_ready_and_cost_no_write_afterwards() {
    let _turn = API_LOAD_LOCK.lock().await;
    let fixture = Fixture::new("many").await;
    let sidecars = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 11)).await;
    // With all kinds of children.
    let setup = fixture.operator().platform("networkPolicy.enabled", json!(true));
    let mut operator = setup.start().await;
    operator.wait_leading(DEFAULT_TIMEOUT).await;
    create_functions(&fixture, &sidecars, &operator).await;
    // Lets reconciles in progress finish.
    tokio::time::sleep(Duration::from_secs(5)).await;

    fixture.api.clear_requests();
    operator.kill();
    let restarted = setup.start().await;
    assert_no_writes("after a restart", &restarted, &fixture.api, &sidecars).await;

    let api = ApiProxy::start(&fixture.cluster).await;
    let standby = OperatorSetup { api: api.clone(), identity: "two".to_owned(), ..setup }.start().await;
    restarted.signal("TERM");
    assert_no_writes("after a failover", &standby, &api, &sidecars).await;
}

/// Creates all functions, waits until they are ready, and checks the operator's peak memory.
async fn create_functions(fixture: &Fixture, sidecars: &SimulatedSidecars, operator: &OperatorProcess) {
    fixture.api.clear_requests();
    let begun = Instant::now();
    stream::iter(0..FUNCTIONS)
        .for_each_concurrent(32, async |i| {
            fixture.apply(&format!("f-{i}"), &json!({"replicas": 1})).await;
        })
        .await;
    let applied = begun.elapsed();
    poll_every(POLL_INTERVAL, "all children are there", FLEET_TIMEOUT, async || {
        // The Deployment is created last.
        (fixture.managed_names::<Deployment>().await.len() == FUNCTIONS).then_some(())
    })
    .await;
    let made = begun.elapsed();
    poll_every(POLL_INTERVAL, "all functions are ready", FLEET_TIMEOUT, async || {
        sidecars.mark_ready(fixture, "app.kubernetes.io/managed-by=tributary").await;
        let all = fixture.functions().list(&ListParams::default()).await.ok()?;
        // UpToDate follows the Deployment's own count of ready pods, which the status repeats.
        let is_true = |function, r#type| condition(function, r#type).is_some_and(|found| found.status == "True");
        let ready = all.iter().filter(|function| is_true(function, "Ready") && is_true(function, "UpToDate"));
        (ready.count() == FUNCTIONS).then_some(())
    })
    .await;
    let ready = begun.elapsed();
    for made in [
        fixture.managed_names::<ConfigMap>().await,
        fixture.managed_names::<ServiceAccount>().await,
        fixture.managed_names::<Service>().await,
    ] {
        assert_eq!(made.len(), FUNCTIONS);
    }

    let requests = fixture.api.requests();
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
        per_function(requests.iter().filter(|request| request.is_write()).count()),
    );
    assert!(memory < MAX_MEMORY_BYTES, "the operator's peak is {memory} bytes");
}

/// Waits until a new leader has reconciled all functions and polled all sidecars, and asserts that it has written
/// nothing.
async fn assert_no_writes(when: &str, leader: &OperatorProcess, api: &ApiProxy, sidecars: &SimulatedSidecars) {
    leader.wait_leading(DEFAULT_TIMEOUT).await;
    let asked = sidecars.status_requests();
    within(FLEET_TIMEOUT, "all functions are reconciled, and all sidecars polled", async || {
        let reconciles = leader.metric("reconcile_duration_seconds_count").await;
        let all = reconciles >= f64::from(u32::try_from(FUNCTIONS).expect("a number"));
        (all && sidecars.status_requests() >= asked + 2 * FUNCTIONS).then_some(())
    })
    .await;
    let writes: Vec<_> = api.requests().into_iter().filter(Request::is_write).collect();
    assert!(writes.is_empty(), "{when}: {} writes, the first {:?}", writes.len(), writes.first());
    let requests = api.requests().len();
    println!("{when}: {requests} requests, no write");
    assert!(requests < MAX_REQUESTS_AT_REST, "{when}: {requests} requests for lists and watches");
}
