//! The kinds of children, how applying each of them differs, and which parts that others added are removed. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::build::holds;

/// A kind of child. The default methods suit kinds without special handling.
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

    /// A merge patch that removes forbidden additions of others from `live`; `None` if there are none.
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
impl Child for k8s_openapi::api::core::v1::Service {
    /// Removes settings that would send events elsewhere or expose the Service outside the cluster.
    fn removal_patch(&self, live: &Self) -> Option<Value> {
        let (desired, live) = (self.spec.clone().unwrap_or_default(), live.spec.clone().unwrap_or_default());
        let count = |ports: &Option<Vec<_>>| ports.as_ref().map_or(0, Vec::len);
        let is_inside = live.type_.as_deref().is_none_or(|kind| kind == "ClusterIP");
        if live.selector == desired.selector
            && count(&live.ports) == count(&desired.ports)
            && is_inside
            && live.external_ips.is_none()
        {
            return None;
        }
        let selector = exactly(live.selector.as_ref(), desired.selector.as_ref());
        let spec = json!({"selector": selector, "ports": desired.ports, "type": "ClusterIP", "externalIPs": null});
        Some(json!({"spec": spec}))
    }
}
impl Child for k8s_openapi::api::core::v1::ServiceAccount {}
impl Child for k8s_openapi::api::networking::v1::NetworkPolicy {}
impl Child for k8s_openapi::api::policy::v1::PodDisruptionBudget {}
impl Child for k8s_openapi::api::apps::v1::Deployment {
    fn leaves_replicas(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.replicas.is_none())
    }

    /// Removes parts that others have added to the pod template. They would run with the function's Secrets or against
    /// the platform's settings. Admission, which restricts the operator's account to the sidecar, would also refuse
    /// every further write of the Deployment.
    fn removal_patch(&self, live: &Self) -> Option<Value> {
        let pod = |deployment: &Self| Some(deployment.spec.as_ref()?.template.spec.clone().unwrap_or_default());
        let (desired, live) = (pod(self)?, pod(live)?);
        has_foreign_parts(&live, &desired).then(|| {
            let pod = json!({
                "containers": desired.containers,
                "initContainers": null,
                "volumes": desired.volumes,
                "hostNetwork": null,
                "hostPID": null,
                "hostIPC": null,
                "nodeSelector": exactly(live.node_selector.as_ref(), desired.node_selector.as_ref()),
                "tolerations": desired.tolerations,
                "priorityClassName": desired.priority_class_name,
            });
            json!({"spec": {"template": {"spec": pod}}})
        })
    }
}

/// Whether a pod differs from the desired one in a field that determines what runs, where, and with which privileges.
/// Fields that the API server fills in are not compared.
fn has_foreign_parts(live: &PodSpec, desired: &PodSpec) -> bool {
    let host = [live.host_network, live.host_pid, live.host_ipc];
    live.containers.len() != desired.containers.len()
        || live.init_containers.as_ref().is_some_and(|all| !all.is_empty())
        || live.containers.iter().zip(&desired.containers).any(|(live, desired)| container_differs(live, desired))
        || names(live.volumes.as_ref(), |volume| &volume.name) != names(desired.volumes.as_ref(), |volume| &volume.name)
        || host.into_iter().any(|shared| shared == Some(true))
        || live.node_selector != desired.node_selector
        || live.tolerations != desired.tolerations
        || live.priority_class_name != desired.priority_class_name
}

fn container_differs(live: &Container, desired: &Container) -> bool {
    let names_of_env = |container: &Container| names(container.env.as_ref(), |variable| &variable.name);
    let paths = |container: &Container| names(container.volume_mounts.as_ref(), |mount| &mount.mount_path);
    live.name != desired.name
        || live.args != desired.args
        || live.command != desired.command
        || live.env_from != desired.env_from
        || live.lifecycle != desired.lifecycle
        || live.security_context != desired.security_context
        || names_of_env(live) != names_of_env(desired)
        || paths(live) != paths(desired)
}

fn names<T>(all: Option<&Vec<T>>, name: impl Fn(&T) -> &String) -> BTreeSet<String> {
    all.into_iter().flatten().map(|one| name(one).clone()).collect()
}

/// A map for a merge patch that removes every key of `live` that is not in `desired`.
fn exactly(live: Option<&BTreeMap<String, String>>, desired: Option<&BTreeMap<String, String>>) -> Value {
    let removed = live.into_iter().flatten().map(|(key, _)| (key.clone(), Value::Null));
    let kept = desired.into_iter().flatten().map(|(key, value)| (key.clone(), json!(value)));
    Value::Object(removed.chain(kept).collect())
}
