//! The kinds of children, how applying each of them differs, and which parts that others added are removed. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
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

    /// The paths of the fields of `live` with forbidden additions of others.
    fn foreign_parts(&self, _live: &Self) -> Vec<String> {
        Vec::new()
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
    /// Settings that would send events elsewhere or expose the Service outside the cluster.
    fn foreign_parts(&self, live: &Self) -> Vec<String> {
        let (Some(desired), Some(live)) = (&self.spec, &live.spec) else { return Vec::new() };
        let count = |ports: &Option<Vec<_>>| ports.as_ref().map_or(0, Vec::len);
        let parts = [
            ("selector", live.selector != desired.selector),
            ("ports", count(&live.ports) != count(&desired.ports)),
            ("type", live.type_.as_deref().is_some_and(|kind| kind != "ClusterIP")),
            ("externalIPs", live.external_ips.is_some()),
        ];
        paths("spec", &parts)
    }

    fn removal_patch(&self, live: &Self) -> Option<Value> {
        if self.foreign_parts(live).is_empty() {
            return None;
        }
        let (desired, live) = (self.spec.clone().unwrap_or_default(), live.spec.clone().unwrap_or_default());
        let selector = exactly(live.selector.as_ref(), desired.selector.as_ref());
        let spec = json!({"selector": selector, "ports": desired.ports, "type": "ClusterIP", "externalIPs": null});
        Some(json!({"spec": spec}))
    }
}
impl Child for k8s_openapi::api::core::v1::ServiceAccount {}
impl Child for k8s_openapi::api::networking::v1::NetworkPolicy {}
impl Child for k8s_openapi::api::policy::v1::PodDisruptionBudget {}
impl Child for Deployment {
    fn leaves_replicas(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.replicas.is_none())
    }

    /// Parts that others have added to the pod template. They would run with the function's Secrets or against the
    /// platform's settings. Admission, which restricts the operator's account to the sidecar, would also refuse every
    /// further write of the Deployment.
    fn foreign_parts(&self, live: &Self) -> Vec<String> {
        let (Some(desired), Some(live)) = (pod(self), pod(live)) else { return Vec::new() };
        foreign_parts_of_pod(live, desired)
    }

    fn removal_patch(&self, live: &Self) -> Option<Value> {
        let (desired, live) = (pod(self)?, pod(live)?);
        (!foreign_parts_of_pod(live, desired).is_empty()).then(|| {
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

fn pod(deployment: &Deployment) -> Option<&PodSpec> {
    deployment.spec.as_ref()?.template.spec.as_ref()
}

/// The fields in which a pod differs from the desired one, of those that determine what runs, where, and with which
/// privileges. Fields that the API server fills in are not compared.
fn foreign_parts_of_pod(live: &PodSpec, desired: &PodSpec) -> Vec<String> {
    const POD: &str = "spec.template.spec";
    let volumes = |pod: &PodSpec| names(pod.volumes.as_ref(), |volume| &volume.name);
    let parts = [
        ("initContainers", live.init_containers.as_ref().is_some_and(|all| !all.is_empty())),
        ("volumes", volumes(live) != volumes(desired)),
        ("hostNetwork", live.host_network == Some(true)),
        ("hostPID", live.host_pid == Some(true)),
        ("hostIPC", live.host_ipc == Some(true)),
        ("nodeSelector", live.node_selector != desired.node_selector),
        ("tolerations", live.tolerations != desired.tolerations),
        ("priorityClassName", live.priority_class_name != desired.priority_class_name),
    ];
    let mut found = paths(POD, &parts);
    // By name: a strategic merge patch puts an added container before ours. One that is missing is no addition.
    for live in &live.containers {
        let path = format!("{POD}.containers[{}]", live.name);
        match desired.containers.iter().find(|desired| desired.name == live.name) {
            Some(desired) => found.extend(foreign_parts_of_container(live, desired, &path)),
            None => found.push(path),
        }
    }
    found
}

fn foreign_parts_of_container(live: &Container, desired: &Container, parent: &str) -> Vec<String> {
    let variables = |container: &Container| names(container.env.as_ref(), |variable| &variable.name);
    let mounts = |container: &Container| names(container.volume_mounts.as_ref(), |mount| &mount.mount_path);
    let parts = [
        ("args", live.args != desired.args),
        ("command", live.command != desired.command),
        ("env", variables(live) != variables(desired)),
        ("envFrom", live.env_from != desired.env_from),
        ("lifecycle", live.lifecycle != desired.lifecycle),
        ("securityContext", live.security_context != desired.security_context),
        ("volumeMounts", mounts(live) != mounts(desired)),
    ];
    paths(parent, &parts)
}

/// The paths of the fields below `parent` that differ.
fn paths(parent: &str, fields: &[(&str, bool)]) -> Vec<String> {
    let differing = fields.iter().filter(|(_, differs)| *differs);
    differing.map(|(field, _)| format!("{parent}.{field}")).collect()
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
