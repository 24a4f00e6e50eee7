//! Two replicas: one leads.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::json;
use tributary_tests::wait::SOON;
use tributary_tests::{ApiProxy, OperatorSetup};

use crate::scene::Scene;

/// How soon another leads when the leader is gone.
const TAKEN_OVER: Duration = Duration::from_secs(20);

/// How long a leader counts on a Lease that it could not renew.
const DEADLINE: Duration = Duration::from_secs(10);

async fn second(scene: &Scene) -> (ApiProxy, OperatorSetup) {
    let api = ApiProxy::start(&scene.cluster).await;
    let setup = OperatorSetup { api: api.clone(), identity: "two".to_owned(), ..scene.operator() };
    (api, setup)
}

async fn holder(scene: &Scene) -> Option<String> {
    let lease = scene.objects::<Lease>().get_opt("tributary-operator").await.ok()??;
    lease.spec?.holder_identity
}

#[tokio::test]
async fn one_leads_and_the_other_stands_by_until_it_is_given_the_lease() {
    let (scene, mut first) = Scene::with_operator("standby").await;
    let (api, setup) = second(&scene).await;
    let other = setup.start().await;
    scene.applied("orders", &json!({})).await;
    assert_eq!((first.metric("leader").await, other.metric("leader").await), (1.0, 0.0));
    for path in ["/healthz", "/readyz"] {
        assert_eq!((first.ask(path).await.status, other.ask(path).await.status), (200, 200), "{path}");
    }
    let asked_for: Vec<_> = api.requests().into_iter().filter(|request| !request.uri.contains("/leases")).collect();
    assert!(asked_for.is_empty(), "who stands by asks for nothing: {asked_for:?}");

    let ended = Instant::now();
    first.signal("TERM");
    assert_eq!(first.wait_end().await, Some(0));
    other.wait_leading(SOON).await;
    assert!(ended.elapsed() < Duration::from_secs(6), "it was given back, and taken after {:?}", ended.elapsed());
    assert_eq!(holder(&scene).await.as_deref(), Some("two"));
    scene.applied("payments", &json!({})).await;
}

#[tokio::test]
async fn a_leader_that_freezes_is_replaced_and_begins_nothing_when_it_thaws() {
    let (scene, first) = Scene::with_operator("frozen").await;
    scene.applied("orders", &json!({})).await;
    let (_, setup) = second(&scene).await;
    let other = setup.start().await;
    let frozen = Instant::now();
    first.signal("STOP");
    other.wait_leading(TAKEN_OVER).await;
    assert_eq!(holder(&scene).await.as_deref(), Some("two"));
    // There is work, of which the frozen one will hear as soon as it thaws.
    scene.applied("payments", &json!({})).await;
    scene.apply("orders", &json!({"logLevel": "warn"})).await;
    assert!(frozen.elapsed() > DEADLINE);
    first.signal("CONT");
    tokio::time::sleep(Duration::from_secs(8)).await;
    let late: Vec<_> = scene
        .api
        .requests()
        .into_iter()
        .filter(|request| request.at > frozen + DEADLINE)
        // It asks who leads, and no more.
        .filter(|request| !(request.method == "GET" && request.uri.contains("/leases/")))
        .collect();
    assert!(late.is_empty(), "{late:?}");
    assert!(first.has_said("no longer leading: it could not be renewed in time"), "{}", first.output());
    assert_eq!((first.metric("leader").await, other.metric("leader").await), (0.0, 1.0));
}

#[tokio::test]
async fn a_leader_that_reaches_nobody_stops_and_leads_again_afterwards() {
    let (scene, operator) = Scene::with_operator("cut-off").await;
    scene.applied("orders", &json!({})).await;
    scene.api.set_away(true);
    tributary_tests::wait::until("it stops leading", Duration::from_secs(15), async || {
        (operator.metric("leader").await == 0.0).then_some(())
    })
    .await;
    assert_eq!(operator.ask("/healthz").await.status, 200, "nothing is mended by starting it anew");
    scene.api.set_away(false);
    tributary_tests::wait::until("it leads again", Duration::from_secs(15), async || {
        (operator.metric("leader").await == 1.0).then_some(())
    })
    .await;
    scene.applied("payments", &json!({})).await;
}

#[tokio::test]
async fn a_process_that_was_killed_leads_at_once_when_it_is_started_again() {
    let (scene, mut operator) = Scene::with_operator("restarted").await;
    operator.kill();
    let started = Instant::now();
    let again = scene.operator().start().await;
    again.wait_leading(SOON).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    scene
        .becomes::<Lease>("tributary-operator", "is renewed", |lease| {
            lease.spec.as_ref().is_some_and(|spec| spec.lease_transitions == Some(1) && spec.renew_time.is_some())
        })
        .await;
    scene.applied("orders", &json!({})).await;
    assert_eq!(scene.made::<Deployment>().await, ["orders"]);
}
