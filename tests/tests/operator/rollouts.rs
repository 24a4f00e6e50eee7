//! How another sidecar of the platform's reaches all functions, and where it stops.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tributary_tests::kubernetes::{condition, eventually, within};
use tributary_tests::wait::SOON;
use tributary_tests::{OperatorProcess, OperatorSetup};

use crate::scene::{Scene, image, template};
use crate::sidecars::SimulatedSidecars;

/// The Deployment's progressDeadlineSeconds of 120, and what controllers need beyond that have a thousand other
/// Deployments to look after.
const FAILED: Duration = Duration::from_secs(400);

const NEXT: &str = "registry.invalid/tributary-sidecar:next";
const FIXED: &str = "registry.invalid/tributary-sidecar:fixed";

fn of(function: &str) -> String {
    format!("tributary.dev/function={function}")
}

/// Applies a function, and waits until its status says this of Ready.
async fn served(scene: &Scene, sidecars: &SimulatedSidecars, name: &str, reason: &str) {
    scene.applied(name, &json!({})).await;
    eventually(&format!("{name} is served"), async || {
        sidecars.serve(scene, &of(name)).await;
        let function = scene.functions().get(name).await.ok()?;
        condition(&function, "Ready").filter(|ready| ready.status == "True" && ready.reason == reason)
    })
    .await;
}

/// The functions whose Deployments are of the image, and of nothing else.
async fn rolled(scene: &Scene, to: &str) -> BTreeSet<String> {
    let deployments = scene.objects::<Deployment>().list(&ListParams::default()).await.expect("a list");
    let is_rolled = |deployment: &&Deployment| {
        image(deployment) == to && template(deployment)["spec"]["containers"].as_array().map(Vec::len) == Some(1)
    };
    deployments.iter().filter(is_rolled).map(ResourceExt::name_any).collect()
}

/// The functions whose UpToDate has this reason.
async fn up_to_date(scene: &Scene, reason: &str) -> BTreeSet<String> {
    let functions = scene.functions().list(&ListParams::default()).await.expect("a list");
    let of_reason = functions
        .iter()
        .filter(|function| condition(function, "UpToDate").is_some_and(|condition| condition.reason == reason));
    of_reason.map(ResourceExt::name_any).collect()
}

/// Sets another image for the container of this name, which is added if there is none.
async fn edit_container(scene: &Scene, function: &str, container: &str) {
    let containers = json!([{"name": container, "image": "registry.invalid/theirs"}]);
    let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let api = scene.objects::<Deployment>();
    api.patch(function, &PatchParams::default(), &Patch::Strategic(&patch)).await.expect("an edit");
}

async fn start(setup: OperatorSetup) -> OperatorProcess {
    let operator = setup.start().await;
    operator.wait_leading(SOON).await;
    operator
}

#[tokio::test]
async fn functions_that_would_not_come_up_again_hold_back_nobody() {
    let (scene, mut operator) = Scene::with_operator("broken").await;
    let healthy = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 13)).await;
    let broken = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 14)).await;
    broken.report("RoleAssumed", "True", "RenewalFailing");
    let tenants = ["a-1", "a-2", "a-3"];
    for name in tenants {
        served(&scene, &broken, name, "RenewalFailing").await;
    }
    let others = ["b-1", "b-2", "b-3"];
    for name in others {
        served(&scene, &healthy, name, "Ok").await;
    }
    operator.kill();
    let setup = scene.operator().platform("sidecar.image", json!(NEXT)).platform("maxConcurrentRollouts", json!(1));
    let operator = start(setup).await;
    eventually("all are rolled, though the pods of the broken ones never come up", async || {
        for name in others {
            healthy.serve(&scene, &of(name)).await;
        }
        (rolled(&scene, NEXT).await.len() == tenants.len() + others.len()).then_some(())
    })
    .await;
    assert_eq!(operator.metric("rollout_halted").await, 0.0);
}

#[tokio::test]
async fn a_sidecar_that_does_not_come_up_reaches_few_and_the_halt_outlives_its_leader() {
    let (scene, mut operator) = Scene::with_operator("bad-image").await;
    let sidecars = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 15)).await;
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        served(&scene, &sidecars, name, "Ok").await;
    }
    operator.kill();
    let with_image = |image: &str| {
        let setup = scene.operator().platform("sidecar.image", json!(image));
        setup.platform("maxConcurrentRollouts", json!(2)).platform("maxFailedRollouts", json!(2))
    };
    let mut operator = start(with_image(NEXT)).await;
    eventually("the others wait", async || (up_to_date(&scene, "RolloutWaiting").await.len() == 3).then_some(())).await;
    let first = rolled(&scene, NEXT).await;
    assert_eq!(first.len(), 2, "{first:?}");

    // What somebody makes of one that waits does not run until its turn.
    let mut waiting = up_to_date(&scene, "RolloutWaiting").await.into_iter();
    let edited = [waiting.next(), waiting.next()].map(|name| name.expect("three wait"));
    edit_container(&scene, &edited[0], "sidecar").await;
    edit_container(&scene, &edited[1], "theirs").await;
    eventually("they are written over", async || {
        let expected: BTreeSet<_> = first.iter().chain(&edited).cloned().collect();
        (rolled(&scene, NEXT).await == expected).then_some(())
    })
    .await;
    assert_eq!(operator.metric("rollout_halted").await, 0.0);

    within(FAILED, "the rollout is halted", async || {
        (up_to_date(&scene, "RolloutHalted").await.len() == 1).then_some(())
    })
    .await;
    let written = rolled(&scene, NEXT).await;
    assert_eq!(written.len(), first.len() + edited.len(), "no other has begun: {written:?}");
    assert_eq!(up_to_date(&scene, "RolloutFailed").await, first);
    assert_eq!(operator.metric("rollout_halted").await, 1.0);
    assert_eq!(operator.metric("rollouts{state=\"failed\"}").await, 2.0);
    for function in scene.functions().list(&ListParams::default()).await.expect("a list") {
        let ready = condition(&function, "Ready").expect("a condition");
        assert_eq!(ready.status, "True", "its sidecar of before goes on: {}", ready.message);
    }
    eventually("an Event tells the platform's owner", async || {
        let events = scene.objects::<Event>().list(&ListParams::default()).await.ok()?;
        let halted = |event: &&Event| event.reason.as_deref() == Some("RolloutHalted");
        let event = events.iter().find(halted)?;
        let note = event.message.as_deref().unwrap_or_default();
        (event.involved_object.kind.as_deref() == Some("Lease") && first.iter().all(|name| note.contains(name)))
            .then_some(())
    })
    .await;

    operator.kill();
    let mut operator = start(with_image(NEXT)).await;
    eventually("another leader knows", async || (operator.metric("rollout_halted").await == 1.0).then_some(())).await;
    eventually("and looks at all", async || {
        (operator.metric("reconcile_duration_seconds_count").await >= 5.0).then_some(())
    })
    .await;
    assert_eq!(rolled(&scene, NEXT).await, written);

    operator.kill();
    let operator = start(with_image(FIXED)).await;
    within(FAILED, "a sidecar that comes up reaches all", async || {
        sidecars.serve(&scene, "app.kubernetes.io/managed-by=tributary").await;
        (up_to_date(&scene, "Ok").await.len() == names.len()).then_some(())
    })
    .await;
    assert_eq!(rolled(&scene, FIXED).await.len(), names.len());
    assert_eq!(operator.metric("rollout_halted").await, 0.0);
}
