//! The cluster, as its administrator.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use crate::wait::every;

/// Names the kubeconfig.
const KUBECONFIG: &str = "TEST_KUBECONFIG";

/// The cluster.
#[derive(Clone)]
pub struct Kubernetes {
    /// Its administrator's client.
    pub client: Client,
    /// What it is reached with.
    pub config: Config,
}

impl Kubernetes {
    /// The cluster that tests run on, with the resource defined.
    ///
    /// # Panics
    /// If none is named, or it can't be reached.
    pub async fn connect() -> Self {
        static DEFINED: OnceCell<()> = OnceCell::const_new();
        let cluster = Self::connect_only().await;
        DEFINED.get_or_init(|| cluster.define()).await;
        cluster
    }

    /// The cluster that tests run on.
    ///
    /// # Panics
    /// If none is named, or it can't be reached.
    pub async fn connect_only() -> Self {
        // Whichever comes first: they all mean the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let path = std::env::var(KUBECONFIG).unwrap_or_else(|_| {
            panic!("{KUBECONFIG} names no kubeconfig: run tests/run operator, or see CONTRIBUTING.md")
        });
        let kubeconfig = Kubeconfig::read_from(path).expect("a kubeconfig");
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a cluster");
        // What fails is to be seen.
        config.default_retry = false;
        let client = Client::try_from(config.clone()).expect("a client");
        Self { client, config }
    }

    /// Makes the definition what it is in this checkout.
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

    /// A kind of objects in a namespace.
    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// An object as it is.
    ///
    /// # Panics
    /// If it isn't there.
    pub async fn get<K>(&self, namespace: &str, name: &str) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
        K::DynamicType: Default,
    {
        self.api::<K>(namespace).get(name).await.expect("the object")
    }
}

/// Waits for something that takes a cluster a moment.
///
/// # Panics
/// If it takes a minute.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(Duration::from_secs(60), what, look).await
}

/// Waits for something in the cluster, which many tests ask at the same time.
///
/// # Panics
/// At the deadline.
pub async fn within<T>(time: Duration, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    every(Duration::from_millis(200), what, time, look).await
}
