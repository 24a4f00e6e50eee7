//! What of an object is not kept: nobody here asks for it, and with thousands of functions it is
//! most of the operator's memory.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::ResourceExt;

/// Of any object, whose fields are whose.
pub fn books<K: ResourceExt>(object: &mut K) {
    object.managed_fields_mut().clear();
}

/// Of a pod, what it was made of.
pub fn pod(pod: &mut Pod) {
    books(pod);
    pod.annotations_mut().clear();
    pod.spec = pod.spec.take().map(|spec| PodSpec { node_name: spec.node_name, ..PodSpec::default() });
}

/// Of a Deployment, nothing that the comparison needs.
pub fn deployment(deployment: &mut Deployment) {
    books(deployment);
}
