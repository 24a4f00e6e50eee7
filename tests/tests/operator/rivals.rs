//! Two releases that look after one namespace.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use tributary_tests::kubernetes::{eventually, wait_condition};
use tributary_tests::wait::SOON;

use crate::scene::{Scene, image};

#[tokio::test]
async fn two_operators_of_one_function_leave_it_alone_and_say_so() {
    let (scene, one) = Scene::with_operator("rivals").await;
    scene.applied("orders", &json!({})).await;
    let mut other = scene.operator().platform("sidecar.image", json!("registry.invalid/tributary-sidecar:other"));
    (other.identity, other.flags) = ("other".to_owned(), vec!["--lease", "another"]);
    let other = other.start().await;
    other.wait_leading(SOON).await;
    let said = wait_condition(&scene.functions(), "orders", "UpToDate", "RivalOperator", SOON).await;
    let name = &scene.namespace.name;
    let both = format!("{name}/another and {name}/tributary-operator");
    assert!(said.message.contains(&both), "{}", said.message);
    eventually("there is an Event", async || {
        let list = scene.objects::<Event>().list(&ListParams::default()).await.ok()?;
        list.iter().any(|event| event.reason.as_deref() == Some("RivalOperator")).then_some(())
    })
    .await;
    eventually("both have noticed", async || {
        let has_noticed = |operator: &tributary_tests::OperatorProcess| operator.output().contains("RivalOperator");
        (has_noticed(&one) && has_noticed(&other)).then_some(())
    })
    .await;
    let versions = async || {
        let deployment = scene.objects::<Deployment>().get("orders").await.expect("the Deployment");
        let function = scene.functions().get("orders").await.expect("the function");
        (deployment.metadata.generation, function.resource_version())
    };
    let before = versions().await;
    assert!(before.0 < Some(8), "{before:?}: each writes it twice at most");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(versions().await, before, "nobody writes any more");
}

/// As after an uninstall and an install under another name.
#[tokio::test]
async fn what_another_operator_has_left_is_taken_over() {
    const NEXT: &str = "registry.invalid/tributary-sidecar:next";
    let (scene, mut gone) = Scene::with_operator("left").await;
    scene.applied("orders", &json!({})).await;
    gone.kill();
    let mut next = scene.operator().platform("sidecar.image", json!(NEXT));
    next.flags = vec!["--lease", "another"];
    let _next = next.start().await;
    scene.becomes::<Deployment>("orders", "is the next one's", |deployment| image(deployment) == NEXT).await;
    wait_condition(&scene.functions(), "orders", "UpToDate", "Unschedulable", SOON).await;
}
