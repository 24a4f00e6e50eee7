//! The release that all tests share.

use serde_json::json;
use tokio::sync::{Mutex, OnceCell};
use tributary_tests::kubernetes::{Cloud, Images, Kubernetes, Release, Tenant};
use tributary_tests::world::{ACCOUNT, BASE_ACCOUNT};

/// Services that lead to the AWS in its pod, or to nothing: the only endpoints that functions may name.
pub const DOORS: [&str; 2] = ["http://sts.cloud.svc:9000", "http://s3.cloud.svc:9000"];
/// The namespace with a policy of its own.
pub const GUARDED: &str = "guarded";
/// The namespace whose sidecars are a role, by their service accounts' tokens.
pub const IDENTITY: &str = "identity";

/// Held by a test that sends 200 events a second: two at once would show what the machine takes, not
/// what the product does.
pub static LOADED: Mutex<()> = Mutex::const_new(());

/// A tenant of the platform.
pub async fn tenant(namespace: &str) -> Tenant {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let cluster = Kubernetes::connect_only().await;
    INSTALLED.get_or_init(|| install(&cluster)).await;
    Tenant::new(&cluster, namespace).await
}

async fn install(cluster: &Kubernetes) {
    let images = Images::of_tests();
    Cloud::start(cluster, &images.tool()).await;
    let guarded =
        json!({"roleArns": [format!("arn:aws:iam::{ACCOUNT}:role/guarded-*")], "externalIdPrefix": "guarded/"});
    let role = format!("arn:aws:iam::{BASE_ACCOUNT}:role/sidecars");
    Release::new(&images)
        .with("policy.allowedEndpoints", json!(DOORS))
        .with(
            "policy.grants",
            json!({
                "default": {"roleArns": [format!("arn:aws:iam::{ACCOUNT}:role/*")]},
                "namespaces": {GUARDED: guarded},
            }),
        )
        .with("baseIdentity.namespaces", json!({IDENTITY: {"irsa": {"roleArn": role, "mountToken": true}}}))
        // More than any node has.
        .with("sidecar.maxResources", json!({"cpu": "1000", "memory": "2Gi"}))
        .apply();
}
