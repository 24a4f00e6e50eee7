//! Tests that the operator's metrics follow Prometheus' conventions.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;
use tributary_tests::kubernetes::eventually;
use tributary_tests::promlint;

use crate::scene::Fixture;

#[tokio::test]
async fn metrics_pass_promlint_after_a_reconcile() {
    let (fixture, operator) = Fixture::with_operator("metrics").await;
    fixture.apply("orders", &json!({})).await;
    eventually("the function has its Deployment", async || {
        (fixture.managed_names::<Deployment>().await.len() == 1).then_some(())
    })
    .await;
    // A reconcile is counted when it ends, after the last child has been created.
    eventually("the reconcile is counted", async || {
        (operator.metric("reconcile_duration_seconds_count").await > 0.0).then_some(())
    })
    .await;
    let metrics = operator.get_admin("/metrics").await;
    assert_eq!(metrics.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(metrics.text().contains("tributary_api_requests_total{verb=\"create\",kind=\"Deployment\"} 1\n"));
    promlint::assert_clean(&metrics.text());
}
