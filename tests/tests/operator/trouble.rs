//! Tests that faults of a function are reported, and that it recovers once the cause is gone.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Event, LimitRange, Service};
use kube::api::ListParams;
use serde_json::json;
use tributary_crds::DestinationFunction;
use tributary_tests::kubernetes::{CONTROLLERS_TIMEOUT, condition, eventually, wait_condition};
use tributary_tests::wait::DEFAULT_TIMEOUT;

use crate::scene::Fixture;

/// How soon a fault is reported in the status.
const REPORT_TIMEOUT: Duration = Duration::from_secs(15);
/// How soon a function has recovered.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_foreign_object_of_the_same_name_is_reported_and_not_adopted() {
    let (fixture, _operator) = Fixture::with_operator("clash").await;
    let theirs = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "orders"},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 8080}]},
    });
    let before: Service = fixture.create(theirs).await;
    fixture.apply("orders", &json!({})).await;
    let reported = wait_condition(&fixture.functions(), "orders", "Accepted", "NameClash", REPORT_TIMEOUT).await;
    assert_eq!(reported.status, "False");
    assert!(reported.message.contains("there is a Service orders in the namespace"), "{}", reported.message);
    wait_condition(&fixture.functions(), "orders", "Ready", "NameClash", REPORT_TIMEOUT).await;
    let after = fixture.objects::<Service>().get("orders").await.expect("the Service");
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
    assert!(fixture.managed_names::<Deployment>().await.is_empty());

    fixture.delete::<Service>("orders").await;
    wait_condition(&fixture.functions(), "orders", "Accepted", "Ok", RECOVERY_TIMEOUT).await;
    fixture.wait_exists::<Deployment>("orders").await;
}

/// A tenant can cause as many clashes as it may create functions.
#[tokio::test]
async fn a_name_clash_is_retried_with_backoff() {
    let (fixture, operator) = Fixture::with_operator("clashes").await;
    let (clashes, window) = (20, Duration::from_secs(30));
    for i in 0..clashes {
        let name = format!("f-{i}");
        let theirs = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
        fixture.create::<Service>(theirs).await;
        fixture.apply(&name, &json!({})).await;
    }
    for i in 0..clashes {
        wait_condition(&fixture.functions(), &format!("f-{i}"), "Accepted", "NameClash", REPORT_TIMEOUT).await;
    }
    // By now the backoff is 8 s or more.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let reconciles = async || operator.metric("reconcile_duration_seconds_count").await;
    let before = reconciles().await;
    tokio::time::sleep(window).await;
    let per_clash = (reconciles().await - before) / f64::from(clashes);
    assert!(per_clash <= 3.0, "{per_clash} reconciles per function in {window:?}");
}

#[tokio::test]
async fn a_fault_and_its_fix_are_recorded_as_events() {
    let (fixture, _operator) = Fixture::with_operator("events").await;
    fixture.apply("orders", &json!({"resources": {"limits": {"memory": "16Mi"}}})).await;
    wait_condition(&fixture.functions(), "orders", "Accepted", "ResourcesOutOfBounds", REPORT_TIMEOUT).await;
    fixture.apply("orders", &json!({})).await;
    wait_condition(&fixture.functions(), "orders", "Accepted", "Ok", REPORT_TIMEOUT).await;
    eventually("there are Events", async || {
        let list = fixture.objects::<Event>().list(&ListParams::default()).await.ok()?;
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
async fn a_function_whose_role_is_revoked_is_stopped() {
    let fixture = Fixture::new("policy").await;
    let before = fixture.operator().start().await;
    fixture.apply_and_wait("orders", &json!({})).await;
    drop(before);

    let role_arns = json!(["arn:aws:iam::555555555555:role/*"]);
    let grants = json!({"grants": {"namespaces": {&fixture.namespace.name: {"roleArns": role_arns}}}});
    let strict = fixture.operator().platform("policy", grants).start().await;
    let reported = wait_condition(&fixture.functions(), "orders", "Ready", "RoleNotAllowed", REPORT_TIMEOUT).await;
    assert!(reported.message.contains("(arn:aws:iam::555555555555:role/*)"), "{}", reported.message);
    eventually("its sidecars are gone", async || fixture.managed_names::<Deployment>().await.is_empty().then_some(()))
        .await;
    assert_eq!(fixture.managed_names::<Service>().await, ["orders"]);
    drop(strict);

    let _operator = fixture.operator().start().await;
    fixture.wait_exists::<Deployment>("orders").await;
    wait_condition(&fixture.functions(), "orders", "Accepted", "Ok", RECOVERY_TIMEOUT).await;
}

/// Watches select children by their labels, which a tenant may edit.
#[tokio::test]
async fn a_deployment_without_its_labels_is_stopped_too() {
    let (fixture, mut operator) = Fixture::with_operator("hidden").await;
    fixture.apply_and_wait("orders", &json!({})).await;
    operator.kill();
    let hidden = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    fixture.edit::<Deployment>("orders", &hidden).await;
    let grants = json!({"grants": {"namespaces": {&fixture.namespace.name: {"roleArns": []}}}});
    let _strict = fixture.operator().platform("policy", grants).start().await;
    let stopped = async || {
        let function = fixture.functions().get("orders").await.ok()?;
        condition(&function, "Accepted").filter(|accepted| accepted.message.ends_with("; its sidecars are stopped"))
    };
    let accepted = eventually("the status says that the sidecars are stopped", stopped).await;
    assert_eq!(accepted.reason, "RoleNotAllowed");
    assert!(fixture.objects::<Deployment>().get_opt("orders").await.expect("an answer").is_none(), "it still runs");
}

#[tokio::test]
async fn an_exhausted_quota_is_reported() {
    let (fixture, _operator) = Fixture::with_operator("quota").await;
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"pods": "0", "count/configmaps": "1"}},
    });
    let _: k8s_openapi::api::core::v1::ResourceQuota = fixture.create(quota).await;
    // The quota allows only the namespace's own ConfigMap.
    fixture.wait_exists::<ConfigMap>("kube-root-ca.crt").await;
    fixture
        .wait_for::<k8s_openapi::api::core::v1::ResourceQuota>("none", "has counted it", |quota| {
            let used = quota.status.as_ref().and_then(|status| status.used.as_ref()?.get("count/configmaps"));
            used.is_some_and(|used| used.0 == "1")
        })
        .await;
    fixture.apply("orders", &json!({})).await;
    let reported =
        wait_condition(&fixture.functions(), "orders", "SidecarAvailable", "QuotaExceeded", REPORT_TIMEOUT).await;
    assert!(reported.message.contains("the ConfigMap orders-"), "{}", reported.message);

    let patch = json!({"spec": {"hard": {"count/configmaps": "9"}}});
    fixture.edit::<k8s_openapi::api::core::v1::ResourceQuota>("none", &patch).await;
    fixture.wait_exists::<Deployment>("orders").await;
    eventually("pods have no room either", async || {
        let reported = condition(&fixture.functions().get("orders").await.ok()?, "SidecarAvailable")?;
        (reported.reason == "QuotaExceeded" && reported.message.contains("limited: pods=0")).then_some(())
    })
    .await;
    fixture.delete::<k8s_openapi::api::core::v1::ResourceQuota>("none").await;
    eventually("the quota is no longer reported", async || {
        let reported = condition(&fixture.functions().get("orders").await.ok()?, "SidecarAvailable")?;
        (reported.reason != "QuotaExceeded").then_some(())
    })
    .await;
}

#[tokio::test]
async fn pods_that_admission_refuses_are_reported() {
    let (fixture, _operator) = Fixture::with_operator("refused").await;
    let range = json!({
        "apiVersion": "v1", "kind": "LimitRange",
        "metadata": {"name": "small"},
        "spec": {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]},
    });
    let _: LimitRange = fixture.create(range).await;
    fixture.apply("orders", &json!({"resources": {"limits": {"memory": "256Mi"}}})).await;
    // The Deployment controller must have tried to create a pod.
    let reported =
        wait_condition(&fixture.functions(), "orders", "SidecarAvailable", "Forbidden", CONTROLLERS_TIMEOUT).await;
    assert!(
        reported.message.contains("maximum memory usage per Container is 64Mi, but limit is 256Mi"),
        "{}",
        reported.message
    );
    wait_condition(&fixture.functions(), "orders", "Stalled", "Forbidden", REPORT_TIMEOUT).await;
    let summary = |function: &DestinationFunction| function.status.as_ref()?.reason.clone();
    fixture
        .wait_for::<DestinationFunction>("orders", "has the reason", |orders| {
            summary(orders).as_deref() == Some("Forbidden")
        })
        .await;

    fixture.delete::<LimitRange>("small").await;
    eventually("the refusal is no longer reported", async || {
        let reported = condition(&fixture.functions().get("orders").await.ok()?, "SidecarAvailable")?;
        (reported.reason != "Forbidden").then_some(())
    })
    .await;
}

#[tokio::test]
async fn failed_api_requests_are_retried_and_not_reported_as_faults() {
    let (fixture, operator) = Fixture::with_operator("unwell").await;
    fixture.api.refuse_every(4);
    for i in 0..10 {
        fixture.apply(&format!("f-{i}"), &json!({})).await;
    }
    eventually("every function has a Deployment", async || {
        (fixture.managed_names::<Deployment>().await.len() == 10).then_some(())
    })
    .await;
    fixture.api.refuse_every(0);
    eventually("every function has a status", async || {
        let all = fixture.functions().list(&ListParams::default()).await.ok()?;
        all.iter().all(|function| condition(function, "Accepted").is_some()).then_some(())
    })
    .await;
    assert!(operator.metric("reconcile_errors_total{reason=\"ServerError\"}").await > 0.0);
    // A failed request must not be reported as a fault of a function.
    let reported = fixture.functions().list(&ListParams::default()).await.expect("a list");
    let blamed = |function: &DestinationFunction| {
        condition(function, "SidecarAvailable").is_some_and(|c| c.message.contains("was to fail"))
    };
    assert!(!reported.iter().any(blamed));
}

#[tokio::test]
async fn a_silent_watch_is_restarted() {
    let fixture = Fixture::new("silent").await;
    let mut setup = fixture.operator();
    setup.flags = vec!["--watch-timeout", "5"];
    let operator = setup.start().await;
    operator.wait_leading(DEFAULT_TIMEOUT).await;
    fixture.apply_and_wait("orders", &json!({})).await;
    fixture.api.silence_watches();
    fixture.apply("payments", &json!({})).await;
    // The timeout of a watch, and some time until the operator gives it up.
    tributary_tests::wait::until("the new function has a Deployment", Duration::from_secs(20), async || {
        fixture.objects::<Deployment>().get_opt("payments").await.ok()?
    })
    .await;
    assert_eq!(operator.get_admin("/healthz").await.status, 200);
}
