//! Decides whether sidecars that don't meet the platform's demands must end before their replacements are ready.
//!
//! A new demand is rolled out like any change, so a function that meets it refuses no event. But a new sidecar that
//! can't meet the demand never becomes ready, and the old one would keep running without it.

use kube::ResourceExt;
use tributary_crds::conditions::Reason;
use tributary_crds::sidecar_config::SidecarConfig;

use super::Context;
use crate::build::{Children, config_map_name, started_with};
use crate::function::FunctionRef;
use crate::names::label;
use crate::observe;
use crate::observe::Observed;
use crate::status::conditions::new_sidecar_fails_for;

/// Whether old sidecars don't meet the demand, and their replacements either report that they can't meet it, or did not
/// become ready within the Deployment's deadline.
pub(super) fn must_be_met_now(
    observed: &Observed,
    children: &Children,
    reference: &FunctionRef,
    context: &Context,
) -> bool {
    let fails = new_sidecar_fails_for(observed, Reason::ExternalIdNotAllowed)
        || observed.rollout.as_ref().is_some_and(|rollout| rollout.stuck);
    fails && falls_short(children, reference, context)
}

/// Whether a pod runs whose configuration lacks the external ID prefix that the platform demands now.
fn falls_short(children: &Children, reference: &FunctionRef, context: &Context) -> bool {
    let Some(demanded) = context.platform.policy.demanded_external_id_prefix(&reference.namespace) else {
        return false;
    };
    context.caches.pods.of(reference).iter().filter(|pod| observe::is_active(pod)).any(|pod| {
        let Some(hash) = pod.labels().get(label::CONFIG).filter(|hash| **hash != children.config_hash) else {
            return false;
        };
        let map = context.caches.config_maps.get(reference, &config_map_name(&reference.name, hash));
        let config = map.and_then(|map| started_with(&map));
        config.as_ref().and_then(SidecarConfig::demanded_external_id_prefix) != Some(demanded)
    })
}
