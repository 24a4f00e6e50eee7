//! Tests that each function can use the roles, buckets and endpoints granted to its namespace, and no others.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tributary_tests::kubernetes::{RELEASE_NAMESPACE, Tenant, kubectl, within};
use tributary_tests::world::ACCOUNT;

use crate::stage::{GUARDED, tenant};

/// Ten functions in three namespaces, each with its own role, external ID and bucket.
const FUNCTIONS: [(&str, &str); 10] = [
    ("red", "orders"),
    ("red", "clicks"),
    ("red", "audit"),
    ("red", "people"),
    ("green", "orders"),
    ("green", "clicks"),
    ("green", "audit"),
    ("blue", "orders"),
    ("blue", "clicks"),
    ("blue", "audit"),
];

#[tokio::test]
async fn ten_functions_store_events_only_in_their_own_buckets() {
    let tenants = join_all(["red", "green", "blue"].map(tenant)).await;
    let of = |namespace: &str| tenants.iter().find(|tenant| tenant.namespace == namespace).expect("a tenant");
    for (namespace, name) in FUNCTIONS {
        of(namespace).prepare(name).await;
    }
    join_all(FUNCTIONS.map(async |(namespace, name)| of(namespace).apply(name, &json!({})).await)).await;
    join_all(FUNCTIONS.map(|(namespace, name)| of(namespace).wait_ready(name, Duration::from_secs(120)))).await;
    join_all(FUNCTIONS.map(async |(namespace, name)| {
        // By the Service's name, from a pod in the same namespace.
        let prefix = format!("from-{namespace}-{name}");
        let arguments = ["--count", "5", "--prefix", &prefix, "--retry", "30"];
        of(namespace).send(name, &arguments).await.finish(Duration::from_secs(60)).await.assert_all_stored();
    }))
    .await;
    for (namespace, name) in FUNCTIONS {
        let keys = of(namespace).cloud.keys(&of(namespace).aws_name(name)).await;
        let own = format!("-from-{namespace}-{name}-");
        assert_eq!(keys.len(), 5, "{keys:?}");
        assert!(keys.iter().all(|key| key.contains(&own)), "{keys:?}");
    }
}

/// A healthy start records one Event, so that Events of problems stand out.
#[tokio::test]
async fn a_healthy_start_records_one_event_and_no_warning() {
    let tenant = tenant("quiet").await;
    tenant.run("orders", &json!({})).await;
    within(Duration::from_secs(15), "there is an Event", async || {
        (!tenant.events("orders").await.is_empty()).then_some(())
    })
    .await;
    let events = tenant.events("orders").await;
    let recorded: Vec<_> = events.iter().map(|event| (event.type_.as_deref(), event.reason.as_deref())).collect();
    assert_eq!(recorded, [(Some("Normal"), Some("Ready"))]);
}

/// The API server's error for a function that it refuses.
async fn refused(tenant: &Tenant, name: &str, fields: serde_json::Value) -> String {
    tenant.try_apply(name, &fields).await.expect_err("it should be refused").to_string()
}

#[tokio::test]
async fn a_function_can_reference_secrets_of_its_own_namespace_only() {
    tenant("near").await;
    let refused = |reference: serde_json::Value| {
        let manifest = json!({
            "apiVersion": "tributary.dev/v1alpha1", "kind": "DestinationFunction",
            "metadata": {"name": "orders", "namespace": "near"},
            "spec": {
                "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/near-orders"),
                "externalIdSecretRef": reference,
                "s3": {"bucket": "near-orders", "region": "us-west-2"},
            },
        });
        kubectl(&["apply", "--filename", "-"], &manifest.to_string()).expect_err("it should be refused")
    };
    let error = refused(json!({"name": "red/orders"}));
    assert!(error.contains("externalIdSecretRef.name") && error.contains("red/orders"), "{error}");
    let error = refused(json!({"name": "orders", "namespace": "red"}));
    assert!(error.contains("unknown field \"spec.externalIdSecretRef.namespace\""), "{error}");
}

#[tokio::test]
async fn a_namespace_can_use_only_the_roles_it_was_granted() {
    let tenant = tenant(GUARDED).await;
    tenant.run("orders", &json!({})).await;
    let role = format!("arn:aws:iam::{ACCOUNT}:role/red-orders");
    let error = refused(&tenant, "clicks", json!({"roleArn": role})).await;
    assert!(error.contains(&role) && error.contains("grants to the namespace guarded"), "{error}");
    // The existing function can't be changed to that role either.
    let error = refused(&tenant, "orders", json!({"roleArn": role})).await;
    assert!(error.contains(&role), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_the_platform_does_not_allow_is_refused() {
    let tenant = tenant("elsewhere").await;
    let endpoint = "https://collector.example.com";
    let s3 = json!({"bucket": "elsewhere-orders", "region": "us-west-2", "endpoint": endpoint});
    let error = refused(&tenant, "orders", json!({"s3": s3})).await;
    assert!(error.contains("s3.endpoint") && error.contains(endpoint) && error.contains("allowedEndpoints"), "{error}");
    let error = refused(&tenant, "orders", json!({"sts": {"endpoint": endpoint}})).await;
    assert!(error.contains("sts.endpoint") && error.contains(endpoint), "{error}");
}

#[tokio::test]
async fn a_secret_with_an_external_id_of_another_prefix_is_refused() {
    tenant(GUARDED).await;
    let secret = |id: &str| {
        let metadata = json!({"name": "foreign", "namespace": GUARDED});
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"externalId": id}})
            .to_string()
    };
    let error = kubectl(&["create", "--filename", "-"], &secret("red/orders-3kF9")).expect_err("it should be refused");
    assert!(error.contains("does not begin with guarded/"), "{error}");
    assert!(!error.contains("red/orders-3kF9"), "the external ID is shown: {error}");
    kubectl(&["create", "--filename", "-"], &secret("guarded/foreign-3kF9")).expect("a Secret");
}

#[tokio::test]
async fn the_endpoint_of_helm_test_is_refused_for_other_functions() {
    let tenant = tenant("elsewhere").await;
    let endpoint = format!("http://tributary-test-aws.{RELEASE_NAMESPACE}.svc:9000");
    let error = refused(&tenant, "orders", json!({"sts": {"endpoint": endpoint}})).await;
    assert!(error.contains("sts.endpoint") && error.contains(&endpoint), "{error}");
}

#[tokio::test]
async fn a_session_name_of_another_namespace_is_refused() {
    let tenant = tenant("elsewhere").await;
    let error = refused(&tenant, "orders", json!({"sessionName": "red.orders"})).await;
    assert!(error.contains("sessionName \"red.orders\"") && error.contains("begin with elsewhere."), "{error}");
}

/// Otherwise a user could read any external ID in the namespace: a function with the user's own role would send it to
/// the user's account.
#[tokio::test]
async fn a_user_who_may_not_get_a_secret_cannot_reference_it() {
    tenant("clerks").await;
    let kubectl =
        |arguments: &[&str]| kubectl(&[arguments, &["--namespace", "clerks"]].concat(), "").expect("an object");
    kubectl(&["create", "role", "writer", "--verb=*", "--resource=destinationfunctions.tributary.dev"]);
    kubectl(&["create", "rolebinding", "writer", "--role", "writer", "--user", "clerk"]);
    let apply = |ingest: serde_json::Value| {
        let manifest = json!({
            "apiVersion": "tributary.dev/v1alpha1", "kind": "DestinationFunction",
            "metadata": {"name": "orders", "namespace": "clerks"},
            "spec": {
                "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/clerks-orders"),
                "externalIdSecretRef": {"name": "orders"},
                "s3": {"bucket": "clerks-orders", "region": "us-west-2"},
                "ingest": ingest,
            },
        });
        tributary_tests::kubernetes::kubectl(&["apply", "--as", "clerk", "--filename", "-"], &manifest.to_string())
    };
    let error = apply(json!({})).expect_err("it should be refused");
    assert!(error.contains("clerk may not get orders (externalIdSecretRef)"), "{error}");
    kubectl(&["create", "role", "reader", "--verb=get", "--resource=secrets", "--resource-name=orders"]);
    kubectl(&["create", "rolebinding", "reader", "--role", "reader", "--user", "clerk"]);
    within(Duration::from_secs(15), "the new permission is in effect", async || apply(json!({})).ok()).await;
    for field in ["writeKeySecretRef", "signatureSecretRef", "tlsSecretRef"] {
        let reference =
            if field == "tlsSecretRef" { json!({"name": "other"}) } else { json!({"name": "other", "key": "k"}) };
        let error = apply(json!({field: reference})).expect_err("it should be refused");
        assert!(error.contains(&format!("clerk may not get other (ingest.{field})")), "{error}");
    }
}
