//! Tests functions whose changes are not applied: their sidecars continue, and the platform's changes still apply to
//! them.

use std::net::Ipv4Addr;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Service};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use tributary_crds::sidecar_config::SidecarConfig;
use tributary_tests::kubernetes::{condition, eventually, wait_condition};
use tributary_tests::wait::DEFAULT_TIMEOUT;

use crate::scene::{Fixture, image, template};
use crate::sidecars::SimulatedSidecars;

const NEXT_IMAGE: &str = "registry.invalid/tributary-sidecar:next";

/// The configuration of a Deployment's sidecars, from its ConfigMap.
async fn configuration(fixture: &Fixture, deployment: &Deployment) -> SidecarConfig {
    let volumes = &template(deployment)["spec"]["volumes"];
    let name = volumes.as_array().expect("volumes").iter().find_map(|volume| volume["configMap"]["name"].as_str());
    let map = fixture.objects::<ConfigMap>().get(name.expect("a ConfigMap")).await.expect("the ConfigMap exists");
    serde_yaml::from_str(&map.data.expect("data")["function.yaml"]).expect("a configuration")
}

/// A policy that grants the namespace every role, and external IDs with this prefix.
fn grants_with_prefix(fixture: &Fixture, prefix: &str) -> Value {
    json!({"grants": {"namespaces": {&fixture.namespace.name: {"roleArns": ["*"], "externalIdPrefix": prefix}}}})
}

/// Whatever the reason for not applying a function's changes, the platform's part is still applied.
#[tokio::test]
async fn platform_changes_apply_to_paused_and_invalid_functions() {
    let too_little = json!({"limits": {"memory": "16Mi"}});
    for (case, fields, reason) in [
        ("paused", json!({"paused": true, "logLevel": "warn"}), "Paused"),
        ("starved", json!({"resources": too_little, "logLevel": "warn"}), "ResourcesOutOfBounds"),
    ] {
        let (fixture, mut operator) = Fixture::with_operator(case).await;
        let before = fixture.apply_and_wait("orders", &json!({"resources": {"limits": {"memory": "200Mi"}}})).await;
        fixture.apply("orders", &fields).await;
        wait_condition(&fixture.functions(), "orders", "Accepted", reason, DEFAULT_TIMEOUT).await;
        let held = wait_condition(&fixture.functions(), "orders", "UpToDate", reason, DEFAULT_TIMEOUT).await;
        assert_eq!(held.status, "False", "{}", held.message);
        // Its children are still reconciled.
        fixture.delete::<Service>("orders").await;
        fixture.wait_exists::<Service>("orders").await;
        let now = fixture.objects::<Deployment>().get("orders").await.expect("the Deployment");
        assert_eq!(now.metadata.generation, before.metadata.generation, "{case}: the change must not be applied");

        operator.kill();
        let setup = fixture.operator().platform("sidecar.image", json!(NEXT_IMAGE));
        let setup = setup.platform("policy", grants_with_prefix(&fixture, "red/"));
        let _operator = setup.start().await;
        let rolled: Deployment =
            fixture.wait_for("orders", "is rolled", |deployment| image(deployment) == NEXT_IMAGE).await;
        let limit = |deployment| template(deployment)["spec"]["containers"][0]["resources"]["limits"]["memory"].clone();
        assert_eq!(limit(&rolled), "200Mi");
        let config = configuration(&fixture, &rolled).await;
        assert_eq!(config.external_id_prefix.expect("a demand").as_str(), "red/");
        assert_eq!(json!(config.spec.log_level), "info", "{case}: the owner's change must not be applied");

        fixture.apply("orders", &json!({"logLevel": "warn"})).await;
        wait_condition(&fixture.functions(), "orders", "Accepted", "Ok", DEFAULT_TIMEOUT).await;
        let applied: Deployment = fixture
            .wait_for("orders", "has the owner's change", |deployment| template(deployment) != template(&rolled))
            .await;
        assert_eq!(json!(configuration(&fixture, &applied).await.spec.log_level), "warn");
    }
}

/// The grant is checked for the role that the sidecars run with, not for the role in the paused spec.
#[tokio::test]
async fn a_paused_function_is_stopped_when_its_running_role_is_revoked() {
    let (fixture, mut operator) = Fixture::with_operator("kept").await;
    fixture.apply_and_wait("orders", &json!({})).await;
    fixture.apply("orders", &json!({"paused": true, "roleArn": "arn:aws:iam::555555555555:role/allowed"})).await;
    wait_condition(&fixture.functions(), "orders", "Accepted", "Paused", DEFAULT_TIMEOUT).await;
    operator.kill();
    let role_arns = json!(["arn:aws:iam::555555555555:role/*"]);
    let grants = json!({"grants": {"namespaces": {&fixture.namespace.name: {"roleArns": role_arns}}}});
    let _strict = fixture.operator().platform("policy", grants).start().await;
    eventually("its sidecars are gone", async || fixture.managed_names::<Deployment>().await.is_empty().then_some(()))
        .await;
    // Nothing runs any more, so only the Event reports the reason.
    eventually("an Event has the reason", async || {
        let events = fixture.objects::<Event>().list(&ListParams::default()).await.ok()?;
        let names_the_role = |event: &Event| {
            let message = event.message.as_deref().unwrap_or_default();
            event.reason.as_deref() == Some("RoleNotAllowed")
                && message.contains("roleArn \"arn:aws:iam::123456789012:role/")
        };
        events.iter().any(names_the_role).then_some(())
    })
    .await;
}

/// The operator's watches do not see a Deployment without its labels.
#[tokio::test]
async fn a_deployment_without_its_labels_still_gets_the_platforms_sidecar() {
    let (fixture, mut operator) = Fixture::with_operator("hiding").await;
    for (name, fields, reason) in [
        ("paused", json!({"paused": true}), "Paused"),
        ("starved", json!({"resources": {"limits": {"memory": "16Mi"}}}), "ResourcesOutOfBounds"),
    ] {
        fixture.apply_and_wait(name, &json!({})).await;
        fixture.apply(name, &fields).await;
        wait_condition(&fixture.functions(), name, "Accepted", reason, DEFAULT_TIMEOUT).await;
    }
    operator.kill();
    let hidden = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    for name in ["paused", "starved"] {
        fixture.edit::<Deployment>(name, &hidden).await;
    }
    let _operator = fixture.operator().platform("sidecar.image", json!(NEXT_IMAGE)).start().await;
    for name in ["paused", "starved"] {
        fixture.wait_for::<Deployment>(name, "is rolled", |deployment| image(deployment) == NEXT_IMAGE).await;
    }
    assert_eq!(fixture.managed_names::<Deployment>().await, ["paused", "starved"], "the labels must be restored");
}

/// While no new sidecar is ready, the old ones would continue without the required prefix.
#[tokio::test]
async fn old_sidecars_without_a_required_prefix_are_stopped_when_new_ones_violate_it() {
    let (fixture, mut operator) = Fixture::with_operator("prefix").await;
    let old = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 16)).await;
    let new = SimulatedSidecars::start(Ipv4Addr::new(127, 0, 0, 17)).await;
    new.set_condition("ExternalIdAvailable", "False", "ExternalIdNotAllowed");
    fixture.apply_and_wait("orders", &json!({})).await;
    eventually("the function is ready", async || {
        old.mark_ready(&fixture, "tributary.dev/function=orders").await;
        let function = fixture.functions().get("orders").await.ok()?;
        condition(&function, "Ready").filter(|ready| ready.status == "True")
    })
    .await;
    let pods = async || fixture.objects::<Pod>().list_metadata(&ListParams::default()).await.expect("a list");
    let before = pods().await.items[0].name_any();

    operator.kill();
    let _strict = fixture.operator().platform("policy", grants_with_prefix(&fixture, "red/")).start().await;
    eventually("a new pod exists", async || (pods().await.items.len() == 2).then_some(())).await;
    new.mark_running(&fixture, "tributary.dev/function=orders").await;
    eventually("the old pod is deleted", async || {
        pods().await.items.iter().all(|pod| pod.name_any() != before).then_some(())
    })
    .await;
    let ready = wait_condition(&fixture.functions(), "orders", "Ready", "ExternalIdNotAllowed", DEFAULT_TIMEOUT).await;
    assert_eq!(ready.status, "False");
    // Later rollouts keep the old pods until new ones are ready.
    let strategy = |deployment: &Deployment| {
        let spec = serde_json::to_value(&deployment.spec).expect("JSON");
        spec["strategy"]["rollingUpdate"]["maxUnavailable"].clone()
    };
    fixture
        .wait_for::<Deployment>("orders", "keeps its old pods in rollouts", |deployment| strategy(deployment) == 0)
        .await;
}
