//! AWS in a pod: one for all of a cluster's functions, as there is one for all the world.

use std::sync::LazyLock;

use hyper::Request;
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{Kubernetes, Namespace, eventually};
use crate::world::{ACCESS_KEY_ID, ACCOUNT, BASE_ACCOUNT, PRINCIPAL, REGION, SECRET_ACCESS_KEY};

/// The namespace that it is in.
const NAMESPACE: &str = "cloud";

/// Where sidecars find it.
pub const ENDPOINT: &str = "http://aws.cloud.svc:9000";

/// Its accounts file, of which each test changes its part. (A client lives and dies with its test;
/// this lives as long as all of them.)
static ACCOUNTS: LazyLock<Mutex<Value>> = LazyLock::new(|| {
    let base = json!({"accessKeyId": ACCESS_KEY_ID, "secretAccessKey": SECRET_ACCESS_KEY});
    let accounts = json!({
        ACCOUNT: {"roles": {}, "buckets": {}},
        BASE_ACCOUNT: {"users": {"base": base}, "roles": {}},
    });
    Mutex::new(json!({"accounts": accounts, "faults": []}))
});

/// The AWS.
#[derive(Clone)]
pub struct Cloud(Client);

impl Cloud {
    /// The cluster's.
    pub fn of(cluster: &Kubernetes) -> Self {
        Self(cluster.client.clone())
    }

    /// Starts it, with nothing in it but the base identity; `image` is the tool's.
    ///
    /// # Panics
    /// If it doesn't start.
    pub async fn start(cluster: &Kubernetes, image: &str) -> Self {
        Namespace::named(cluster, NAMESPACE).await;
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
            .expect("an object of the cloud's");
        };
        apply(map).await;
        apply(service("aws", "aws")).await;
        apply(deployment(image)).await;
        let cloud = Self::of(cluster);
        eventually("the cloud is up", async || cloud.ask("GET", "/healthz", String::new()).await.ok()).await;
        cloud.edit(|_| ()).await;
        cloud
    }

    /// Changes the accounts file; faults begin anew.
    ///
    /// # Panics
    /// If the file is wrong.
    pub async fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut accounts = ACCOUNTS.lock().await;
        change(&mut accounts);
        self.ask("PUT", "/accounts", accounts.to_string()).await.expect("accounts that are right");
    }

    /// Gives the account a role that demands an external ID.
    pub async fn add_role(&self, name: &str, external_id: &str) {
        let role = json!({"principals": [PRINCIPAL], "externalId": external_id});
        self.edit(|all| all["accounts"][ACCOUNT]["roles"][name] = role).await;
    }

    /// Gives the account a bucket.
    pub async fn add_bucket(&self, name: &str) {
        self.edit(|all| all["accounts"][ACCOUNT]["buckets"][name] = json!({"region": REGION})).await;
    }

    /// Makes something go wrong, until it is mended.
    pub async fn break_with(&self, fault: Value) {
        self.edit(|all| all["faults"].as_array_mut().expect("faults").push(fault)).await;
    }

    /// Takes back what was made to go wrong, of faults that have this value in a field.
    pub async fn mend(&self, field: &str, value: &str) {
        self.edit(|all| all["faults"].as_array_mut().expect("faults").retain(|fault| fault[field] != value)).await;
    }

    /// Makes a Service beside its own lead to it, which is the app `aws`, or to another app.
    ///
    /// # Panics
    /// If the API server refuses.
    pub async fn lead(&self, name: &str, app: &str) {
        let api: Api<Service> = Api::namespaced(self.0.clone(), NAMESPACE);
        let params = PatchParams::apply("tests").force();
        api.patch(name, &params, &Patch::Apply(service(name, app))).await.expect("a Service");
    }

    /// The keys of a bucket's objects.
    ///
    /// # Panics
    /// If it doesn't answer.
    pub async fn keys(&self, bucket: &str) -> Vec<String> {
        let all = self.ask("GET", "/objects", String::new()).await.expect("objects");
        let begin = format!("{bucket}/");
        all.lines().filter_map(|line| line.strip_prefix(&begin)).map(str::to_owned).collect()
    }

    /// An object's content.
    ///
    /// # Panics
    /// If it isn't there, or no text.
    pub async fn object(&self, bucket: &str, key: &str) -> String {
        self.ask("GET", &format!("/objects/{bucket}/{key}"), String::new()).await.expect("the object")
    }

    async fn ask(&self, method: &str, path: &str, body: String) -> kube::Result<String> {
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
                "spec": super::pods::restricted("aws", image, json!({
                    "args": ["local-aws", "/accounts/accounts.yaml", "--listen=0.0.0.0:9000", "--admin=0.0.0.0:9001"],
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": 9001}, "periodSeconds": 1},
                    "volumeMounts": [{"name": "accounts", "mountPath": "/accounts"}],
                }), &json!([{"name": "accounts", "configMap": {"name": "aws"}}])),
            },
        },
    })
}
