//! Builds the Deployment of the function's sidecars.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::child_meta::ChildMeta;
use super::pod::CONTAINER;
use crate::names::{annotation, hash, label, labels};

/// Seconds without progress after which Kubernetes reports a rollout as stuck.
const PROGRESS_DEADLINE_SECONDS: i32 = 120;

/// Values of annotations that tell the owner's changes of the template from the platform's.
pub struct Origins<'a> {
    /// The hash of the settings that the function's owner controls ([`annotation::FUNCTION_HASH`]).
    pub function: &'a str,
    /// The hash of the external ID prefix that the platform enforces ([`annotation::DEMANDS_HASH`]).
    pub demands: Option<&'a str>,
    /// `spec.resources` in JSON ([`annotation::RESOURCES`]).
    pub resources: Option<&'a str>,
    /// The operator that writes the Deployment ([`annotation::OPERATOR`]).
    pub operator: Option<&'a str>,
}

/// The function's Deployment. Without `replicas` it leaves them to an autoscaler or a person.
pub fn deployment(
    meta: &ChildMeta,
    mut template: PodTemplateSpec,
    origins: &Origins<'_>,
    replicas: Option<i32>,
) -> Deployment {
    let mut metadata = meta.metadata(meta.name.clone());
    let template_hash = hash(&template);
    let pod_labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    pod_labels.insert(label::TEMPLATE.to_owned(), template_hash.clone());
    let mut annotations =
        labels([(annotation::TEMPLATE_HASH, &template_hash), (annotation::FUNCTION_HASH, origins.function)]);
    let sidecar = template.spec.iter().flat_map(|pod| &pod.containers).find(|container| container.name == CONTAINER);
    let image = sidecar.and_then(|sidecar| sidecar.image.clone());
    annotations.extend(image.map(|image| (annotation::IMAGE.to_owned(), image)));
    annotations.extend(origins.demands.map(|hash| (annotation::DEMANDS_HASH.to_owned(), hash.to_owned())));
    annotations.extend(origins.resources.map(|json| (annotation::RESOURCES.to_owned(), json.to_owned())));
    annotations.extend(origins.operator.map(|name| (annotation::OPERATOR.to_owned(), name.to_owned())));
    metadata.annotations = Some(annotations);
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas,
            selector: LabelSelector { match_labels: Some(meta.selector()), ..LabelSelector::default() },
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                // No sidecar ends before a new one is ready, so a rollout refuses no event.
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::String("25%".to_owned())),
                }),
            }),
            template,
            progress_deadline_seconds: Some(PROGRESS_DEADLINE_SECONDS),
            revision_history_limit: Some(2),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// The Deployment of a function that waits for its rollout: as it was `found` when the wait began, written by an earlier
/// version of the platform, but with the replicas that are `desired` now. Annotations of others, such as the one with
/// which kubectl restarts pods, and containers of others are removed. The image is the recorded one
/// ([`annotation::IMAGE`]): it may have been edited before the wait began.
pub fn held(found: &Deployment, desired: &Deployment) -> Deployment {
    let is_ours = |key: &String, _: &mut String| key.starts_with(annotation::PREFIX);
    let mut metadata = desired.metadata.clone();
    metadata.annotations = found.metadata.annotations.clone();
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(is_ours);
    }
    let mut spec = found.spec.clone().unwrap_or_default();
    spec.replicas = desired.spec.as_ref().and_then(|spec| spec.replicas);
    if let Some(annotations) = spec.template.metadata.as_mut().and_then(|metadata| metadata.annotations.as_mut()) {
        annotations.retain(is_ours);
    }
    if let Some(pod) = &mut spec.template.spec {
        pod.containers.retain(|container| container.name == CONTAINER);
        pod.init_containers = None;
        let image = metadata.annotations.as_ref().and_then(|annotations| annotations.get(annotation::IMAGE));
        if let (Some(image), Some(sidecar)) = (image, pod.containers.first_mut()) {
            sidecar.image = Some(image.clone());
        }
    }
    Deployment { metadata, spec: Some(spec), status: None }
}

/// The Deployment with a rollout that ends all old sidecars immediately, without waiting for new ones.
pub fn without_overlap(mut deployment: Deployment) -> Deployment {
    let strategy = deployment.spec.as_mut().and_then(|spec| spec.strategy.as_mut());
    if let Some(rolling) = strategy.and_then(|strategy| strategy.rolling_update.as_mut()) {
        rolling.max_unavailable = Some(IntOrString::String("100%".to_owned()));
    }
    deployment
}
