//! Tests leader election between two replicas.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::json;
use tributary_tests::wait::DEFAULT_TIMEOUT;
use tributary_tests::{ApiProxy, OperatorSetup};

use crate::scene::Fixture;

/// How soon another replica leads once the leader is gone.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a leader relies on a Lease that it could not renew.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);

async fn second_operator(fixture: &Fixture) -> (ApiProxy, OperatorSetup) {
    let api = ApiProxy::start(&fixture.cluster).await;
    let setup = OperatorSetup { api: api.clone(), identity: "two".to_owned(), ..fixture.operator() };
    (api, setup)
}

async fn lease_holder(fixture: &Fixture) -> Option<String> {
    let lease = fixture.objects::<Lease>().get_opt("tributary-operator").await.ok()??;
    lease.spec?.holder_identity
}

#[tokio::test]
async fn one_replica_leads_and_the_standby_takes_over_the_released_lease() {
    let (fixture, mut first) = Fixture::with_operator("standby").await;
    let (api, setup) = second_operator(&fixture).await;
    let other = setup.start().await;
    fixture.apply_and_wait("orders", &json!({})).await;
    assert_eq!((first.metric("leader").await, other.metric("leader").await), (1.0, 0.0));
    for path in ["/healthz", "/readyz"] {
        assert_eq!((first.get_admin(path).await.status, other.get_admin(path).await.status), (200, 200), "{path}");
    }
    let asked_for: Vec<_> = api.requests().into_iter().filter(|request| !request.uri.contains("/leases")).collect();
    assert!(asked_for.is_empty(), "the standby has sent requests: {asked_for:?}");

    let ended = Instant::now();
    first.signal("TERM");
    assert_eq!(first.wait_exit().await, Some(0));
    other.wait_leading(DEFAULT_TIMEOUT).await;
    assert!(ended.elapsed() < Duration::from_secs(6), "the released Lease was taken over after {:?}", ended.elapsed());
    assert_eq!(lease_holder(&fixture).await.as_deref(), Some("two"));
    fixture.apply_and_wait("payments", &json!({})).await;
}

#[tokio::test]
async fn a_frozen_leader_is_replaced_and_sends_nothing_when_it_continues() {
    let (fixture, first) = Fixture::with_operator("frozen").await;
    fixture.apply_and_wait("orders", &json!({})).await;
    let (_, setup) = second_operator(&fixture).await;
    let other = setup.start().await;
    let frozen = Instant::now();
    first.signal("STOP");
    other.wait_leading(TAKEOVER_TIMEOUT).await;
    assert_eq!(lease_holder(&fixture).await.as_deref(), Some("two"));
    // Changes that the frozen leader receives as soon as it continues.
    fixture.apply_and_wait("payments", &json!({})).await;
    fixture.apply("orders", &json!({"logLevel": "warn"})).await;
    assert!(frozen.elapsed() > RENEW_DEADLINE);
    first.signal("CONT");
    tokio::time::sleep(Duration::from_secs(8)).await;
    let late: Vec<_> = fixture
        .api
        .requests()
        .into_iter()
        .filter(|request| request.at > frozen + RENEW_DEADLINE)
        // Requests that read the Lease are allowed.
        .filter(|request| !(request.method == "GET" && request.uri.contains("/leases/")))
        .collect();
    assert!(late.is_empty(), "{late:?}");
    assert!(first.has_logged("no longer leading: the Lease could not be renewed in time"), "{}", first.output());
    assert_eq!((first.metric("leader").await, other.metric("leader").await), (0.0, 1.0));
}

#[tokio::test]
async fn a_leader_without_an_api_server_stops_leading_and_leads_again_afterwards() {
    let (fixture, operator) = Fixture::with_operator("cut-off").await;
    fixture.apply_and_wait("orders", &json!({})).await;
    fixture.api.set_unavailable(true);
    tributary_tests::wait::until("it stops leading", Duration::from_secs(15), async || {
        (operator.metric("leader").await == 0.0).then_some(())
    })
    .await;
    assert_eq!(operator.get_admin("/healthz").await.status, 200, "a restart would not help");
    fixture.api.set_unavailable(false);
    tributary_tests::wait::until("it leads again", Duration::from_secs(15), async || {
        (operator.metric("leader").await == 1.0).then_some(())
    })
    .await;
    fixture.apply_and_wait("payments", &json!({})).await;
}

#[tokio::test]
async fn a_killed_leader_leads_immediately_after_its_restart() {
    let (fixture, mut operator) = Fixture::with_operator("restarted").await;
    operator.kill();
    let started = Instant::now();
    let again = fixture.operator().start().await;
    again.wait_leading(DEFAULT_TIMEOUT).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    fixture
        .wait_for::<Lease>("tributary-operator", "is renewed", |lease| {
            lease.spec.as_ref().is_some_and(|spec| spec.lease_transitions == Some(1) && spec.renew_time.is_some())
        })
        .await;
    fixture.apply_and_wait("orders", &json!({})).await;
    assert_eq!(fixture.managed_names::<Deployment>().await, ["orders"]);
}
