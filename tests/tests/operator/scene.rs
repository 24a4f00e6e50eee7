//! A namespace, an operator that looks after it, and its objects.

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

/// Held by a test that keeps the API server busy for long, for others of the kind to wait: side by
/// side they would only slow each other down.
pub static BUSY: Mutex<()> = Mutex::const_new(());

/// Whether the function's status is of what its spec is now.
pub fn is_observed(function: &DestinationFunction) -> bool {
    function.status.as_ref().is_some_and(|status| status.observed_generation == function.metadata.generation)
}

/// What a Deployment's pods are made from.
pub fn template(deployment: &Deployment) -> Value {
    serde_json::to_value(&deployment.spec.as_ref().expect("a spec").template).expect("JSON")
}

/// The image of a Deployment's sidecars.
pub fn image(deployment: &Deployment) -> Value {
    template(deployment)["spec"]["containers"][0]["image"].clone()
}

/// What a test plays in.
pub struct Scene {
    pub cluster: Kubernetes,
    pub namespace: Namespace,
    pub api: ApiProxy,
}

impl Scene {
    /// An empty namespace.
    pub async fn new(begin: &str) -> Self {
        let cluster = Kubernetes::connect().await;
        let (namespace, api) = (Namespace::new(&cluster, begin).await, ApiProxy::start(&cluster).await);
        Self { cluster, namespace, api }
    }

    /// An empty namespace, and an operator that leads there.
    pub async fn with_operator(begin: &str) -> (Self, OperatorProcess) {
        let scene = Self::new(begin).await;
        let operator = scene.operator().start().await;
        operator.wait_leading(tributary_tests::wait::SOON).await;
        (scene, operator)
    }

    /// An operator for the namespace.
    pub fn operator(&self) -> OperatorSetup {
        OperatorSetup::new(&self.api, &self.namespace)
    }

    /// A kind of objects in the namespace.
    pub fn objects<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        self.cluster.api(&self.namespace.name)
    }

    /// The functions in the namespace.
    pub fn functions(&self) -> Api<DestinationFunction> {
        self.objects()
    }

    /// Applies a function, as `kubectl apply` does.
    pub async fn apply(&self, name: &str, fields: &Value) -> DestinationFunction {
        let params = PatchParams::apply("kubectl").force();
        self.functions().patch(name, &params, &Patch::Apply(function(name, fields))).await.expect("a function")
    }

    /// Applies a function, and waits until the last of its children is there.
    pub async fn applied(&self, name: &str, fields: &Value) -> Deployment {
        self.apply(name, fields).await;
        self.appears(name).await
    }

    /// Creates any object.
    pub async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Serialize,
        K::DynamicType: Default,
    {
        let object = serde_json::from_value(object).expect("an object");
        self.objects::<K>().create(&PostParams::default(), &object).await.expect("an object")
    }

    /// Merges a patch into an object, as somebody who edits it.
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

    /// Waits until an object is there.
    pub async fn appears<K>(&self, name: &str) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        eventually(&format!("{name} is there"), async || self.objects::<K>().get_opt(name).await.ok()?).await
    }

    /// Waits until an object is as it should be.
    pub async fn becomes<K>(&self, name: &str, what: &str, is: impl Fn(&K) -> bool) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let look = async || self.objects::<K>().get_opt(name).await.ok()?.filter(|object| is(object));
        eventually(&format!("{name} {what}"), look).await
    }

    /// The names of all objects of a kind that the operator has made.
    pub async fn made<K>(&self) -> Vec<String>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=tributary");
        // Names are enough: a thousand Deployments have some megabytes.
        let list = self.objects::<K>().list_metadata(&ours).await.expect("a list");
        list.items.iter().map(ResourceExt::name_any).collect()
    }
}
