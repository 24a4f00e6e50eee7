//! What goes on of functions whose changes are not taken up, and what the platform has a say in all the same.

use std::net::Ipv4Addr;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Service};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use tributary_crds::sidecar_config::SidecarConfig;
use tributary_tests::kubernetes::{condition, eventually, wait_condition};
use tributary_tests::wait::SOON;

use crate::scene::{Scene, image, template};
use crate::sidecars::SimulatedSidecars;

const NEXT: &str = "registry.invalid/tributary-sidecar:next";

/// What the sidecars of a Deployment are started with.
async fn configuration(scene: &Scene, deployment: &Deployment) -> SidecarConfig {
    let volumes = &template(deployment)["spec"]["volumes"];
    let name = volumes.as_array().expect("volumes").iter().find_map(|volume| volume["configMap"]["name"].as_str());
    let map = scene.objects::<ConfigMap>().get(name.expect("a ConfigMap")).await.expect("it is there");
    serde_yaml::from_str(&map.data.expect("data")["function.yaml"]).expect("a configuration")
}

/// What the namespace is given: every role, and external IDs that begin so.
fn demanding(scene: &Scene, prefix: &str) -> Value {
    json!({"grants": {"namespaces": {&scene.namespace.name: {"roleArns": ["*"], "externalIdPrefix": prefix}}}})
}

/// Of whom nothing is taken up, for whatever reason, the platform's part is applied all the same.
#[tokio::test]
async fn neither_a_pause_nor_a_wrong_memory_limit_evades_the_platform() {
    let too_little = json!({"limits": {"memory": "16Mi"}});
    for (begin, fields, reason) in [
        ("paused", json!({"paused": true, "logLevel": "warn"}), "Paused"),
        ("starved", json!({"resources": too_little, "logLevel": "warn"}), "ResourcesOutOfBounds"),
    ] {
        let (scene, mut operator) = Scene::with_operator(begin).await;
        let before = scene.applied("orders", &json!({"resources": {"limits": {"memory": "200Mi"}}})).await;
        scene.apply("orders", &fields).await;
        wait_condition(&scene.functions(), "orders", "Accepted", reason, SOON).await;
        let held = wait_condition(&scene.functions(), "orders", "UpToDate", reason, SOON).await;
        assert_eq!(held.status, "False", "{}", held.message);
        // Its children are mended all the same.
        scene.delete::<Service>("orders").await;
        scene.appears::<Service>("orders").await;
        let now = scene.objects::<Deployment>().get("orders").await.expect("the Deployment");
        assert_eq!(now.metadata.generation, before.metadata.generation, "{begin}: nothing of it is taken up");

        operator.kill();
        let setup = scene.operator().platform("sidecar.image", json!(NEXT));
        let setup = setup.platform("policy", demanding(&scene, "red/"));
        let _operator = setup.start().await;
        let rolled: Deployment = scene.becomes("orders", "is rolled", |deployment| image(deployment) == NEXT).await;
        let limit = |deployment| template(deployment)["spec"]["containers"][0]["resources"]["limits"]["memory"].clone();
        assert_eq!(limit(&rolled), "200Mi");
        let config = configuration(&scene, &rolled).await;
        assert_eq!(config.external_id_prefix.expect("a demand").as_str(), "red/");
        assert_eq!(json!(config.spec.log_level), "info", "{begin}: the owner's part is as it was");

        scene.apply("orders", &json!({"logLevel": "warn"})).await;
        wait_condition(&scene.functions(), "orders", "Accepted", "Ok", SOON).await;
        let taken_up: Deployment =
            scene.becomes("orders", "is taken up", |deployment| template(deployment) != template(&rolled)).await;
        assert_eq!(json!(configuration(&scene, &taken_up).await.spec.log_level), "warn");
    }
}

/// What counts is what runs, not what is written.
#[tokio::test]
async fn a_pause_keeps_no_role_that_the_namespace_has_lost() {
    let (scene, mut operator) = Scene::with_operator("kept").await;
    scene.applied("orders", &json!({})).await;
    scene.apply("orders", &json!({"paused": true, "roleArn": "arn:aws:iam::555555555555:role/allowed"})).await;
    wait_condition(&scene.functions(), "orders", "Accepted", "Paused", SOON).await;
    operator.kill();
    let grants =
        json!({"grants": {"namespaces": {&scene.namespace.name: {"roleArns": ["arn:aws:iam::555555555555:role/*"]}}}});
    let _strict = scene.operator().platform("policy", grants).start().await;
    eventually("its sidecars are gone", async || scene.made::<Deployment>().await.is_empty().then_some(())).await;
    // Of what runs no more, nothing is left to be said but the Event.
    eventually("an Event says why", async || {
        let events = scene.objects::<Event>().list(&ListParams::default()).await.ok()?;
        let says = |event: &Event| {
            let message = event.message.as_deref().unwrap_or_default();
            event.reason.as_deref() == Some("RoleNotAllowed")
                && message.contains("roleArn \"arn:aws:iam::123456789012:role/")
        };
        events.iter().any(says).then_some(())
    })
    .await;
}

/// Without its labels a Deployment is in no watch.
#[tokio::test]
async fn a_hidden_deployment_gets_the_platforms_sidecar_all_the_same() {
    let (scene, mut operator) = Scene::with_operator("hiding").await;
    for (name, fields, reason) in [
        ("paused", json!({"paused": true}), "Paused"),
        ("starved", json!({"resources": {"limits": {"memory": "16Mi"}}}), "ResourcesOutOfBounds"),
    ] {
        scene.applied(name, &json!({})).await;
        scene.apply(name, &fields).await;
        wait_condition(&scene.functions(), name, "Accepted", reason, SOON).await;
    }
    operator.kill();
    let hidden = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    for name in ["paused", "starved"] {
        scene.edit::<Deployment>(name, &hidden).await;
    }
    let _operator = scene.operator().platform("sidecar.image", json!(NEXT)).start().await;
    for name in ["paused", "starved"] {
        scene.becomes::<Deployment>(name, "is rolled", |deployment| image(deployment) == NEXT).await;
    }
    assert_eq!(scene.made::<Deployment>().await, ["paused", "starved"], "their labels are there again");
}

/// The sidecars of before would go on without it, as long as no new one is ready.
#[tokio::test]
async fn sidecars_without_the_demanded_prefix_end_when_the_new_ones_can_not_meet_it() {
    let (scene, mut operator) = Scene::with_operator("prefix").await;
    let old = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 16)).await;
    let new = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 17)).await;
    new.report("ExternalIdAvailable", "False", "ExternalIdNotAllowed");
    scene.applied("orders", &json!({})).await;
    eventually("it serves", async || {
        old.serve(&scene, "tributary.dev/function=orders").await;
        let function = scene.functions().get("orders").await.ok()?;
        condition(&function, "Ready").filter(|ready| ready.status == "True")
    })
    .await;
    let pods = async || scene.objects::<Pod>().list_metadata(&ListParams::default()).await.expect("a list");
    let before = pods().await.items[0].name_any();

    operator.kill();
    let _strict = scene.operator().platform("policy", demanding(&scene, "red/")).start().await;
    eventually("a new one starts", async || (pods().await.items.len() == 2).then_some(())).await;
    new.start_up(&scene, "tributary.dev/function=orders").await;
    eventually("the one of before ends", async || {
        pods().await.items.iter().all(|pod| pod.name_any() != before).then_some(())
    })
    .await;
    let ready = wait_condition(&scene.functions(), "orders", "Ready", "ExternalIdNotAllowed", SOON).await;
    assert_eq!(ready.status, "False");
    // Others are rolled with care again.
    let strategy = |deployment: &Deployment| {
        let spec = serde_json::to_value(&deployment.spec).expect("JSON");
        spec["strategy"]["rollingUpdate"]["maxUnavailable"].clone()
    };
    scene.becomes::<Deployment>("orders", "rolls with care", |deployment| strategy(deployment) == 0).await;
}
