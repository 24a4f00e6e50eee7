//! An AWS in a pod of the cluster, shared by all functions of all tests.

use std::sync::LazyLock;

use hyper::Request;
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{Kubernetes, Namespace, eventually};
use crate::world::{ACCESS_KEY_ID, ACCOUNT, BASE_ACCOUNT, PRINCIPAL, REGION, SECRET_ACCESS_KEY};

/// Its namespace.
const NAMESPACE: &str = "cloud";

/// The URL at which sidecars reach it.
pub const ENDPOINT: &str = "http://aws.cloud.svc:9000";

/// Its accounts file, of which each test changes its own part. It is static because it outlives the tests, and a client
/// does not: a client needs the runtime of its test.
static ACCOUNTS: LazyLock<Mutex<Value>> = LazyLock::new(|| {
    let base = json!({"accessKeyId": ACCESS_KEY_ID, "secretAccessKey": SECRET_ACCESS_KEY});
    let accounts = json!({
        ACCOUNT: {"roles": {}, "buckets": {}},
        BASE_ACCOUNT: {"users": {"base": base}, "roles": {}},
    });
    Mutex::new(json!({"accounts": accounts, "faults": []}))
});

/// A client for the admin port of the AWS in the cluster.
#[derive(Clone)]
pub struct Cloud(Client);

impl Cloud {
    /// The AWS of this cluster.
    pub fn of(cluster: &Kubernetes) -> Self {
        Self(cluster.client.clone())
    }

    /// Deploys the AWS with no account entries but the base identity's; `image` is the tool's image.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(cluster: &Kubernetes, image: &str) -> Self {
        Namespace::ensure(cluster, NAMESPACE).await;
        let accounts = ACCOUNTS.lock().await.to_string();
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "aws"},
            "data": {"accounts.yaml": accounts},
        });
        let apply = async |object: Value| {
            let kind = object["kind"].as_str().expect("a kind").to_owned();
            let params = PatchParams::apply("tests").force();
            match kind.as_str() {
                "ConfigMap" => {
                    let api: Api<k8s_openapi::api::core::v1::ConfigMap> = cluster.api(NAMESPACE);
                    api.patch("aws", &params, &Patch::Apply(object)).await.map(|_| ())
                }
                "Service" => {
                    let api: Api<Service> = cluster.api(NAMESPACE);
                    api.patch("aws", &params, &Patch::Apply(object)).await.map(|_| ())
                }
                _ => {
                    let api: Api<k8s_openapi::api::apps::v1::Deployment> = cluster.api(NAMESPACE);
                    api.patch("aws", &params, &Patch::Apply(object)).await.map(|_| ())
                }
            }
            .expect("an applied object");
        };
        apply(map).await;
        apply(service("aws", "aws")).await;
        apply(deployment(image)).await;
        let cloud = Self::of(cluster);
        eventually("the AWS in the cluster answers", async || {
            cloud.request("GET", "/healthz", String::new()).await.ok()
        })
        .await;
        cloud.edit(|_| ()).await;
        cloud
    }

    /// Changes the accounts file and uploads it. The counts of faults start again.
    ///
    /// # Panics
    /// If the file is refused.
    pub async fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut accounts = ACCOUNTS.lock().await;
        change(&mut accounts);
        self.request("PUT", "/accounts", accounts.to_string()).await.expect("the accounts file is accepted");
    }

    /// Adds a role that trusts the base identity and requires an external ID.
    pub async fn add_role(&self, name: &str, external_id: &str) {
        let role = json!({"principals": [PRINCIPAL], "externalId": external_id});
        self.edit(|all| all["accounts"][ACCOUNT]["roles"][name] = role).await;
    }

    /// Adds a bucket.
    pub async fn add_bucket(&self, name: &str) {
        self.edit(|all| all["accounts"][ACCOUNT]["buckets"][name] = json!({"region": REGION})).await;
    }

    /// Adds a fault, until [`remove_faults`](Self::remove_faults).
    pub async fn add_fault(&self, fault: Value) {
        self.edit(|all| all["faults"].as_array_mut().expect("faults").push(fault)).await;
    }

    /// Removes the faults whose `field` is `value`.
    pub async fn remove_faults(&self, field: &str, value: &str) {
        self.edit(|all| all["faults"].as_array_mut().expect("faults").retain(|fault| fault[field] != value)).await;
    }

    /// Points the Service `name` at the pods of `app`: `aws` for this AWS, another app for none. Creates the Service if
    /// it is missing.
    ///
    /// # Panics
    /// If the API server refuses it.
    pub async fn point_service(&self, name: &str, app: &str) {
        let api: Api<Service> = Api::namespaced(self.0.clone(), NAMESPACE);
        let params = PatchParams::apply("tests").force();
        api.patch(name, &params, &Patch::Apply(service(name, app))).await.expect("a Service");
    }

    /// The keys of a bucket's objects.
    ///
    /// # Panics
    /// If the AWS does not answer.
    pub async fn keys(&self, bucket: &str) -> Vec<String> {
        let all = self.request("GET", "/objects", String::new()).await.expect("objects");
        let begin = format!("{bucket}/");
        all.lines().filter_map(|line| line.strip_prefix(&begin)).map(str::to_owned).collect()
    }

    /// The content of an object.
    ///
    /// # Panics
    /// If the object is missing, or its content is not UTF-8.
    pub async fn object(&self, bucket: &str, key: &str) -> String {
        self.request("GET", &format!("/objects/{bucket}/{key}"), String::new()).await.expect("the object")
    }

    async fn request(&self, method: &str, path: &str, body: String) -> kube::Result<String> {
        let uri = format!("/api/v1/namespaces/{NAMESPACE}/services/aws:admin/proxy{path}");
        let request = Request::builder().method(method).uri(uri).body(body.into_bytes()).expect("a request");
        self.0.request_text(request).await
    }
}

fn service(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": {"app": app},
            "ports": [{"name": "aws", "port": 9000}, {"name": "admin", "port": 9001}],
        },
    })
}

fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "aws"},
        "spec": {
            "selector": {"matchLabels": {"app": "aws"}},
            "strategy": {"type": "Recreate"},
            "template": {
                "metadata": {"labels": {"app": "aws"}},
                "spec": super::pods::restricted_pod_spec("aws", image, json!({
                    "args": ["local-aws", "/accounts/accounts.yaml", "--listen=[::]:9000", "--admin=[::]:9001"],
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": 9001}, "periodSeconds": 1},
                    "volumeMounts": [{"name": "accounts", "mountPath": "/accounts"}],
                }), &json!([{"name": "accounts", "configMap": {"name": "aws"}}])),
            },
        },
    })
}
