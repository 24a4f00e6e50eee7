//! Installation, and the first event.

use std::time::{Duration, Instant};

use serde_json::json;
use tributary_tests::Namespace;
use tributary_tests::kubernetes::{SYSTEM, Tenant, checkout, helm, kubectl};
use tributary_tests::world::{ACCOUNT, PRINCIPAL};

use crate::Stage;

/// From `helm install` to the object in the bucket.
const FIRST_OBJECT: Duration = Duration::from_secs(60);

/// As the README has it: install, apply the example as it stands, send an event from a pod.
pub async fn install_and_store_an_event(stage: &Stage) {
    Namespace::named(&stage.cluster, SYSTEM).await;
    let shop = Tenant::new(&stage.cluster, "shop").await;
    let example = std::fs::read_to_string(checkout().join("examples/orders.yaml")).expect("the example");
    let external_id = example.lines().find_map(|line| line.trim().strip_prefix("externalId: ")).expect("an ID");
    // The other company's part.
    let role = json!({"principals": [PRINCIPAL], "externalId": external_id});
    stage
        .cloud
        .edit(|all| {
            all["accounts"][ACCOUNT]["roles"]["orders-writer"] = role;
            all["accounts"][ACCOUNT]["buckets"]["orders-lake"] = json!({"region": "us-west-2"});
        })
        .await;

    let begun = Instant::now();
    stage.release().apply_at_once();
    kubectl(&["apply", "--namespace", "shop", "--filename", "examples/orders.yaml"], "").expect("a function");
    let sent = shop.send("orders", &["--retry", "60", "--prefix", "first"]).await.finish(FIRST_OBJECT).await;
    sent.assert_all_stored();
    let keys = stage.cloud.keys("orders-lake").await;
    assert!(begun.elapsed() < FIRST_OBJECT, "it took {:?}", begun.elapsed());
    println!("from helm install to the object: {:.1} s", begun.elapsed().as_secs_f32());
    let [key] = keys.as_slice() else { panic!("{keys:?}") };
    assert!(key.starts_with("segment/track/") && key.ends_with("-first-0.json"), "{key}");
    assert!(stage.cloud.object("orders-lake", key).await.contains("\"messageId\":\"first-0\""));

    let wait = ["wait", "--namespace", "shop", "--for", "condition=Ready", "--timeout", "15s", "df/orders"];
    kubectl(&wait, "").expect("a function that is ready");
    let shown = kubectl(&["get", "df", "--namespace", "shop"], "").expect("a list");
    let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "READY", "REASON", "ROLE", "BUCKET", "MODE", "AGE"]);
    let role = format!("arn:aws:iam::{ACCOUNT}:role/orders-writer");
    assert_eq!(lines[1][..6], ["orders", "True", "Ok", &role, "orders-lake", "Object"]);
    let wide = kubectl(&["get", "df", "--namespace", "shop", "--output", "wide"], "").expect("a list");
    assert!(wide.contains("http://orders.shop.svc") && wide.contains("us-west-2"), "{wide}");
    let described = kubectl(&["describe", "df", "orders", "--namespace", "shop"], "").expect("a description");
    assert!(described.contains("events sent to http://orders.shop.svc are stored"), "{described}");
    assert!(!described.contains(external_id), "the external ID is shown");
}

/// An event through a function of the chart's own.
pub async fn helm_test(stage: &Stage) {
    stage.release().apply();
    helm(&["test", "tributary", "--namespace", SYSTEM, "--timeout", "120s"]).unwrap_or_else(|says| panic!("{says}"));
}

/// Whatever the verb, and wherever.
pub async fn the_operator_has_no_verb_on_secrets(_: &Stage) {
    let account = format!("system:serviceaccount:{SYSTEM}:tributary-operator");
    for namespace in [SYSTEM, "shop", "kube-system"] {
        for verb in ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "*"] {
            let arguments = ["auth", "can-i", verb, "secrets", "--as", &account, "--namespace", namespace];
            let said = kubectl(&arguments, "").expect_err("it may");
            assert!(said.trim_end().lines().any(|line| line == "no"), "{verb} in {namespace}: {said}");
        }
    }
    // That the question is the right one:
    let arguments = ["auth", "can-i", "create", "deployments.apps", "--as", &account, "--namespace", "shop"];
    assert_eq!(kubectl(&arguments, "").expect("an answer").trim(), "yes");
}
