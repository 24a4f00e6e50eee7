//! Detects edits by others of a Deployment that waits for a rollout slot.
//!
//! What the operator wrote before can't be recomputed: it was another version, or the chart had other values. So the
//! Deployment is compared with its state when the wait began. An earlier edit is detected only if it added a container.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PodSpec;
use kube::ResourceExt;

use crate::apply::difference::is_current;
use crate::build::CONTAINER;
use crate::names::annotation;

/// Whether `live` differs from what was `found` when the wait began, or has containers that aren't the operator's.
pub fn is_edited(live: &Deployment, found: &Deployment) -> bool {
    let pod = live.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.is_some_and(has_containers_of_others) || !is_current(live, &lasting_part(found))
}

fn has_containers_of_others(pod: &PodSpec) -> bool {
    pod.containers.iter().any(|container| container.name != CONTAINER)
        || pod.init_containers.as_ref().is_some_and(|all| !all.is_empty())
}

/// `found` without what others may change: replicas, the annotation by which `kubectl rollout restart` works, and more.
fn lasting_part(found: &Deployment) -> Deployment {
    let mut part = found.clone();
    part.status = None;
    part.metadata.resource_version = None;
    part.metadata.generation = None;
    part.metadata.labels = None;
    part.annotations_mut().retain(is_ours);
    if let Some(spec) = &mut part.spec {
        spec.replicas = None;
        if let Some(annotations) = spec.template.metadata.as_mut().and_then(|metadata| metadata.annotations.as_mut()) {
            annotations.retain(is_ours);
        }
    }
    part
}

fn is_ours(key: &String, _: &mut String) -> bool {
    key.starts_with(annotation::PREFIX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const FOUND: &str = "
        metadata:
          generation: 3
          resourceVersion: '7'
          labels: {app.kubernetes.io/managed-by: tributary}
          annotations: {tributary.dev/applied: a, deployment.kubernetes.io/revision: '1'}
        spec:
          replicas: 1
          selector: {}
          template:
            metadata: {annotations: {kubectl.kubernetes.io/restartedAt: monday, tributary.dev/base-identity: x}}
            spec:
              containers: [{name: sidecar, image: old, env: [{name: A, value: '1'}]}]
    ";

    fn found() -> Deployment {
        serde_yaml::from_str(FOUND).unwrap()
    }

    fn with(pointer: &str, value: Value) -> Deployment {
        let mut object: Value = serde_yaml::from_str(FOUND).unwrap();
        match object.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => {
                let (parent, field) = pointer.rsplit_once('/').unwrap();
                object.pointer_mut(parent).unwrap()[field] = value;
            }
        }
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn what_controllers_autoscalers_and_restarts_change_is_no_edit() {
        assert!(!is_edited(&found(), &found()));
        for (pointer, value) in [
            ("/spec/replicas", json!(4)),
            ("/metadata/generation", json!(4)),
            ("/metadata/resourceVersion", json!("8")),
            ("/metadata/annotations/deployment.kubernetes.io~1revision", json!("2")),
            ("/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt", json!("tuesday")),
            ("/spec/minReadySeconds", json!(3)),
            ("/status", json!({"replicas": 1})),
        ] {
            assert!(!is_edited(&with(pointer, value), &found()), "{pointer}");
        }
    }

    #[test]
    fn a_change_of_what_runs_is_one() {
        let container = "/spec/template/spec/containers/0";
        let others =
            json!([{"name": "sidecar", "image": "old", "env": [{"name": "A", "value": "1"}]}, {"name": "theirs"}]);
        for (pointer, value) in [
            (format!("{container}/image"), json!("theirs")),
            (format!("{container}/env"), json!([{"name": "A", "value": "2"}])),
            (format!("{container}/env"), json!([])),
            ("/spec/template/spec/containers".to_owned(), others.clone()),
            ("/spec/template/spec/initContainers".to_owned(), json!([{"name": "theirs"}])),
            ("/metadata/annotations/tributary.dev~1applied".to_owned(), json!("b")),
            ("/spec/template/metadata/annotations".to_owned(), json!({})),
        ] {
            assert!(is_edited(&with(&pointer, value), &found()), "{pointer}");
        }
        let already_there = with("/spec/template/spec/containers", others);
        assert!(is_edited(&already_there, &already_there), "an added container is seen whenever it came");
    }
}
