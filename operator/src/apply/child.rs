//! The kinds of children, and what is particular to each.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Container;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::build::holds;

/// A kind of child.
pub trait Child:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + Sync
{
    /// Whether it has `spec.replicas`, and they are left to others.
    fn leaves_replicas(&self) -> bool {
        false
    }

    /// What is desired, where `live` is there already.
    fn beside(&self, _live: &Self) -> Self {
        self.clone()
    }

    /// Whether `live` can't become what is desired, and must go for it.
    fn excludes(&self, _live: &Self) -> bool {
        false
    }

    /// What takes away from `live` what others added to it and may not stay, as a merge patch; nothing, if there is
    /// nothing of the kind.
    fn cleaning(&self, _live: &Self) -> Option<Value> {
        None
    }
}

impl Child for k8s_openapi::api::core::v1::ConfigMap {
    /// What it was made with, for good.
    fn beside(&self, live: &Self) -> Self {
        Self { data: live.data.clone(), ..self.clone() }
    }

    fn excludes(&self, live: &Self) -> bool {
        live.immutable != Some(true) || !holds(live, self)
    }
}
impl Child for k8s_openapi::api::core::v1::Service {}
impl Child for k8s_openapi::api::core::v1::ServiceAccount {}
impl Child for k8s_openapi::api::networking::v1::NetworkPolicy {}
impl Child for k8s_openapi::api::policy::v1::PodDisruptionBudget {}
impl Child for k8s_openapi::api::apps::v1::Deployment {
    fn leaves_replicas(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.replicas.is_none())
    }

    /// Other containers: they would run with the function's Secrets, and with them the Deployment could not be written
    /// any more, as admission holds the operator's account to the sidecar.
    fn cleaning(&self, live: &Self) -> Option<Value> {
        let pod = |deployment: &Self| Some(deployment.spec.as_ref()?.template.spec.clone().unwrap_or_default());
        let (desired, live) = (pod(self)?, pod(live)?);
        let is_ours = |container: &Container| desired.containers.iter().any(|own| own.name == container.name);
        let has_others =
            !live.containers.iter().all(is_ours) || live.init_containers.is_some_and(|all| !all.is_empty());
        let pod = json!({"containers": desired.containers, "initContainers": null, "volumes": desired.volumes});
        has_others.then(|| json!({"spec": {"template": {"spec": pod}}}))
    }
}
