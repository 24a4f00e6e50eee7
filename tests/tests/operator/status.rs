//! Tests that a function's status follows the state of its sidecars soon, and does not change without a reason.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::json;
use tributary_tests::kubernetes::{condition, eventually, wait_condition};

use crate::scene::Fixture;
use crate::sidecars::SimulatedSidecars;

const PODS: &str = "app.kubernetes.io/managed-by=tributary";
/// How soon after its pod a repaired function is ready: far less than the 5 s between two polls.
const REPAIR_TIMEOUT: Duration = Duration::from_secs(3);

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
