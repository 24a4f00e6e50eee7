//! Builds the PodDisruptionBudget: node drains evict one sidecar at a time. A single sidecar has no budget,
//! because a budget of one eviction would allow it anyway.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::child_meta::ChildMeta;

/// The function's PodDisruptionBudget, if it has more than one sidecar.
pub fn disruption_budget(meta: &ChildMeta, replicas: i32) -> Option<PodDisruptionBudget> {
    (replicas > 1).then(|| PodDisruptionBudget {
        metadata: meta.metadata(meta.name.clone()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector { match_labels: Some(meta.selector()), ..LabelSelector::default() }),
            // Unready pods receive no events; without this policy a broken function would block a drain.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
