//! Installation, and the first event.

use std::time::{Duration, Instant};

use serde_json::json;
use tributary_tests::Namespace;
use tributary_tests::kubernetes::pods::Sender;
use tributary_tests::kubernetes::{SYSTEM, Tenant, checkout, helm, kubectl};
use tributary_tests::world::ACCOUNT;

use crate::Stage;

/// From `helm install` to the object in the bucket.
const FIRST_OBJECT: Duration = Duration::from_secs(60);

/// The example's.
const EXTERNAL_ID: &str = "change-me-JNgJ4tqvQ2YrwWTDf8XnBeCxkLpA3Z";

/// As the README has it, with the examples as they stand but for the images' names: an AWS in a pod, the
/// chart, a function, and an event from another pod.
pub async fn install_and_store_an_event(stage: &Stage) {
    Namespace::named(&stage.cluster, SYSTEM).await;
    Namespace::named(&stage.cluster, "shop").await;
    let aws = read("examples/without-aws/aws.yaml").replace("localhost/tributary:0.1.0", &stage.images.tool());
    kubectl(&["apply", "--filename", "-"], &aws).expect("an AWS");
    kubectl(&["wait", "--namespace", "aws", "--for", "condition=Available", "deployment/aws"], "").expect("an AWS");

    let begun = Instant::now();
    let registry = format!("image.registry={}", stage.images.registry);
    let tag = format!("image.tag={}", stage.images.tag);
    let values = ["--values", "examples/without-aws/values.yaml", "--set", &registry, "--set", &tag];
    let install = ["install", "tributary", "charts/tributary", "--namespace", SYSTEM, "--wait"];
    helm(&[&install[..], &values].concat()).unwrap_or_else(|says| panic!("{says}"));
    let function = ["--filename", "examples/without-aws/base-identity.yaml", "--filename", "examples/orders.yaml"];
    kubectl(&[&["apply", "--namespace", "shop"][..], &function].concat(), "").expect("a function");
    let arguments = ["http://orders.shop.svc", "--retry", "60", "--prefix", "first"];
    let sender = Sender::start(&stage.cluster, "shop", &stage.images.tool(), &arguments, &json!([])).await;
    sender.finish(FIRST_OBJECT).await.assert_all_stored();
    let keys = stored("objects");
    assert!(begun.elapsed() < FIRST_OBJECT, "it took {:?}", begun.elapsed());
    println!("from helm install to the object: {:.1} s", begun.elapsed().as_secs_f32());
    let [key] = *keys.lines().collect::<Vec<_>>() else { panic!("{keys}") };
    assert!(key.starts_with("orders-lake/segment/track/") && key.ends_with("-first-0.json"), "{key}");
    assert!(stored(&format!("objects/{key}")).contains("\"messageId\":\"first-0\""));

    for condition in ["condition=Ready", "condition=UpToDate"] {
        let wait = ["wait", "--namespace", "shop", "--for", condition, "--timeout", "15s", "df/orders"];
        kubectl(&wait, "").expect("a function that is ready");
    }
    let shown = kubectl(&["get", "df", "--namespace", "shop"], "").expect("a list");
    let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "READY", "REASON", "UP-TO-DATE", "DESIRED", "RUNNING", "BUCKET", "MODE", "AGE"]);
    assert_eq!(lines[1][..8], ["orders", "True", "Ok", "True", "1", "1", "orders-lake", "Object"]);
    assert!(shown.lines().all(|line| line.len() <= 100), "{shown}");
    let wide = kubectl(&["get", "df", "--namespace", "shop", "--output", "wide"], "").expect("a list");
    assert!(wide.contains("http://orders.shop.svc") && wide.contains("us-west-2"), "{wide}");
    assert!(wide.contains(&format!("arn:aws:iam::{ACCOUNT}:role/orders-writer")), "{wide}");
    let described = kubectl(&["describe", "df", "orders", "--namespace", "shop"], "").expect("a description");
    assert!(described.contains("events sent to http://orders.shop.svc are stored"), "{described}");
    assert!(!described.contains(EXTERNAL_ID), "the external ID is shown");

    // From here on its AWS is that of all the other functions.
    Tenant::new(&stage.cluster, "shop").await;
    stage.cloud.add_role("orders-writer", EXTERNAL_ID).await;
    stage.cloud.add_bucket("orders-lake").await;
    kubectl(&["delete", "namespace", "aws", "--wait=false"], "").expect("an end");
}

fn read(path: &str) -> String {
    std::fs::read_to_string(checkout().join(path)).expect("a file of this checkout")
}

/// What the AWS in its pod has, as kubectl shows it.
fn stored(path: &str) -> String {
    kubectl(&["get", "--raw", &format!("/api/v1/namespaces/aws/services/aws:admin/proxy/{path}")], "")
        .expect("an answer")
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
