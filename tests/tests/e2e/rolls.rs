//! A function that changes while events come in: its pods are replaced, and no event is refused or lost.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use serde_json::{Value, json};
use tributary_tests::kubernetes::{Tenant, kubectl, within};
use tributary_tests::world::REGION;

use crate::stage::{LOADED, tenant};

/// How long events come in.
const LOAD: u64 = 150;
/// How soon all pods of a function are new.
const ROLLED: Duration = Duration::from_secs(60);
/// How often the controller of autoscalers looks, and then a pod's start.
const AUTOSCALED: Duration = Duration::from_secs(60);

const NAMESPACE: &str = "rolls";
const NAME: &str = "orders";

/// The pods that there are, but for those at their end.
async fn pods(tenant: &Tenant) -> BTreeSet<String> {
    let all = tenant.pods(NAME).await;
    all.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(ResourceExt::name_any).collect()
}

/// Waits until so many pods run, all of them ready and of the function as it is written now.
async fn settled(tenant: &Tenant, replicas: usize, time: Duration) {
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
    assert_eq!(pods(tenant).await.len(), replicas);
}

/// Changes something, and waits until so many other pods have taken the places of those before.
async fn rolls(tenant: &Tenant, what: &str, replicas: usize, change: impl AsyncFnOnce()) {
    let (before, begun) = (pods(tenant).await, std::time::Instant::now());
    change().await;
    within(ROLLED, &format!("{what}: the pods of before are gone"), async || {
        pods(tenant).await.is_disjoint(&before).then_some(())
    })
    .await;
    settled(tenant, replicas, ROLLED).await;
    println!("{what}: {replicas} pods replaced after {:.1} s", begun.elapsed().as_secs_f32());
}

fn run(arguments: &[&str]) {
    kubectl(&[arguments, &["--namespace", NAMESPACE]].concat(), "").unwrap_or_else(|says| panic!("{says}"));
}

/// With nothing but the function, as it is applied.
#[tokio::test]
async fn an_autoscaler_scales_a_function_that_names_no_replicas() {
    let tenant = tenant(NAMESPACE).await;
    tenant.run("autoscaled", &json!({})).await;
    run(&["autoscale", "df", "autoscaled", "--min", "2", "--max", "3", "--cpu-percent", "80"]);
    within(AUTOSCALED, "there are two", async || {
        let status = tenant.functions().get("autoscaled").await.ok()?.status?;
        (status.ready_replicas == Some(2)).then_some(())
    })
    .await;
    run(&["delete", "hpa", "autoscaled"]);
    run(&["delete", "df", "autoscaled"]);
}

/// The messageIds of a bucket's objects, of either mode.
async fn stored(tenant: &Tenant, bucket: &str, prefix: &str) -> BTreeSet<String> {
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
async fn a_function_changes_while_events_come_in() {
    let tenant = tenant(NAMESPACE).await;
    let (first, second) = (tenant.of(NAME), tenant.of("another-bucket"));
    tenant.cloud.add_bucket(&second).await;
    tenant.run(NAME, &json!({})).await;
    let _loaded = LOADED.lock().await;
    let count = (LOAD * 100).to_string();
    let load = ["--rate", "100", "--count", &count, "--prefix"];
    let kept = tenant.load(NAME, &[&load[..], &["kept"]].concat()).await;
    let new = tenant.load(NAME, &[&load[..], &["new", "--no-keep-alive"]].concat()).await;

    let mut spec = json!({"s3": {"bucket": second, "region": REGION}});
    rolls(&tenant, "another bucket", 1, async || tenant.apply(NAME, &spec).await).await;

    run(&["scale", "df", NAME, "--replicas", "3"]);
    settled(&tenant, 3, ROLLED).await;

    spec["resources"] = json!({"requests": {"cpu": "6m"}});
    rolls(&tenant, "other resources", 3, async || tenant.apply(NAME, &spec).await).await;

    rolls(&tenant, "kubectl rollout restart", 3, async || run(&["rollout", "restart", "deployment", NAME])).await;
    let restarted = pods(&tenant).await;

    // Without a metrics API an autoscaler knows no more than its bounds.
    run(&["autoscale", "df", NAME, "--min", "4", "--max", "6", "--cpu-percent", "80"]);
    settled(&tenant, 4, AUTOSCALED).await;
    assert!(pods(&tenant).await.is_superset(&restarted), "a restart is not taken back");
    tenant.apply(NAME, &spec).await;

    spec["delivery"] = json!({"mode": "Batch", "batch": {"compression": "none"}});
    rolls(&tenant, "Batch mode", 4, async || tenant.apply(NAME, &spec).await).await;

    assert!(kept.is_at_work().await && new.is_at_work().await, "all of it is to happen under load");
    for (sender, prefix) in [(kept, "kept"), (new, "new")] {
        let sent = sender.finish(Duration::from_secs(LOAD)).await;
        sent.assert_all_stored();
        let all = &stored(&tenant, &first, prefix).await | &stored(&tenant, &second, prefix).await;
        assert_eq!(all.len() as u64, sent.sent);
    }
}
