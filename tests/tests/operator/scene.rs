//! The fixture of these tests: a namespace, an operator that watches it, and helpers for its objects.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use tributary_crds::DestinationFunction;
use tributary_tests::kubernetes::{eventually, function};
use tributary_tests::{ApiProxy, Kubernetes, Namespace, OperatorProcess, OperatorSetup};

/// Held by a test that keeps the API server busy for minutes, so that such tests run one after the other: in parallel
/// they would only slow each other down.
pub static API_LOAD_LOCK: Mutex<()> = Mutex::const_new(());

/// Whether the function's status is of its current generation.
pub fn is_observed(function: &DestinationFunction) -> bool {
    function.status.as_ref().is_some_and(|status| status.observed_generation == function.metadata.generation)
}

/// A Deployment's pod template as JSON.
pub fn template(deployment: &Deployment) -> Value {
    serde_json::to_value(&deployment.spec.as_ref().expect("a spec").template).expect("JSON")
}

/// The image of a Deployment's first container, the sidecar.
pub fn image(deployment: &Deployment) -> Value {
    template(deployment)["spec"]["containers"][0]["image"].clone()
}

/// A namespace, the cluster, and the operator's proxy to its API server.
pub struct Fixture {
    pub cluster: Kubernetes,
    pub namespace: Namespace,
    pub api: ApiProxy,
}

impl Fixture {
    /// Creates an empty namespace.
    pub async fn new(prefix: &str) -> Self {
        let cluster = Kubernetes::connect().await;
        let (namespace, api) = (Namespace::new(&cluster, prefix).await, ApiProxy::start(&cluster).await);
        Self { cluster, namespace, api }
    }

    /// Creates an empty namespace, and starts an operator that leads.
    pub async fn with_operator(prefix: &str) -> (Self, OperatorProcess) {
        let fixture = Self::new(prefix).await;
        let operator = fixture.operator().start().await;
        operator.wait_leading(tributary_tests::wait::DEFAULT_TIMEOUT).await;
        (fixture, operator)
    }

    /// An operator that watches the namespace.
    pub fn operator(&self) -> OperatorSetup {
        OperatorSetup::new(&self.api, &self.namespace)
    }

    /// The API of a kind in the namespace.
    pub fn objects<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        self.cluster.api(&self.namespace.name)
    }

    /// The API of the functions in the namespace.
    pub fn functions(&self) -> Api<DestinationFunction> {
        self.objects()
    }

    /// Applies a function, as `kubectl apply` does.
    pub async fn apply(&self, name: &str, fields: &Value) -> DestinationFunction {
        let params = PatchParams::apply("kubectl").force();
        self.functions().patch(name, &params, &Patch::Apply(function(name, fields))).await.expect("a function")
    }

    /// Applies a function, and waits until the last of its children, the Deployment, exists.
    pub async fn apply_and_wait(&self, name: &str, fields: &Value) -> Deployment {
        self.apply(name, fields).await;
        self.wait_exists(name).await
    }

    /// Creates an object from JSON.
    pub async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Serialize,
        K::DynamicType: Default,
    {
        let object = serde_json::from_value(object).expect("an object");
        self.objects::<K>().create(&PostParams::default(), &object).await.expect("an object")
    }

    /// Merges a patch into an object, as a user who edits it.
    pub async fn edit<K>(&self, name: &str, patch: &Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        self.objects::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("an object")
    }

    /// Deletes an object.
    pub async fn delete<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        self.objects::<K>().delete(name, &DeleteParams::background()).await.expect("an object to delete");
    }

    /// Waits until an object exists.
    pub async fn wait_exists<K>(&self, name: &str) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        eventually(&format!("{name} exists"), async || self.objects::<K>().get_opt(name).await.ok()?).await
    }

    /// Waits until an object exists for which `is` returns true; `what` describes that state.
    pub async fn wait_for<K>(&self, name: &str, what: &str, is: impl Fn(&K) -> bool) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let look = async || self.objects::<K>().get_opt(name).await.ok()?.filter(|object| is(object));
        eventually(&format!("{name} {what}"), look).await
    }

    /// The names of all objects of this kind with the operator's label.
    pub async fn managed_names<K>(&self) -> Vec<String>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=tributary");
        // Only metadata: a thousand Deployments are several megabytes.
        let list = self.objects::<K>().list_metadata(&ours).await.expect("a list");
        list.items.iter().map(ResourceExt::name_any).collect()
    }
}
