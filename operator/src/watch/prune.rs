//! Drops the parts of cached objects that the operator doesn't read: with thousands of functions they
//! would be most of its memory.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::ResourceExt;

/// Drops the managed fields of any object.
pub fn managed_fields<K: ResourceExt>(object: &mut K) {
    object.managed_fields_mut().clear();
}

/// Drops a pod's annotations and its spec, except node, container names and resources.
pub fn pod(pod: &mut Pod) {
    managed_fields(pod);
    pod.annotations_mut().clear();
    let limits = |container: Container| Container {
        name: container.name,
        resources: container.resources,
        ..Container::default()
    };
    pod.spec = pod.spec.take().map(|spec| PodSpec {
        node_name: spec.node_name,
        containers: spec.containers.into_iter().map(limits).collect(),
        ..PodSpec::default()
    });
}
