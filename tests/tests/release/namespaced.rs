//! An install that has nothing of the whole cluster.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams};
use serde_json::json;
use tributary_tests::kubernetes::{SYSTEM, Tenant, helm, kubectl};

use crate::Stage;

pub async fn install_in_some_namespaces_only(stage: &Stage) {
    helm(&["uninstall", "tributary", "--namespace", SYSTEM, "--wait"]).unwrap_or_else(|says| panic!("{says}"));
    let (mine, theirs) = (Tenant::new(&stage.cluster, "mine").await, Tenant::new(&stage.cluster, "theirs").await);
    let release = stage
        .release()
        // The definition is there, and an administrator's.
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
    assert!(!stage.cloud.keys(&mine.of("orders")).await.is_empty());

    let untouched: Api<Deployment> = stage.cluster.api("theirs");
    assert!(untouched.list(&ListParams::default()).await.expect("a list").items.is_empty());
    let account = format!("system:serviceaccount:{SYSTEM}:tributary-operator");
    let may = ["auth", "can-i", "create", "deployments.apps", "--as", &account, "--namespace", "theirs"];
    assert!(kubectl(&may, "").is_err(), "it may write where it looks after nothing");
    helm(&["test", "tributary", "--namespace", SYSTEM, "--timeout", "120s"]).unwrap_or_else(|says| panic!("{says}"));
    helm(&["uninstall", "tributary", "--namespace", SYSTEM, "--wait"]).unwrap_or_else(|says| panic!("{says}"));
    kubectl(&["delete", "namespace", "--wait=false", "mine", "theirs", "fleet", "shop"], "").expect("an end");
}
