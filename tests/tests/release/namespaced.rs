//! Tests an install for selected namespaces, without cluster-wide objects.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams};
use serde_json::json;
use tributary_tests::kubernetes::{RELEASE_NAMESPACE, Tenant, helm, kubectl};

use crate::Fixture;

pub async fn install_for_selected_namespaces(fixture: &Fixture) {
    helm(&["uninstall", "tributary", "--namespace", RELEASE_NAMESPACE, "--wait"])
        .unwrap_or_else(|error| panic!("{error}"));
    let (mine, theirs) = (Tenant::new(&fixture.cluster, "mine").await, Tenant::new(&fixture.cluster, "theirs").await);
    let release = fixture
        .release()
        // An administrator has installed the CRD.
        .with("crds.enabled", json!(false))
        .with("watch.namespaces", json!(["mine"]));
    release.apply();
    for kind in ["clusterroles", "clusterrolebindings", "validatingadmissionpolicies"] {
        let left = kubectl(&["get", kind, "--output", "name"], "").expect("a list");
        assert!(!left.contains("tributary"), "{left}");
    }
    theirs.prepare("orders").await;
    theirs.apply("orders", &json!({})).await;
    mine.run("orders", &json!({"delivery": {"mode": "Batch"}})).await;
    let sent = mine.load("orders", &["--count", "100", "--rate", "50"]).await.finish(Duration::from_secs(60)).await;
    sent.assert_all_stored();
    assert!(!fixture.cloud.keys(&mine.aws_name("orders")).await.is_empty());

    let untouched: Api<Deployment> = fixture.cluster.api("theirs");
    assert!(untouched.list(&ListParams::default()).await.expect("a list").items.is_empty());
    let account = format!("system:serviceaccount:{RELEASE_NAMESPACE}:tributary-operator");
    let may = ["auth", "can-i", "create", "deployments.apps", "--as", &account, "--namespace", "theirs"];
    assert!(kubectl(&may, "").is_err(), "the operator may write in a namespace that it does not watch");
    helm(&["test", "tributary", "--namespace", RELEASE_NAMESPACE, "--timeout", "120s"])
        .unwrap_or_else(|error| panic!("{error}"));
    helm(&["uninstall", "tributary", "--namespace", RELEASE_NAMESPACE, "--wait"])
        .unwrap_or_else(|error| panic!("{error}"));
    kubectl(&["delete", "namespace", "--wait=false", "mine", "theirs", "fleet", "shop"], "")
        .expect("the namespaces are deleted");
}
