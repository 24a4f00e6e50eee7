//! What of an object is not kept: nobody here asks for it, and with thousands of functions it is
//! most of the operator's memory.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::ResourceExt;

/// Of any object, whose fields are whose.
pub fn books<K: ResourceExt>(object: &mut K) {
    object.managed_fields_mut().clear();
}

/// Of a pod, what it was made of, but for what its containers may use.
pub fn pod(pod: &mut Pod) {
    books(pod);
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

/// Of a Deployment, nothing that the comparison needs.
pub fn deployment(deployment: &mut Deployment) {
    books(deployment);
}
