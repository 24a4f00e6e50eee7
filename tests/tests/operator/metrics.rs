//! What the operator counts is as Prometheus wants it.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;
use tributary_tests::kubernetes::eventually;
use tributary_tests::promlint;

use crate::scene::Scene;

#[tokio::test]
async fn metrics_are_clean_once_it_has_worked() {
    let (scene, operator) = Scene::with_operator("metrics").await;
    scene.apply("orders", &json!({})).await;
    eventually("the function has its sidecars", async || (scene.made::<Deployment>().await.len() == 1).then_some(()))
        .await;
    // It is counted when it ends, after the last child was made.
    eventually("the reconciliation is counted", async || {
        (operator.metric("reconcile_duration_seconds_count").await > 0.0).then_some(())
    })
    .await;
    let metrics = operator.ask("/metrics").await;
    assert_eq!(metrics.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(metrics.text().contains("tributary_api_requests_total{verb=\"create\",kind=\"Deployment\"} 1\n"));
    promlint::assert_clean(&metrics.text());
}
