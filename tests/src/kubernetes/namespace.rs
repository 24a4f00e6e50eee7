//! A namespace that goes with the test.

use k8s_openapi::api::core::v1::Namespace as KubeNamespace;
use kube::Client;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};

use crate::Kubernetes;

/// A namespace of the test's own.
pub struct Namespace {
    /// Its name.
    pub name: String,
    cluster: Kubernetes,
}

impl Namespace {
    /// Makes one whose name begins so; it takes restricted pods only.
    ///
    /// # Panics
    /// If it can't be made.
    pub async fn new(cluster: &Kubernetes, begin: &str) -> Self {
        let name = format!("{begin}-{:08x}", fastrand::u32(..));
        let labels = [("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned())];
        let namespace = KubeNamespace {
            metadata: ObjectMeta { name: Some(name.clone()), labels: Some(labels.into()), ..ObjectMeta::default() },
            ..KubeNamespace::default()
        };
        let api: Api<KubeNamespace> = Api::all(cluster.client.clone());
        api.create(&PostParams::default(), &namespace).await.expect("a namespace");
        Self { name, cluster: cluster.clone() }
    }
}

impl Drop for Namespace {
    /// Has it deleted: by the cluster, in its own time.
    fn drop(&mut self) {
        let (config, name) = (self.cluster.config.clone(), self.name.clone());
        // The test's runtime may be ending, and its client works in there.
        let deleting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let api: Api<KubeNamespace> = Api::all(Client::try_from(config).expect("a client"));
                let _ = api.delete(&name, &DeleteParams::background()).await;
            });
        });
        let _ = deleting.join();
    }
}
