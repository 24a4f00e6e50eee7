//! Tests how a new sidecar image is rolled out to all functions, and when the rollout is halted.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tributary_tests::kubernetes::{condition, eventually, within};
use tributary_tests::wait::DEFAULT_TIMEOUT;
use tributary_tests::{OperatorProcess, OperatorSetup};

use crate::scene::{Fixture, image, template};
use crate::sidecars::SimulatedSidecars;

/// The Deployment's progressDeadlineSeconds of 120, and the delay of controllers that also handle a thousand other
/// Deployments.
const HALT_TIMEOUT: Duration = Duration::from_secs(400);

const NEXT_IMAGE: &str = "registry.invalid/tributary-sidecar:next";
const FIXED_IMAGE: &str = "registry.invalid/tributary-sidecar:fixed";

fn function_selector(function: &str) -> String {
    format!("tributary.dev/function={function}")
}

/// Applies a function, and reports its pods as ready until its Ready is True with this reason.
async fn serve_until_ready(fixture: &Fixture, sidecars: &SimulatedSidecars, name: &str, reason: &str) {
    fixture.apply_and_wait(name, &json!({})).await;
    eventually(&format!("{name} is ready"), async || {
        sidecars.mark_ready(fixture, &function_selector(name)).await;
        let function = fixture.functions().get(name).await.ok()?;
        condition(&function, "Ready").filter(|ready| ready.status == "True" && ready.reason == reason)
    })
    .await;
}

/// The functions whose Deployments have only the sidecar's container, with this image.
async fn functions_with_image(fixture: &Fixture, to: &str) -> BTreeSet<String> {
    let deployments = fixture.objects::<Deployment>().list(&ListParams::default()).await.expect("a list");
    let is_rolled = |deployment: &&Deployment| {
        image(deployment) == to && template(deployment)["spec"]["containers"].as_array().map(Vec::len) == Some(1)
    };
    deployments.iter().filter(is_rolled).map(ResourceExt::name_any).collect()
}

/// The functions whose UpToDate has this reason.
async fn functions_by_up_to_date(fixture: &Fixture, reason: &str) -> BTreeSet<String> {
    let functions = fixture.functions().list(&ListParams::default()).await.expect("a list");
    let of_reason = functions
        .iter()
        .filter(|function| condition(function, "UpToDate").is_some_and(|condition| condition.reason == reason));
    of_reason.map(ResourceExt::name_any).collect()
}

/// Asserts that manual edits of a waiting function's Deployment are reverted, and do not roll out the platform's new
/// sidecar.
async fn assert_edits_reverted(fixture: &Fixture, function: &str) {
    let api = fixture.objects::<Deployment>();
    let before = template(&api.get(function).await.expect("a Deployment"));
    for container in [
        json!({"name": "sidecar", "image": "registry.invalid/theirs"}),
        json!({"name": "sidecar", "env": [{"name": "AWS_REGION", "value": "elsewhere"}]}),
        json!({"name": "theirs", "image": "registry.invalid/theirs"}),
    ] {
        let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        let edited = api.patch(function, &PatchParams::default(), &Patch::Strategic(&patch)).await.expect("an edit");
        assert_ne!(template(&edited), before, "{patch}");
        eventually(&format!("{patch} is reverted"), async || {
            (template(&api.get(function).await.ok()?) == before).then_some(())
        })
        .await;
    }
}

async fn start(setup: OperatorSetup) -> OperatorProcess {
    let operator = setup.start().await;
    operator.wait_leading(DEFAULT_TIMEOUT).await;
    operator
}

#[tokio::test]
async fn unhealthy_functions_do_not_hold_back_a_rollout() {
    let (fixture, mut operator) = Fixture::with_operator("broken").await;
    let healthy = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 13)).await;
    let broken = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 14)).await;
    broken.set_condition("RoleAssumed", "True", "RenewalFailing");
    let tenants = ["a-1", "a-2", "a-3"];
    for name in tenants {
        serve_until_ready(&fixture, &broken, name, "RenewalFailing").await;
    }
    let others = ["b-1", "b-2", "b-3"];
    for name in others {
        serve_until_ready(&fixture, &healthy, name, "Ok").await;
    }
    operator.kill();
    let setup =
        fixture.operator().platform("sidecar.image", json!(NEXT_IMAGE)).platform("maxConcurrentRollouts", json!(1));
    let operator = start(setup).await;
    eventually("all are rolled, though the pods of the broken ones never come up", async || {
        for name in others {
            healthy.mark_ready(&fixture, &function_selector(name)).await;
        }
        (functions_with_image(&fixture, NEXT_IMAGE).await.len() == tenants.len() + others.len()).then_some(())
    })
    .await;
    assert_eq!(operator.metric("rollout_halted").await, 0.0);
}

#[tokio::test]
async fn a_failing_rollout_is_halted_and_a_new_leader_keeps_it_halted() {
    let (fixture, mut operator) = Fixture::with_operator("bad-image").await;
    let sidecars = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 15)).await;
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        serve_until_ready(&fixture, &sidecars, name, "Ok").await;
    }
    operator.kill();
    let with_image = |image: &str| {
        let setup = fixture.operator().platform("sidecar.image", json!(image));
        setup.platform("maxConcurrentRollouts", json!(2)).platform("maxFailedRollouts", json!(2))
    };
    let mut operator = start(with_image(NEXT_IMAGE)).await;
    let first = eventually("two roll, and the others wait", async || {
        let (first, waiting) = (functions_with_image(&fixture, NEXT_IMAGE).await, "RolloutWaiting");
        (first.len() == 2 && functions_by_up_to_date(&fixture, waiting).await.len() == 3).then_some(first)
    })
    .await;

    let waiting = functions_by_up_to_date(&fixture, "RolloutWaiting").await;
    assert_edits_reverted(&fixture, waiting.first().expect("three wait")).await;

    within(HALT_TIMEOUT, "the rollout is halted", async || {
        (functions_by_up_to_date(&fixture, "RolloutHalted").await.len() == 3).then_some(())
    })
    .await;
    assert_eq!(functions_with_image(&fixture, NEXT_IMAGE).await, first, "another rollout has begun");
    assert_edits_reverted(&fixture, waiting.last().expect("three wait")).await;
    assert_eq!(functions_by_up_to_date(&fixture, "RolloutFailed").await, first);
    assert_eq!(operator.metric("rollout_halted").await, 1.0);
    assert_eq!(operator.metric("rollouts{state=\"failed\"}").await, 2.0);
    for function in fixture.functions().list(&ListParams::default()).await.expect("a list") {
        let ready = condition(&function, "Ready").expect("a condition");
        assert_eq!(ready.status, "True", "the old sidecar must continue to serve: {}", ready.message);
    }
    eventually("an Event about the Lease names the failed functions", async || {
        let events = fixture.objects::<Event>().list(&ListParams::default()).await.ok()?;
        let halted = |event: &&Event| event.reason.as_deref() == Some("RolloutHalted");
        let event = events.iter().find(halted)?;
        let note = event.message.as_deref().unwrap_or_default();
        (event.involved_object.kind.as_deref() == Some("Lease") && first.iter().all(|name| note.contains(name)))
            .then_some(())
    })
    .await;

    operator.kill();
    let mut operator = start(with_image(NEXT_IMAGE)).await;
    eventually("a new leader knows about the halt", async || {
        (operator.metric("rollout_halted").await == 1.0).then_some(())
    })
    .await;
    eventually("it has reconciled all functions", async || {
        (operator.metric("reconcile_duration_seconds_count").await >= 5.0).then_some(())
    })
    .await;
    assert_eq!(functions_with_image(&fixture, NEXT_IMAGE).await, first);

    operator.kill();
    let operator = start(with_image(FIXED_IMAGE)).await;
    within(HALT_TIMEOUT, "a sidecar that comes up reaches all", async || {
        sidecars.mark_ready(&fixture, "app.kubernetes.io/managed-by=tributary").await;
        (functions_by_up_to_date(&fixture, "Ok").await.len() == names.len()).then_some(())
    })
    .await;
    assert_eq!(functions_with_image(&fixture, FIXED_IMAGE).await.len(), names.len());
    assert_eq!(operator.metric("rollout_halted").await, 0.0);
}
