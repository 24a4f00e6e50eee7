//! Creates namespaces for tests, and deletes them with the test.

use k8s_openapi::api::core::v1::Namespace as KubeNamespace;
use kube::Client;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};

use super::eventually;
use crate::Kubernetes;

/// A namespace that is deleted when the test drops it.
pub struct Namespace {
    /// The namespace's name.
    pub name: String,
    cluster: Kubernetes,
}

impl Namespace {
    /// Creates a namespace with a random name that starts with `prefix`. It enforces the `restricted` Pod Security
    /// Standard.
    ///
    /// # Panics
    /// If it can't be created.
    pub async fn new(cluster: &Kubernetes, prefix: &str) -> Self {
        let name = format!("{prefix}-{:08x}", fastrand::u32(..));
        Self::ensure(cluster, &name).await;
        Self { name, cluster: cluster.clone() }
    }

    /// Creates the namespace of this name unless it exists. Nothing deletes it. It enforces the `restricted` Pod
    /// Security Standard.
    ///
    /// # Panics
    /// If it can't be created.
    pub async fn ensure(cluster: &Kubernetes, name: &str) {
        // The second label finds the namespaces that a test run has left behind.
        let labels = [("pod-security.kubernetes.io/enforce", "restricted"), ("tributary.dev/of", "tests")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let namespace = KubeNamespace {
            metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels.into()), ..ObjectMeta::default() },
            ..KubeNamespace::default()
        };
        let api: Api<KubeNamespace> = Api::all(cluster.client.clone());
        eventually("the namespace exists and is not being deleted", async || {
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
    /// Starts the deletion and does not wait for it.
    fn drop(&mut self) {
        let (config, name) = (self.cluster.config.clone(), self.name.clone());
        // In a thread with its own client: the client of the test needs the test's runtime, which may be shutting down.
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
