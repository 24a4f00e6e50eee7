//! Tests that a function's status follows the state of its sidecars soon, and does not change without a reason.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use serde_json::json;
use tributary_tests::kubernetes::{condition, eventually, wait_condition};

use crate::scene::Fixture;
use crate::sidecars::SimulatedSidecars;

const PODS: &str = "app.kubernetes.io/managed-by=tributary";
/// How soon after its pod a repaired function is ready: far less than the 5 s between two polls.
const REPAIR_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a status is compared after a change that must not affect it.
const WATCH_TIME: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_repaired_function_is_ready_soon_after_its_pod() {
    let (fixture, _operator) = Fixture::with_operator("repaired").await;
    let sidecars = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 18)).await;
    sidecars.set_condition("RoleAssumed", "False", "AccessDenied");
    fixture.apply_and_wait("orders", &json!({"replicas": 1})).await;
    eventually("the fault is reported", async || {
        sidecars.mark_running(&fixture, PODS).await;
        let reported = condition(&fixture.functions().get("orders").await.ok()?, "RoleAssumed")?;
        (reported.reason == "AccessDenied").then_some(())
    })
    .await;
    // The sidecar was polled a moment ago.
    sidecars.set_condition("RoleAssumed", "True", "Ok");
    sidecars.mark_running_ready(&fixture, PODS).await;
    let ready = Instant::now();
    wait_condition(&fixture.functions(), "orders", "Ready", "Ok", REPAIR_TIMEOUT).await;
    println!("ready {:.2} s after the pod", ready.elapsed().as_secs_f32());
}

/// The operator's watch selects children by a label: without it, the Deployment seems to be deleted.
#[tokio::test]
async fn a_deployment_that_loses_its_label_changes_no_condition() {
    let (fixture, _operator) = Fixture::with_operator("unlabelled").await;
    let sidecars = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 19)).await;
    fixture.apply_and_wait("orders", &json!({"replicas": 1})).await;
    let ready = eventually("the function is ready and up to date", async || {
        sidecars.mark_ready(&fixture, PODS).await;
        let function = fixture.functions().get("orders").await.ok()?;
        let is_true = |r#type| condition(&function, r#type).is_some_and(|found| found.status == "True");
        (is_true("Ready") && is_true("UpToDate")).then(|| function.status.clone())?
    })
    .await;
    let unlabelled = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    fixture.edit::<Deployment>("orders", &unlabelled).await;
    let until = Instant::now() + WATCH_TIME;
    while Instant::now() < until {
        let now = fixture.functions().get("orders").await.expect("the function").status.expect("a status");
        assert_eq!(now.conditions, ready.conditions);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let restored = fixture.objects::<Deployment>().get("orders").await.expect("the Deployment");
    assert!(restored.labels().contains_key("app.kubernetes.io/managed-by"));
}
