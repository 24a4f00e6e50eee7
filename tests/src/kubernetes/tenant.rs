//! A namespace with functions, and all that they need in AWS.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::Request;
use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::client::Body;
use serde_json::{Value, json};
use tributary_crds::DestinationFunction;

use super::pods::Sender;
use super::{Cloud, Images, Kubernetes, Namespace, condition, function, within};
use crate::wait::every;
use crate::world::{ACCESS_KEY_ID, ACCOUNT, SECRET_ACCESS_KEY};

/// An answer of a cluster that has little else to do.
const AT_ONCE: Duration = Duration::from_millis(100);
/// How long it may take until there are such answers.
const CALM: Duration = Duration::from_secs(180);

/// A namespace with functions. Each function's role and bucket are called after both.
#[derive(Clone)]
pub struct Tenant {
    /// The cluster.
    pub cluster: Kubernetes,
    /// Its AWS.
    pub cloud: Cloud,
    /// The images that tests run.
    pub images: Images,
    /// The namespace.
    pub namespace: String,
}

impl Tenant {
    /// A namespace that takes restricted pods only, with a base identity.
    ///
    /// # Panics
    /// If it can't be made.
    pub async fn new(cluster: &Kubernetes, namespace: &str) -> Self {
        Namespace::named(cluster, namespace).await;
        let tenant = Self {
            cluster: cluster.clone(),
            cloud: Cloud::of(cluster),
            images: Images::of_tests(),
            namespace: namespace.to_owned(),
        };
        tenant.give_base_identity().await;
        tenant
    }

    /// Puts the base identity's Secret there.
    pub async fn give_base_identity(&self) {
        let keys = format!("[default]\naws_access_key_id={ACCESS_KEY_ID}\naws_secret_access_key={SECRET_ACCESS_KEY}\n");
        self.secret("aws-base", &json!({"credentials": keys})).await;
    }

    /// The functions.
    pub fn functions(&self) -> Api<DestinationFunction> {
        self.cluster.api(&self.namespace)
    }

    /// What a function's role and bucket are called.
    pub fn of(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    /// The external ID that a function's role demands.
    pub fn external_id(&self, name: &str) -> String {
        format!("{}/{name}-3kF9", self.namespace)
    }

    /// Writes a Secret: these keys and no others.
    ///
    /// # Panics
    /// If it can't be written.
    pub async fn secret(&self, name: &str, entries: &Value) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name},
            "stringData": entries,
        });
        let api: Api<Secret> = self.cluster.api(&self.namespace);
        let params = PatchParams::apply("tests").force();
        api.patch(name, &params, &Patch::Apply(secret)).await.expect("a Secret");
    }

    /// Gives a function what it needs in AWS, and its external ID's Secret.
    pub async fn prepare(&self, name: &str) {
        self.cloud.add_role(&self.of(name), &self.external_id(name)).await;
        self.cloud.add_bucket(&self.of(name)).await;
        self.secret(name, &json!({"externalId": self.external_id(name)})).await;
    }

    /// Applies a function, with these fields in its spec.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn try_apply(&self, name: &str, fields: &Value) -> kube::Result<DestinationFunction> {
        let mut all = json!({
            "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/{}", self.of(name)),
            "externalIdSecretRef": {"name": name},
            "s3": {"bucket": self.of(name), "region": crate::world::REGION},
        });
        for (field, value) in fields.as_object().expect("fields") {
            all[field] = value.clone();
        }
        let params = PatchParams::apply("kubectl").force();
        self.functions().patch(name, &params, &Patch::Apply(function(name, &all))).await
    }

    /// Applies a function, with these fields in its spec.
    ///
    /// # Panics
    /// If the API server refuses.
    pub async fn apply(&self, name: &str, fields: &Value) {
        self.try_apply(name, fields).await.expect("a function");
    }

    /// Makes a function with all that it needs, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not become so.
    pub async fn run(&self, name: &str, fields: &Value) {
        self.prepare(name).await;
        self.apply(name, fields).await;
        self.wait_ready(name, Duration::from_secs(60)).await;
    }

    /// Waits until a function is ready, and its sidecars are what is asked for now.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn wait_ready(&self, name: &str, time: Duration) {
        within(time, &format!("{name} in {} is ready", self.namespace), async || {
            let function = self.functions().get(name).await.ok()?;
            let holds = |r#type| {
                let observed = condition(&function, r#type)?;
                Some(observed.status == "True" && observed.observed_generation == function.metadata.generation)
            };
            (holds("Ready")? && holds("UpToDate")?).then_some(())
        })
        .await;
    }

    /// The pods of a function's sidecars.
    pub async fn pods(&self, name: &str) -> Vec<Pod> {
        let api: Api<Pod> = self.cluster.api(&self.namespace);
        let ours = format!("tributary.dev/function={name}");
        api.list(&ListParams::default().labels(&ours)).await.expect("pods").items
    }

    /// Starts `tributary send` to a function, by its Service's name.
    pub async fn send(&self, name: &str, arguments: &[&str]) -> Sender {
        let url = format!("http://{name}.{}.svc", self.namespace);
        let all = [&[url.as_str()], arguments].concat();
        Sender::start(&self.cluster, &self.namespace, &self.images.tool(), &all, &json!([])).await
    }

    /// Sends events to a function that is reached already, each once, and goes on meanwhile.
    ///
    /// # Panics
    /// If the function is not reached.
    pub async fn load(&self, name: &str, arguments: &[&str]) -> Sender {
        // A node's rules for a Service come a moment after its pods are ready.
        let first = self.send(name, &["--retry", "30"]).await.finish(Duration::from_secs(40)).await;
        first.assert_all_stored();
        self.wait_calm(name).await;
        self.send(name, arguments).await
    }

    /// Waits until the cluster answers at once, as it doesn't while dozens of pods start: what is slow
    /// from then on is the test's own doing.
    ///
    /// # Panics
    /// If it does not get so.
    pub async fn wait_calm(&self, name: &str) {
        let mut in_a_row = 0;
        every(Duration::from_secs(1), "the cluster is calm", CALM, async || {
            let asked = Instant::now();
            // It is no event: any answer will do.
            self.post(name, "/v1/track", &[], "{}".to_owned()).await;
            in_a_row = if asked.elapsed() < AT_ONCE { in_a_row + 1 } else { 0 };
            (in_a_row == 5).then_some(())
        })
        .await;
    }

    /// Sends a request to a function's Service through the API server: status and body.
    ///
    /// # Panics
    /// If the API server does not answer.
    pub async fn post(&self, name: &str, path: &str, headers: &[(&str, &str)], body: String) -> (u16, String) {
        let function = self.functions().get(name).await.expect("a function");
        let is_sealed = function.spec.ingest.is_some_and(|ingest| ingest.tls_secret_ref.is_some());
        let service = if is_sealed { format!("https:{name}:443") } else { format!("{name}:80") };
        let uri = format!("/api/v1/namespaces/{}/services/{service}/proxy{path}", self.namespace);
        let mut request = Request::post(uri).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.into_bytes())).expect("a request");
        let response = self.cluster.client.send(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// The Events on a function.
    pub async fn events(&self, name: &str) -> Vec<Event> {
        let fields = format!("involvedObject.kind=DestinationFunction,involvedObject.name={name}");
        let events: Api<Event> = self.cluster.api(&self.namespace);
        events.list(&ListParams::default().fields(&fields)).await.expect("Events").items
    }

    /// Whether there is an Event on a function with this reason.
    pub async fn has_event(&self, name: &str, reason: &str) -> bool {
        self.events(name).await.iter().any(|event| event.reason.as_deref() == Some(reason))
    }

    /// All of a function's objects hold the events of this prefix that were sent, each once in Object
    /// mode, at least once in Batch mode.
    ///
    /// # Panics
    /// If not.
    pub async fn assert_stored(&self, bucket: &str, prefix: &str, count: u64) {
        let keys = self.cloud.keys(bucket).await;
        let ids: std::collections::BTreeSet<_> =
            keys.iter().filter_map(|key| key.rsplit_once(&format!("-{prefix}-"))?.1.strip_suffix(".json")).collect();
        assert_eq!(ids.len() as u64, count, "{} objects in {bucket}", keys.len());
    }
}
