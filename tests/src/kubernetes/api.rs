//! Connects to the cluster as its administrator, and polls objects.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use crate::wait::poll_every;

/// The environment variable with the path of the kubeconfig.
const KUBECONFIG_ENV: &str = "TEST_KUBECONFIG";

/// The cluster.
#[derive(Clone)]
pub struct Kubernetes {
    /// A client with the administrator's credentials.
    pub client: Client,
    /// The configuration of that client.
    pub config: Config,
}

impl Kubernetes {
    /// Connects to the cluster that tests run on, with this checkout's CRD applied.
    ///
    /// # Panics
    /// If `TEST_KUBECONFIG` is not set, or the cluster can't be reached.
    pub async fn connect() -> Self {
        static DEFINED: OnceCell<()> = OnceCell::const_new();
        let cluster = Self::connect_only().await;
        DEFINED.get_or_init(|| cluster.define()).await;
        cluster
    }

    /// Connects to the cluster that tests run on.
    ///
    /// # Panics
    /// If `TEST_KUBECONFIG` is not set, or the kubeconfig is invalid.
    pub async fn connect_only() -> Self {
        // An error means that another test has installed the same provider.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let path = std::env::var(KUBECONFIG_ENV).unwrap_or_else(|_| {
            panic!("{KUBECONFIG_ENV} names no kubeconfig: run tests/run operator, or see CONTRIBUTING.md")
        });
        let kubeconfig = Kubeconfig::read_from(path).expect("a kubeconfig");
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a cluster");
        // So that tests see failures.
        config.default_retry = false;
        let client = Client::try_from(config.clone()).expect("a client");
        Self { client, config }
    }

    /// Applies the CRD of this checkout and waits until it is established.
    async fn define(&self) {
        let definition = tributary_crds::custom_resource_definition();
        let name = definition.metadata.name.clone().expect("a name");
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let params = PatchParams::apply("tests").force();
        api.patch(&name, &params, &Patch::Apply(&definition)).await.expect("a definition");
        eventually("the definition is established", async || {
            let found = api.get(&name).await.ok()?;
            let conditions = found.status?.conditions?;
            conditions.iter().any(|c| c.type_ == "Established" && c.status == "True").then_some(())
        })
        .await;
    }

    /// The API of a kind in a namespace.
    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Gets an object.
    ///
    /// # Panics
    /// If it does not exist.
    pub async fn get<K>(&self, namespace: &str, name: &str) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        self.api::<K>(namespace).get(name).await.expect("the object")
    }
}

/// A timeout for what normally takes seconds: Kubernetes' controllers may also handle a thousand objects of another test.
pub const CONTROLLERS_TIMEOUT: Duration = Duration::from_secs(180);

/// Polls the cluster until `poll` returns a value, for up to 180 s.
///
/// # Panics
/// If `poll` has returned none by then.
pub async fn eventually<T>(what: &str, poll: impl AsyncFnMut() -> Option<T>) -> T {
    within(CONTROLLERS_TIMEOUT, what, poll).await
}

/// Polls the cluster every 200 ms, slower than [`until`](crate::wait::until) because many tests do so in parallel.
///
/// # Panics
/// If `poll` has returned no value after `time`.
pub async fn within<T>(time: Duration, what: &str, poll: impl AsyncFnMut() -> Option<T>) -> T {
    poll_every(Duration::from_millis(200), what, time, poll).await
}
