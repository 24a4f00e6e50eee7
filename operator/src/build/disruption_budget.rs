//! The PodDisruptionBudget: drained nodes take one sidecar at a time. For a single one there is
//! none, since it could never be taken.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::child_meta::ChildMeta;

/// The function's PodDisruptionBudget, if it has several sidecars.
pub fn disruption_budget(meta: &ChildMeta, replicas: i32) -> Option<PodDisruptionBudget> {
    (replicas > 1).then(|| PodDisruptionBudget {
        metadata: meta.metadata(meta.name.clone()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector { match_labels: Some(meta.selector()), ..LabelSelector::default() }),
            // Pods that are not ready take no events: they may go, or a broken function holds up a drain.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
