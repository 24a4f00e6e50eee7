//! What goes wrong is said, and mends itself once its cause is gone.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Service};
use kube::api::ListParams;
use serde_json::json;
use tributary_crds::DestinationFunction;
use tributary_tests::kubernetes::{condition, eventually, wait_condition};
use tributary_tests::wait::SOON;

use crate::scene::Scene;

/// How soon a fault is in the status.
const SAID: Duration = Duration::from_secs(15);
/// How soon it is mended.
const MENDED: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_name_that_somebody_else_has_is_not_taken_over() {
    let (scene, _operator) = Scene::with_operator("clash").await;
    let theirs = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "orders"},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 8080}]},
    });
    let before: Service = scene.create(theirs).await;
    scene.apply("orders", &json!({})).await;
    let said = wait_condition(&scene.functions(), "orders", "Accepted", "NameClash", SAID).await;
    assert_eq!(said.status, "False");
    assert!(said.message.contains("there is a Service orders in the namespace"), "{}", said.message);
    wait_condition(&scene.functions(), "orders", "Ready", "NameClash", SAID).await;
    let after = scene.objects::<Service>().get("orders").await.expect("the Service");
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
    assert!(scene.made::<Deployment>().await.is_empty());

    scene.delete::<Service>("orders").await;
    wait_condition(&scene.functions(), "orders", "Accepted", "Ok", MENDED).await;
    scene.appears::<Deployment>("orders").await;
}

/// A tenant can make as many of these as it may make functions.
#[tokio::test]
async fn a_name_that_is_taken_is_looked_for_ever_more_seldom() {
    let (scene, operator) = Scene::with_operator("clashes").await;
    let (clashes, window) = (20, Duration::from_secs(30));
    for i in 0..clashes {
        let name = format!("f-{i}");
        let theirs = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
        scene.create::<Service>(theirs).await;
        scene.apply(&name, &json!({})).await;
    }
    for i in 0..clashes {
        wait_condition(&scene.functions(), &format!("f-{i}"), "Accepted", "NameClash", SAID).await;
    }
    // By now a pause takes 8 s or more.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let looks = async || operator.metric("reconcile_duration_seconds_count").await;
    let before = looks().await;
    tokio::time::sleep(window).await;
    let per_clash = (looks().await - before) / f64::from(clashes);
    assert!(per_clash <= 3.0, "{per_clash} looks per function in {window:?}");
}

#[tokio::test]
async fn a_fault_and_its_end_are_events() {
    let (scene, _operator) = Scene::with_operator("events").await;
    scene.apply("orders", &json!({"resources": {"limits": {"memory": "16Mi"}}})).await;
    wait_condition(&scene.functions(), "orders", "Accepted", "ResourcesOutOfBounds", SAID).await;
    scene.apply("orders", &json!({})).await;
    wait_condition(&scene.functions(), "orders", "Accepted", "Ok", SAID).await;
    eventually("there are Events", async || {
        let list = scene.objects::<Event>().list(&ListParams::default()).await.ok()?;
        let of = |reason: &str, r#type: &str| {
            list.iter().any(|event| {
                event.reason.as_deref() == Some(reason)
                    && event.type_.as_deref() == Some(r#type)
                    && event.involved_object.kind.as_deref() == Some("DestinationFunction")
            })
        };
        (of("Accepted", "Normal") && of("ResourcesOutOfBounds", "Warning") && of("NotReady", "Warning")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_the_platform_does_not_allow_any_more_is_stopped() {
    let scene = Scene::new("policy").await;
    let before = scene.operator().start().await;
    scene.applied("orders", &json!({})).await;
    drop(before);

    let grants =
        json!({"grants": {"namespaces": {&scene.namespace.name: {"roleArns": ["arn:aws:iam::555555555555:role/*"]}}}});
    let strict = scene.operator().platform("policy", grants).start().await;
    let said = wait_condition(&scene.functions(), "orders", "Ready", "RoleNotAllowed", SAID).await;
    assert!(said.message.contains("(arn:aws:iam::555555555555:role/*)"), "{}", said.message);
    eventually("its sidecars are gone", async || scene.made::<Deployment>().await.is_empty().then_some(())).await;
    assert_eq!(scene.made::<Service>().await, ["orders"]);
    drop(strict);

    let _operator = scene.operator().start().await;
    scene.appears::<Deployment>("orders").await;
    wait_condition(&scene.functions(), "orders", "Accepted", "Ok", MENDED).await;
}

/// Watches find a child by its labels, which a tenant may edit.
#[tokio::test]
async fn a_deployment_without_its_labels_is_stopped_all_the_same() {
    let (scene, mut operator) = Scene::with_operator("hidden").await;
    scene.applied("orders", &json!({})).await;
    operator.kill();
    let hidden = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    scene.edit::<Deployment>("orders", &hidden).await;
    let grants = json!({"grants": {"namespaces": {&scene.namespace.name: {"roleArns": []}}}});
    let _strict = scene.operator().platform("policy", grants).start().await;
    let stopped = async || {
        let function = scene.functions().get("orders").await.ok()?;
        condition(&function, "Accepted").filter(|accepted| accepted.message.ends_with("; its sidecars are stopped"))
    };
    let accepted = eventually("it is said that they are stopped", stopped).await;
    assert_eq!(accepted.reason, "RoleNotAllowed");
    assert!(scene.objects::<Deployment>().get_opt("orders").await.expect("an answer").is_none(), "it still runs");
}

#[tokio::test]
async fn a_quota_that_leaves_no_room_is_said() {
    let (scene, _operator) = Scene::with_operator("quota").await;
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"pods": "0", "count/configmaps": "1"}},
    });
    let _: k8s_openapi::api::core::v1::ResourceQuota = scene.create(quota).await;
    // The namespace's own ConfigMap is the one that there may be.
    scene.appears::<ConfigMap>("kube-root-ca.crt").await;
    scene
        .becomes::<k8s_openapi::api::core::v1::ResourceQuota>("none", "has counted it", |quota| {
            let used = quota.status.as_ref().and_then(|status| status.used.as_ref()?.get("count/configmaps"));
            used.is_some_and(|used| used.0 == "1")
        })
        .await;
    scene.apply("orders", &json!({})).await;
    let said = wait_condition(&scene.functions(), "orders", "SidecarAvailable", "QuotaExceeded", SAID).await;
    assert!(said.message.contains("the ConfigMap orders-"), "{}", said.message);

    let patch = json!({"spec": {"hard": {"count/configmaps": "9"}}});
    scene.edit::<k8s_openapi::api::core::v1::ResourceQuota>("none", &patch).await;
    scene.appears::<Deployment>("orders").await;
    eventually("pods have no room either", async || {
        let said = condition(&scene.functions().get("orders").await.ok()?, "SidecarAvailable")?;
        (said.reason == "QuotaExceeded" && said.message.contains("limited: pods=0")).then_some(())
    })
    .await;
    scene.delete::<k8s_openapi::api::core::v1::ResourceQuota>("none").await;
    eventually("the quota is no matter any more", async || {
        let said = condition(&scene.functions().get("orders").await.ok()?, "SidecarAvailable")?;
        (said.reason != "QuotaExceeded").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_api_server_that_is_not_well_is_asked_again() {
    let (scene, operator) = Scene::with_operator("unwell").await;
    scene.api.refuse_every(4);
    for i in 0..10 {
        scene.apply(&format!("f-{i}"), &json!({})).await;
    }
    eventually("all are there all the same", async || (scene.made::<Deployment>().await.len() == 10).then_some(()))
        .await;
    scene.api.refuse_every(0);
    eventually("all is said", async || {
        let all = scene.functions().list(&ListParams::default()).await.ok()?;
        all.iter().all(|function| condition(function, "Accepted").is_some()).then_some(())
    })
    .await;
    assert!(operator.metric("reconcile_errors_total{reason=\"ServerError\"}").await > 0.0);
    // A server's bad moment is no fault of a function.
    let said = scene.functions().list(&ListParams::default()).await.expect("a list");
    let blamed = |function: &DestinationFunction| {
        condition(function, "SidecarAvailable").is_some_and(|c| c.message.contains("was to fail"))
    };
    assert!(!said.iter().any(blamed));
}

#[tokio::test]
async fn a_watch_that_goes_silent_is_begun_anew() {
    let scene = Scene::new("silent").await;
    let mut setup = scene.operator();
    setup.flags = vec!["--watch-timeout", "5"];
    let operator = setup.start().await;
    operator.wait_leading(SOON).await;
    scene.applied("orders", &json!({})).await;
    scene.api.silence_watches();
    scene.apply("payments", &json!({})).await;
    // The time limit of a watch, and a little more until it is given up.
    tributary_tests::wait::until("it hears of the function", Duration::from_secs(20), async || {
        scene.objects::<Deployment>().get_opt("payments").await.ok()?
    })
    .await;
    assert_eq!(operator.ask("/healthz").await.status, 200);
}
