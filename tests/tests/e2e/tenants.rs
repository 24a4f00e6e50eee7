//! Each function reaches what its namespace was given, and nothing else.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tributary_tests::kubernetes::{SYSTEM, Tenant, kubectl, within};
use tributary_tests::world::ACCOUNT;

use crate::stage::{GUARDED, tenant};

/// Ten functions of three namespaces, each with a role, an external ID and a bucket of its own.
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
async fn ten_functions_keep_their_events_apart() {
    let tenants = join_all(["red", "green", "blue"].map(tenant)).await;
    let of = |namespace: &str| tenants.iter().find(|tenant| tenant.namespace == namespace).expect("a tenant");
    for (namespace, name) in FUNCTIONS {
        of(namespace).prepare(name).await;
    }
    join_all(FUNCTIONS.map(async |(namespace, name)| of(namespace).apply(name, &json!({})).await)).await;
    join_all(FUNCTIONS.map(|(namespace, name)| of(namespace).wait_ready(name, Duration::from_secs(120)))).await;
    join_all(FUNCTIONS.map(async |(namespace, name)| {
        // By the Service's name, from a pod beside it.
        let prefix = format!("from-{namespace}-{name}");
        let arguments = ["--count", "5", "--prefix", &prefix, "--retry", "30"];
        of(namespace).send(name, &arguments).await.finish(Duration::from_secs(60)).await.assert_all_stored();
    }))
    .await;
    for (namespace, name) in FUNCTIONS {
        let keys = of(namespace).cloud.keys(&of(namespace).of(name)).await;
        let own = format!("-from-{namespace}-{name}-");
        assert_eq!(keys.len(), 5, "{keys:?}");
        assert!(keys.iter().all(|key| key.contains(&own)), "{keys:?}");
    }
}

/// Events are read when something is wrong; a start that goes well is one.
#[tokio::test]
async fn a_healthy_start_is_one_event_and_no_warning() {
    let tenant = tenant("quiet").await;
    tenant.run("orders", &json!({})).await;
    within(Duration::from_secs(15), "there is an Event", async || {
        (!tenant.events("orders").await.is_empty()).then_some(())
    })
    .await;
    let events = tenant.events("orders").await;
    let told: Vec<_> = events.iter().map(|event| (event.type_.as_deref(), event.reason.as_deref())).collect();
    assert_eq!(told, [(Some("Normal"), Some("Ready"))]);
}

/// What the API server says of a function that it refuses.
async fn refused(tenant: &Tenant, name: &str, fields: serde_json::Value) -> String {
    tenant.try_apply(name, &fields).await.expect_err("it should be refused").to_string()
}

#[tokio::test]
async fn a_function_names_secrets_of_its_own_namespace_only() {
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
    let said = refused(json!({"name": "red/orders"}));
    assert!(said.contains("externalIdSecretRef.name") && said.contains("red/orders"), "{said}");
    let said = refused(json!({"name": "orders", "namespace": "red"}));
    assert!(said.contains("unknown field \"spec.externalIdSecretRef.namespace\""), "{said}");
}

#[tokio::test]
async fn a_namespace_has_its_roles_and_no_others() {
    let tenant = tenant(GUARDED).await;
    tenant.run("orders", &json!({})).await;
    let role = format!("arn:aws:iam::{ACCOUNT}:role/red-orders");
    let said = refused(&tenant, "clicks", json!({"roleArn": role})).await;
    assert!(said.contains(&role) && said.contains("gives the namespace guarded"), "{said}");
    // The one that is there may not become such a one either.
    let said = refused(&tenant, "orders", json!({"roleArn": role})).await;
    assert!(said.contains(&role), "{said}");
}

#[tokio::test]
async fn an_endpoint_that_the_platform_does_not_allow_is_refused() {
    let tenant = tenant("elsewhere").await;
    let endpoint = "https://collector.example.com";
    let s3 = json!({"bucket": "elsewhere-orders", "region": "us-west-2", "endpoint": endpoint});
    let said = refused(&tenant, "orders", json!({"s3": s3})).await;
    assert!(said.contains("s3.endpoint") && said.contains(endpoint) && said.contains("allowedEndpoints"), "{said}");
    let said = refused(&tenant, "orders", json!({"sts": {"endpoint": endpoint}})).await;
    assert!(said.contains("sts.endpoint") && said.contains(endpoint), "{said}");
}

#[tokio::test]
async fn an_external_id_of_another_prefix_is_refused_with_its_secret() {
    tenant(GUARDED).await;
    let secret = |id: &str| {
        let metadata = json!({"name": "foreign", "namespace": GUARDED});
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"externalId": id}})
            .to_string()
    };
    let said = kubectl(&["create", "--filename", "-"], &secret("red/orders-3kF9")).expect_err("it should be refused");
    assert!(said.contains("does not begin with guarded/"), "{said}");
    assert!(!said.contains("red/orders-3kF9"), "the external ID is shown: {said}");
    kubectl(&["create", "--filename", "-"], &secret("guarded/foreign-3kF9")).expect("a Secret");
}

#[tokio::test]
async fn the_endpoint_of_helm_test_is_nobody_elses() {
    let tenant = tenant("elsewhere").await;
    let endpoint = format!("http://tributary-test-aws.{SYSTEM}.svc:9000");
    let said = refused(&tenant, "orders", json!({"sts": {"endpoint": endpoint}})).await;
    assert!(said.contains("sts.endpoint") && said.contains(&endpoint), "{said}");
}

#[tokio::test]
async fn a_session_name_passes_for_no_function_of_another_namespace() {
    let tenant = tenant("elsewhere").await;
    let said = refused(&tenant, "orders", json!({"sessionName": "red.orders"})).await;
    assert!(said.contains("sessionName \"red.orders\"") && said.contains("begin with elsewhere."), "{said}");
}

/// Otherwise the external ID of any function in the namespace could be had: named by a function whose role is one's own,
/// it is sent there.
#[tokio::test]
async fn whoever_may_not_get_a_secret_can_not_name_it_either() {
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
    let said = apply(json!({})).expect_err("it should be refused");
    assert!(said.contains("clerk may not get orders (externalIdSecretRef)"), "{said}");
    kubectl(&["create", "role", "reader", "--verb=get", "--resource=secrets", "--resource-name=orders"]);
    kubectl(&["create", "rolebinding", "reader", "--role", "reader", "--user", "clerk"]);
    within(Duration::from_secs(15), "the right is known", async || apply(json!({})).ok()).await;
    for field in ["writeKeySecretRef", "signatureSecretRef", "tlsSecretRef"] {
        let reference =
            if field == "tlsSecretRef" { json!({"name": "other"}) } else { json!({"name": "other", "key": "k"}) };
        let said = apply(json!({field: reference})).expect_err("it should be refused");
        assert!(said.contains(&format!("clerk may not get other (ingest.{field})")), "{said}");
    }
}
