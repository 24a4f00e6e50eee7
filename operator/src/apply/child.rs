//! The kinds of children, and how each differs when it is applied.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Container;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::build::holds;

/// A kind of child; the defaults are for one that needs nothing special.
pub trait Child:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + Sync
{
    /// Whether the kind has `spec.replicas` and this object leaves them to others.
    fn leaves_replicas(&self) -> bool {
        false
    }

    /// The object to apply, given that `live` exists.
    fn adapted_to(&self, _live: &Self) -> Self {
        self.clone()
    }

    /// Whether `live` can't become this object and must be deleted and created again.
    fn must_replace(&self, _live: &Self) -> bool {
        false
    }

    /// A merge patch that removes from `live` what others added and may not stay; `None` if there is no such thing.
    fn removal_patch(&self, _live: &Self) -> Option<Value> {
        None
    }
}

impl Child for k8s_openapi::api::core::v1::ConfigMap {
    /// The data it was created with: it is immutable.
    fn adapted_to(&self, live: &Self) -> Self {
        Self { data: live.data.clone(), ..self.clone() }
    }

    fn must_replace(&self, live: &Self) -> bool {
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

    /// Removes other containers: they would run with the function's Secrets, and admission, which restricts the
    /// operator's account to the sidecar, would refuse every further write of the Deployment.
    fn removal_patch(&self, live: &Self) -> Option<Value> {
        let pod = |deployment: &Self| Some(deployment.spec.as_ref()?.template.spec.clone().unwrap_or_default());
        let (desired, live) = (pod(self)?, pod(live)?);
        let is_ours = |container: &Container| desired.containers.iter().any(|own| own.name == container.name);
        let has_others =
            !live.containers.iter().all(is_ours) || live.init_containers.is_some_and(|all| !all.is_empty());
        let pod = json!({"containers": desired.containers, "initContainers": null, "volumes": desired.volumes});
        has_others.then(|| json!({"spec": {"template": {"spec": pod}}}))
    }
}
