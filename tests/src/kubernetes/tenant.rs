//! A namespace with functions, and their roles, buckets and Secrets.

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
use crate::wait::poll_every;
use crate::world::{ACCESS_KEY_ID, ACCOUNT, SECRET_ACCESS_KEY};

/// An answer within this time shows that the cluster is not overloaded.
const FAST_ANSWER: Duration = Duration::from_millis(100);
/// How long to wait for such answers.
const RESPONSIVE_TIMEOUT: Duration = Duration::from_secs(180);
/// How long to wait for an Event.
const EVENT_TIMEOUT: Duration = Duration::from_secs(15);

/// A namespace with functions. The role and the bucket of a function are named `NAMESPACE-FUNCTION`.
#[derive(Clone)]
pub struct Tenant {
    /// The cluster.
    pub cluster: Kubernetes,
    /// The AWS in the cluster.
    pub cloud: Cloud,
    /// The images under test.
    pub images: Images,
    /// The namespace's name.
    pub namespace: String,
}

impl Tenant {
    /// A namespace that enforces the `restricted` Pod Security Standard, with the base identity's Secret.
    ///
    /// # Panics
    /// If it can't be created.
    pub async fn new(cluster: &Kubernetes, namespace: &str) -> Self {
        Namespace::ensure(cluster, namespace).await;
        let tenant = Self {
            cluster: cluster.clone(),
            cloud: Cloud::of(cluster),
            images: Images::of_tests(),
            namespace: namespace.to_owned(),
        };
        tenant.create_base_identity_secret().await;
        tenant
    }

    /// Creates the base identity's Secret.
    pub async fn create_base_identity_secret(&self) {
        let keys = format!("[default]\naws_access_key_id={ACCESS_KEY_ID}\naws_secret_access_key={SECRET_ACCESS_KEY}\n");
        self.secret("aws-base", &json!({"credentials": keys})).await;
    }

    /// The API of the namespace's functions.
    pub fn functions(&self) -> Api<DestinationFunction> {
        self.cluster.api(&self.namespace)
    }

    /// The name of a function's role and bucket.
    pub fn aws_name(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    /// The external ID that a function's role requires.
    pub fn external_id(&self, name: &str) -> String {
        format!("{}/{name}-3kF9", self.namespace)
    }

    /// Applies a Secret with these entries and no others.
    ///
    /// # Panics
    /// If the API server refuses it.
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

    /// Creates a function's role, bucket and external ID Secret.
    pub async fn prepare(&self, name: &str) {
        self.cloud.add_role(&self.aws_name(name), &self.external_id(name)).await;
        self.cloud.add_bucket(&self.aws_name(name)).await;
        self.secret(name, &json!({"externalId": self.external_id(name)})).await;
    }

    /// Applies a function with these fields in its spec.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub async fn try_apply(&self, name: &str, fields: &Value) -> kube::Result<DestinationFunction> {
        let mut all = json!({
            "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/{}", self.aws_name(name)),
            "externalIdSecretRef": {"name": name},
            "s3": {"bucket": self.aws_name(name), "region": crate::world::REGION},
        });
        for (field, value) in fields.as_object().expect("fields") {
            all[field] = value.clone();
        }
        let params = PatchParams::apply("kubectl").force();
        self.functions().patch(name, &params, &Patch::Apply(function(name, &all))).await
    }

    /// Applies a function with these fields in its spec.
    ///
    /// # Panics
    /// If the API server refuses it.
    pub async fn apply(&self, name: &str, fields: &Value) {
        self.try_apply(name, fields).await.expect("a function");
    }

    /// Creates a function with all that it needs, and waits until it is ready.
    ///
    /// # Panics
    /// If it is not ready within 60 s.
    pub async fn run(&self, name: &str, fields: &Value) {
        self.prepare(name).await;
        self.apply(name, fields).await;
        self.wait_ready(name, Duration::from_secs(60)).await;
    }

    /// Waits until `Ready` and `UpToDate` are True for the function's current generation.
    ///
    /// # Panics
    /// If they are not after `time`.
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
        let selector = format!("tributary.dev/function={name}");
        api.list(&ListParams::default().labels(&selector)).await.expect("pods").items
    }

    /// Starts `tributary send` to a function's Service.
    pub async fn send(&self, name: &str, arguments: &[&str]) -> Sender {
        let url = format!("http://{name}.{}.svc", self.namespace);
        let all = [&[url.as_str()], arguments].concat();
        Sender::start(&self.cluster, &self.namespace, &self.images.tool(), &all, &json!([])).await
    }

    /// Waits until a function is reachable and the cluster responsive, and starts sending events to it.
    ///
    /// # Panics
    /// If the function does not store an event within 40 s.
    pub async fn load(&self, name: &str, arguments: &[&str]) -> Sender {
        // Nodes set up a Service's rules only after its pods are ready.
        let first = self.send(name, &["--retry", "30"]).await.finish(Duration::from_secs(40)).await;
        first.assert_all_stored();
        self.wait_responsive(name).await;
        self.send(name, arguments).await
    }

    /// Waits until five requests in a row are answered quickly. They are slow while dozens of pods start; delays after
    /// that are caused by the test itself.
    ///
    /// # Panics
    /// If there are no such answers within 180 s.
    pub async fn wait_responsive(&self, name: &str) {
        let mut fast_answers = 0;
        poll_every(Duration::from_secs(1), "the cluster answers quickly", RESPONSIVE_TIMEOUT, async || {
            let start = Instant::now();
            // Not an event: the status does not matter.
            self.post(name, "/v1/track", &[], "{}".to_owned()).await;
            fast_answers = if start.elapsed() < FAST_ANSWER { fast_answers + 1 } else { 0 };
            (fast_answers == 5).then_some(())
        })
        .await;
    }

    /// Posts a JSON body to a function's Service through the API server's proxy, and returns the answer's status and
    /// body.
    ///
    /// # Panics
    /// If the API server does not answer.
    pub async fn post(&self, name: &str, path: &str, headers: &[(&str, &str)], body: String) -> (u16, String) {
        let function = self.functions().get(name).await.expect("a function");
        let uses_tls = function.spec.ingest.is_some_and(|ingest| ingest.tls_secret_ref.is_some());
        let service = if uses_tls { format!("https:{name}:443") } else { format!("{name}:80") };
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

    /// The Events about a function.
    pub async fn events(&self, name: &str) -> Vec<Event> {
        let fields = format!("involvedObject.kind=DestinationFunction,involvedObject.name={name}");
        let events: Api<Event> = self.cluster.api(&self.namespace);
        events.list(&ListParams::default().fields(&fields)).await.expect("Events").items
    }

    /// Waits until there is an Event about a function with this reason. The operator publishes it after it has written
    /// the status that it reports.
    ///
    /// # Panics
    /// If there is none within 15 s.
    pub async fn wait_event(&self, name: &str, reason: &str) {
        within(EVENT_TIMEOUT, &format!("there is an Event {reason} of {name}"), async || {
            self.events(name).await.iter().any(|event| event.reason.as_deref() == Some(reason)).then_some(())
        })
        .await;
    }

    /// Asserts that a bucket has objects of `count` different events whose messageId starts with `prefix`. Only for
    /// Object mode, whose keys contain the messageId.
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
