//! Gathers the current state of a function from the caches.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tributary_crds::DestinationFunction;
use tributary_crds::conditions::FunctionStatus;
use tributary_crds::function::ExternalIdEnforcement;

use super::Context;
use super::plan::Plan;
use crate::build::replicas;
use crate::controller::last_accepted::config_hash;
use crate::function::FunctionRef;
use crate::observe::{self, Observed, RolloutDecision};
use crate::status::function_status;
use crate::validate;

/// The state before anything is written: the watches report each write, which requeues the function.
pub(super) fn observe(
    function: &DestinationFunction,
    plan: &Plan,
    live: Option<&Deployment>,
    status: Option<&FunctionStatus>,
    reference: &FunctionRef,
    context: &Context,
) -> Observed {
    let Plan { children, held_back, refusal, .. } = plan;
    let running = live.and_then(|live| live.spec.as_ref()?.replicas);
    let template = observe::template_hash(&children.deployment).map(String::as_str);
    let is_current = |pod: &Pod| observe::is_current(pod, &children.config_hash);
    let pods = pods(live, template, reference, context, is_current);
    Observed {
        refusal: refusal.clone(),
        audited: validate::audit(function, &context.platform).err(),
        paused: function.spec.paused,
        held_back: *held_back,
        stopped: false,
        problem: None,
        service_is_taken: false,
        stores_dead_letters: function.spec.delivery.dead_letter.is_some(),
        enforcement_only_warns: function.spec.external_id_enforcement == ExternalIdEnforcement::Warn,
        decision: RolloutDecision::Proceed,
        rollout: live.map(|live| observe::rollout(live, &children.deployment, observe::Pod::count_ready(&pods))),
        pods,
        pods_before: pods_before(&children.config_hash, live, reference, context),
        identity_source: context.platform.base_identity.of(reference).source(reference),
        defaulted_replicas: replicas::to_record(function, running),
        recorded: status
            .map(|status| function_status::recorded(status, function.metadata.generation))
            .unwrap_or_default(),
        url: children.url.clone(),
    }
}

/// While a function waits for its rollout, the pods of the live configuration are the current ones.
pub(super) fn observe_waiting(
    observed: &mut Observed,
    live: Option<&Deployment>,
    reference: &FunctionRef,
    context: &Context,
) {
    let hash = live.and_then(config_hash).cloned().unwrap_or_default();
    let template = live.and_then(observe::template_hash).map(String::as_str);
    observed.pods = pods(live, template, reference, context, |pod| observe::is_current(pod, &hash));
    observed.pods_before = pods_before(&hash, live, reference, context);
}

/// These pods of the function; those made from another template than `template` are outdated.
fn pods(
    live: Option<&Deployment>,
    template: Option<&str>,
    reference: &FunctionRef,
    context: &Context,
    which: impl Fn(&Pod) -> bool,
) -> Vec<observe::Pod> {
    let (pods, now) = (context.caches.pods.of(reference), Timestamp::now());
    let picked = pods.iter().filter(|pod| which(pod) && observe::is_of(&context.caches, reference, live, pod));
    let answer = |pod: &Pod| context.reports.of(&pod.uid().unwrap_or_default(), observe::is_ready(pod));
    // No client waits for the pod while a previous one stores events.
    let serves = pods.iter().any(|pod| observe::is_ready(pod));
    let others_change = || serves && context.caches.pods.all().iter().any(|(_, pod)| observe::is_changing(pod));
    picked.map(|pod| observe::pod(pod, template, answer(pod), others_change, now)).collect()
}

/// The ready pods of other configurations.
fn pods_before(
    config_hash: &str,
    live: Option<&Deployment>,
    reference: &FunctionRef,
    context: &Context,
) -> Vec<observe::Pod> {
    let others = |pod: &Pod| observe::is_active(pod) && !observe::is_current(pod, config_hash);
    let mut pods = pods(live, None, reference, context, others);
    pods.retain(|pod| pod.ready);
    pods
}
