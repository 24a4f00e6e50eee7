//! Installs the release that all tests share, once.

use serde_json::json;
use tokio::sync::{Mutex, OnceCell};
use tributary_tests::kubernetes::{Cloud, Images, Kubernetes, Release, Tenant};
use tributary_tests::world::{ACCOUNT, BASE_ACCOUNT};

/// The only endpoints that functions may name: Services that a test points at the AWS in its pod, or at nothing.
pub const ENDPOINTS: [&str; 2] = ["http://sts.cloud.svc:9000", "http://s3.cloud.svc:9000"];
/// The namespace with its own grants.
pub const GUARDED: &str = "guarded";
/// The namespace whose sidecars get the base identity's role with their ServiceAccounts' tokens.
pub const IDENTITY: &str = "identity";

/// Held by a test that sends 200 events per second: two such tests in parallel would measure the machine, and not the
/// product.
pub static LOAD_LOCK: Mutex<()> = Mutex::const_new(());

/// A tenant of the shared release, in this namespace.
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
        .with("policy.allowedEndpoints", json!(ENDPOINTS))
        .with(
            "policy.grants",
            json!({
                "default": {"roleArns": [format!("arn:aws:iam::{ACCOUNT}:role/*")]},
                "namespaces": {GUARDED: guarded},
            }),
        )
        .with("baseIdentity.namespaces", json!({IDENTITY: {"irsa": {"roleArn": role, "mountToken": true}}}))
        // The CPU limit is more than any node has.
        .with("sidecar.maxResources", json!({"cpu": "1000", "memory": "2Gi"}))
        .apply();
}
