//! Tests the installation as in the README, up to the first stored event.

use std::time::{Duration, Instant};

use serde_json::json;
use tributary_tests::Namespace;
use tributary_tests::kubernetes::pods::Sender;
use tributary_tests::kubernetes::{RELEASE_NAMESPACE, Tenant, checkout, helm, kubectl};
use tributary_tests::world::ACCOUNT;

use crate::Fixture;

/// The time from `helm install` to the object in the bucket.
const FIRST_OBJECT_TIMEOUT: Duration = Duration::from_secs(60);

/// The external ID of the example.
const EXTERNAL_ID: &str = "change-me-JNgJ4tqvQ2YrwWTDf8XnBeCxkLpA3Z";

/// Follows the README with the unchanged examples, except for the images' names: an AWS in a pod, the chart, a
/// function, and an event from another pod.
pub async fn install_and_store_an_event(fixture: &Fixture) {
    Namespace::ensure(&fixture.cluster, RELEASE_NAMESPACE).await;
    Namespace::ensure(&fixture.cluster, "shop").await;
    let aws = read_file("examples/without-aws/aws.yaml").replace("localhost/tributary:0.1.0", &fixture.images.tool());
    kubectl(&["apply", "--filename", "-"], &aws).expect("an AWS");
    kubectl(&["wait", "--namespace", "aws", "--for", "condition=Available", "deployment/aws"], "").expect("an AWS");

    let begun = Instant::now();
    let registry = format!("image.registry={}", fixture.images.registry);
    let tag = format!("image.tag={}", fixture.images.tag);
    let values = ["--values", "examples/without-aws/values.yaml", "--set", &registry, "--set", &tag];
    let install = ["install", "tributary", "charts/tributary", "--namespace", RELEASE_NAMESPACE, "--wait"];
    helm(&[&install[..], &values].concat()).unwrap_or_else(|error| panic!("{error}"));
    let function = ["--filename", "examples/without-aws/base-identity.yaml", "--filename", "examples/orders.yaml"];
    kubectl(&[&["apply", "--namespace", "shop"][..], &function].concat(), "").expect("a function");
    let arguments = ["http://orders.shop.svc", "--retry", "60", "--prefix", "first"];
    let sender = Sender::start(&fixture.cluster, "shop", &fixture.images.tool(), &arguments, &json!([])).await;
    sender.finish(FIRST_OBJECT_TIMEOUT).await.assert_all_stored();
    let keys = aws_admin_get("objects");
    assert!(begun.elapsed() < FIRST_OBJECT_TIMEOUT, "it took {:?}", begun.elapsed());
    println!("from helm install to the object: {:.1} s", begun.elapsed().as_secs_f32());
    let [key] = *keys.lines().collect::<Vec<_>>() else { panic!("{keys}") };
    assert!(key.starts_with("orders-lake/segment/track/") && key.ends_with("-first-0.json"), "{key}");
    assert!(aws_admin_get(&format!("objects/{key}")).contains("\"messageId\":\"first-0\""));

    for condition in ["condition=Ready", "condition=UpToDate"] {
        let wait = ["wait", "--namespace", "shop", "--for", condition, "--timeout", "15s", "df/orders"];
        kubectl(&wait, "").expect("a function that is ready");
    }
    let shown = kubectl(&["get", "df", "--namespace", "shop"], "").expect("a list");
    let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "READY", "REASON", "UP-TO-DATE", "DESIRED", "RUNNING", "AGE"]);
    assert_eq!(lines[1][..6], ["orders", "True", "Ok", "True", "1", "1"]);
    assert!(shown.lines().all(|line| line.len() <= 100), "{shown}");
    let wide = kubectl(&["get", "df", "--namespace", "shop", "--output", "wide"], "").expect("a list");
    for column in ["http://orders.shop.svc", "us-west-2", "orders-lake", "Object"] {
        assert!(wide.contains(column), "{column}: {wide}");
    }
    assert!(wide.contains(&format!("arn:aws:iam::{ACCOUNT}:role/orders-writer")), "{wide}");
    let described = kubectl(&["describe", "df", "orders", "--namespace", "shop"], "").expect("a description");
    assert!(described.contains("events sent to http://orders.shop.svc are stored"), "{described}");
    assert!(!described.contains(EXTERNAL_ID), "the external ID is shown");

    // From here on, this function uses the AWS that all other functions use.
    Tenant::new(&fixture.cluster, "shop").await;
    fixture.cloud.add_role("orders-writer", EXTERNAL_ID).await;
    fixture.cloud.add_bucket("orders-lake").await;
    kubectl(&["delete", "namespace", "aws", "--wait=false"], "").expect("the namespace is deleted");
}

fn read_file(path: &str) -> String {
    std::fs::read_to_string(checkout().join(path)).expect("a file of this checkout")
}

/// Gets a path of the admin port of the example's AWS, through kubectl.
fn aws_admin_get(path: &str) -> String {
    kubectl(&["get", "--raw", &format!("/api/v1/namespaces/aws/services/aws:admin/proxy/{path}")], "")
        .expect("an answer")
}

/// Runs `helm test`, which sends an event through its own function.
pub async fn helm_test(fixture: &Fixture) {
    fixture.release().apply();
    helm(&["test", "tributary", "--namespace", RELEASE_NAMESPACE, "--timeout", "120s"])
        .unwrap_or_else(|error| panic!("{error}"));
}

/// Checks every verb, in several namespaces.
pub async fn the_operator_has_no_verb_on_secrets(_: &Fixture) {
    let account = format!("system:serviceaccount:{RELEASE_NAMESPACE}:tributary-operator");
    for namespace in [RELEASE_NAMESPACE, "shop", "kube-system"] {
        for verb in ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "*"] {
            let arguments = ["auth", "can-i", verb, "secrets", "--as", &account, "--namespace", namespace];
            let output = kubectl(&arguments, "").expect_err("kubectl auth can-i says no");
            assert!(output.trim_end().lines().any(|line| line == "no"), "{verb} in {namespace}: {output}");
        }
    }
    // This shows that the question is asked correctly:
    let arguments = ["auth", "can-i", "create", "deployments.apps", "--as", &account, "--namespace", "shop"];
    assert_eq!(kubectl(&arguments, "").expect("an answer").trim(), "yes");
}
