//! Tests two releases that watch the same namespace.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use tributary_tests::kubernetes::{eventually, wait_condition};
use tributary_tests::wait::DEFAULT_TIMEOUT;

use crate::scene::{Fixture, image};

#[tokio::test]
async fn two_operators_of_one_function_stop_writing_and_report_each_other() {
    let (fixture, one) = Fixture::with_operator("rivals").await;
    fixture.apply_and_wait("orders", &json!({})).await;
    let mut other = fixture.operator().platform("sidecar.image", json!("registry.invalid/tributary-sidecar:other"));
    (other.identity, other.flags) = ("other".to_owned(), vec!["--lease", "another"]);
    let other = other.start().await;
    other.wait_leading(DEFAULT_TIMEOUT).await;
    let reported = wait_condition(&fixture.functions(), "orders", "UpToDate", "RivalOperator", DEFAULT_TIMEOUT).await;
    let name = &fixture.namespace.name;
    let both = format!("{name}/another and {name}/tributary-operator");
    assert!(reported.message.contains(&both), "{}", reported.message);
    eventually("there is an Event", async || {
        let list = fixture.objects::<Event>().list(&ListParams::default()).await.ok()?;
        list.iter().any(|event| event.reason.as_deref() == Some("RivalOperator")).then_some(())
    })
    .await;
    eventually("both have noticed", async || {
        let has_noticed = |operator: &tributary_tests::OperatorProcess| operator.output().contains("RivalOperator");
        (has_noticed(&one) && has_noticed(&other)).then_some(())
    })
    .await;
    let versions = async || {
        let deployment = fixture.objects::<Deployment>().get("orders").await.expect("the Deployment");
        let function = fixture.functions().get("orders").await.expect("the function");
        (deployment.metadata.generation, function.resource_version())
    };
    let before = versions().await;
    assert!(before.0 < Some(8), "{before:?}: the operators have written it too often");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(versions().await, before, "an operator still writes");
}

/// As after an uninstall, and an install under another release name.
#[tokio::test]
async fn a_function_of_a_removed_operator_is_taken_over() {
    const NEXT_IMAGE: &str = "registry.invalid/tributary-sidecar:next";
    let (fixture, mut gone) = Fixture::with_operator("left").await;
    fixture.apply_and_wait("orders", &json!({})).await;
    gone.kill();
    let mut next = fixture.operator().platform("sidecar.image", json!(NEXT_IMAGE));
    next.flags = vec!["--lease", "another"];
    let _next = next.start().await;
    fixture.wait_for::<Deployment>("orders", "is the next one's", |deployment| image(deployment) == NEXT_IMAGE).await;
    // A pod is unschedulable only after 15 s.
    wait_condition(&fixture.functions(), "orders", "UpToDate", "Unschedulable", 3 * DEFAULT_TIMEOUT).await;
}
