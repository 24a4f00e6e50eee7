//! A namespace that goes with the test.

use k8s_openapi::api::core::v1::Namespace as KubeNamespace;
use kube::Client;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};

use super::eventually;
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
        Self::named(cluster, &name).await;
        Self { name, cluster: cluster.clone() }
    }

    /// Makes the one of this name, which stays; it takes restricted pods only.
    ///
    /// # Panics
    /// If it can't be made.
    pub async fn named(cluster: &Kubernetes, name: &str) {
        // By the second, those that a run leaves behind are found.
        let labels = [("pod-security.kubernetes.io/enforce", "restricted"), ("tributary.dev/of", "tests")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let namespace = KubeNamespace {
            metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels.into()), ..ObjectMeta::default() },
            ..KubeNamespace::default()
        };
        let api: Api<KubeNamespace> = Api::all(cluster.client.clone());
        eventually("the namespace is there, and not at its end", async || {
            match api.create(&PostParams::default(), &namespace).await {
                Ok(_) => Some(()),
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    let found = api.get_opt(name).await.expect("an answer")?;
                    found.metadata.deletion_timestamp.is_none().then_some(())
                }
                Err(error) => panic!("{name}: {error}"),
            }
        })
        .await;
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
