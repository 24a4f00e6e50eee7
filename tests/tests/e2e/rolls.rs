//! Tests that changing a function under load replaces its pods, and that no event is refused or lost.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use serde_json::{Value, json};
use tributary_tests::kubernetes::{Tenant, kubectl, within};
use tributary_tests::world::REGION;

use crate::stage::{LOAD_LOCK, tenant};

/// How long events are sent, in seconds.
const LOAD_SECONDS: u64 = 150;
/// How soon all pods of a function are replaced.
const ROLLOUT_TIMEOUT: Duration = Duration::from_secs(60);
/// The interval of the autoscaler's controller, and the start of a pod.
const AUTOSCALE_TIMEOUT: Duration = Duration::from_secs(60);

const NAMESPACE: &str = "rolls";
const NAME: &str = "orders";

/// The function's pods that are not being deleted.
async fn live_pods(tenant: &Tenant) -> BTreeSet<String> {
    let all = tenant.pods(NAME).await;
    all.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(ResourceExt::name_any).collect()
}

/// Waits until the Deployment's current generation has this many pods, all ready.
async fn wait_settled(tenant: &Tenant, replicas: usize, time: Duration) {
    within(time, &format!("{replicas} pods run"), async || {
        let deployment: Deployment = tenant.cluster.get(NAMESPACE, NAME).await;
        let status = deployment.status?;
        let wanted = Some(i32::try_from(replicas).expect("a small number"));
        (status.observed_generation == deployment.metadata.generation
            && [status.replicas, status.updated_replicas, status.ready_replicas] == [wanted; 3])
            .then_some(())
    })
    .await;
    tenant.wait_ready(NAME, time).await;
    assert_eq!(live_pods(tenant).await.len(), replicas);
}

/// Makes a change, and waits until it has replaced all pods by this many new ones.
async fn assert_rolls(tenant: &Tenant, what: &str, replicas: usize, change: impl AsyncFnOnce()) {
    let (before, begun) = (live_pods(tenant).await, std::time::Instant::now());
    change().await;
    within(ROLLOUT_TIMEOUT, &format!("{what}: the old pods are gone"), async || {
        live_pods(tenant).await.is_disjoint(&before).then_some(())
    })
    .await;
    wait_settled(tenant, replicas, ROLLOUT_TIMEOUT).await;
    println!("{what}: {replicas} pods replaced after {:.1} s", begun.elapsed().as_secs_f32());
}

fn run_kubectl(arguments: &[&str]) {
    kubectl(&[arguments, &["--namespace", NAMESPACE]].concat(), "").unwrap_or_else(|error| panic!("{error}"));
}

/// With only the function applied, without `replicas`.
#[tokio::test]
async fn an_autoscaler_scales_a_function_without_spec_replicas() {
    let tenant = tenant(NAMESPACE).await;
    tenant.run("autoscaled", &json!({})).await;
    run_kubectl(&["autoscale", "df", "autoscaled", "--min", "2", "--max", "3", "--cpu-percent", "80"]);
    within(AUTOSCALE_TIMEOUT, "two sidecars are ready", async || {
        let status = tenant.functions().get("autoscaled").await.ok()?.status?;
        (status.ready_replicas == Some(2)).then_some(())
    })
    .await;
    run_kubectl(&["delete", "hpa", "autoscaled"]);
    run_kubectl(&["delete", "df", "autoscaled"]);
}

/// The messageIds after `prefix` in a bucket's objects, of both modes.
async fn stored_ids(tenant: &Tenant, bucket: &str, prefix: &str) -> BTreeSet<String> {
    let keys = tenant.cloud.keys(bucket).await;
    let of_one_event = |key: &String| Some(key.split_once(&format!("-{prefix}-"))?.1.strip_suffix(".json")?.to_owned());
    let mut ids: BTreeSet<_> = keys.iter().filter_map(of_one_event).collect();
    for key in keys.iter().filter(|key| key.ends_with(".ndjson")) {
        for line in tenant.cloud.object(bucket, key).await.lines() {
            let event: Value = serde_json::from_str(line).expect("an event");
            let id = event["messageId"].as_str().expect("a messageId");
            ids.extend(id.strip_prefix(&format!("{prefix}-")).map(str::to_owned));
        }
    }
    ids
}

#[tokio::test]
async fn changing_a_function_under_load_loses_no_event() {
    let tenant = tenant(NAMESPACE).await;
    let (first, second) = (tenant.aws_name(NAME), tenant.aws_name("another-bucket"));
    tenant.cloud.add_bucket(&second).await;
    tenant.run(NAME, &json!({})).await;
    let _loaded = LOAD_LOCK.lock().await;
    let count = (LOAD_SECONDS * 100).to_string();
    let load = ["--rate", "100", "--count", &count, "--prefix"];
    let kept = tenant.load(NAME, &[&load[..], &["kept"]].concat()).await;
    let new = tenant.load(NAME, &[&load[..], &["new", "--no-keep-alive"]].concat()).await;

    let mut spec = json!({"s3": {"bucket": second, "region": REGION}});
    assert_rolls(&tenant, "another bucket", 1, async || tenant.apply(NAME, &spec).await).await;

    run_kubectl(&["scale", "df", NAME, "--replicas", "3"]);
    wait_settled(&tenant, 3, ROLLOUT_TIMEOUT).await;

    spec["resources"] = json!({"requests": {"cpu": "6m"}});
    assert_rolls(&tenant, "other resources", 3, async || tenant.apply(NAME, &spec).await).await;

    assert_rolls(&tenant, "kubectl rollout restart", 3, async || {
        run_kubectl(&["rollout", "restart", "deployment", NAME]);
    })
    .await;
    let restarted = live_pods(&tenant).await;

    // Without a metrics API, an autoscaler uses only its minimum and maximum.
    run_kubectl(&["autoscale", "df", NAME, "--min", "4", "--max", "6", "--cpu-percent", "80"]);
    wait_settled(&tenant, 4, AUTOSCALE_TIMEOUT).await;
    assert!(live_pods(&tenant).await.is_superset(&restarted), "the restart was undone");
    tenant.apply(NAME, &spec).await;

    spec["delivery"] = json!({"mode": "Batch", "batch": {"compression": "none"}});
    assert_rolls(&tenant, "Batch mode", 4, async || tenant.apply(NAME, &spec).await).await;

    assert!(kept.is_running().await && new.is_running().await, "the load has ended too early");
    for (sender, prefix) in [(kept, "kept"), (new, "new")] {
        let sent = sender.finish(Duration::from_secs(LOAD_SECONDS)).await;
        sent.assert_all_stored();
        let all = &stored_ids(&tenant, &first, prefix).await | &stored_ids(&tenant, &second, prefix).await;
        assert_eq!(all.len() as u64, sent.sent);
    }
}
