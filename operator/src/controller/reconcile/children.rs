//! Applies a function's children in order, and deletes those that it no longer needs.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use tributary_crds::DestinationFunction;

use super::Context;
use crate::apply::ApplyError;
use crate::build::replicas;
use crate::build::{self, Children};
use crate::controller::last_accepted::config_hash;
use crate::function::FunctionRef;
use crate::names::label;
use crate::observe;
use crate::observe::RolloutDecision;
use crate::watch;

/// Applies the children, the Deployment last; while `decision` says to wait, only the Deployment's replicas. Returns the
/// failure of a write without which the Deployment could be written, if there is one.
///
/// # Errors
/// When the Deployment was not written.
pub(super) async fn apply_children(
    function: &DestinationFunction,
    children: &Children,
    live: Option<&Deployment>,
    decision: &RolloutDecision,
    reference: &FunctionRef,
    context: &Context,
) -> Result<Option<ApplyError>, ApplyError> {
    let (applier, caches, meta) = (&context.applier, &context.caches, &children.meta);
    if live.is_none() {
        check_names(children, reference, context).await?;
    }
    let configuration = children.config_map.name_any();
    let known = caches.config_maps.get(reference, &configuration);
    applier.ensure(meta, &children.config_map, known.as_deref()).await?;

    let account = watch::get(&caches.service_accounts, reference);
    applier.ensure(meta, &children.service_account, account.as_deref()).await?;

    let service = watch::get(&caches.services, reference);
    applier.ensure(meta, &children.service, service.as_deref()).await?;

    let policy = watch::get(&caches.network_policies, reference);
    let waits_for_old_sidecars = !is_rolled(children, live, reference, context);
    match (&children.network_policy, policy.as_deref().filter(|_| waits_for_old_sidecars)) {
        (Some(desired), Some(live)) => {
            applier.ensure(meta, &build::while_rolling(desired, live), Some(live)).await?;
        }
        (Some(desired), None) => applier.ensure(meta, desired, policy.as_deref()).await?,
        (None, _) => applier.remove(meta, policy.as_deref()).await?,
    }
    let budget = watch::get(&caches.disruption_budgets, reference);
    // Sidecars also run without it, so a name clash does not keep them from being scaled or updated.
    let budgeted = match &children.disruption_budget {
        Some(desired) => applier.ensure(meta, desired, budget.as_deref()).await,
        None => applier.remove(meta, budget.as_deref()).await,
    };
    match decision {
        RolloutDecision::Proceed | RolloutDecision::Failed => applier.ensure(meta, &children.deployment, live).await?,
        RolloutDecision::Wait(_) | RolloutDecision::Halted(_) => hold(children, live, reference, context).await?,
    }
    let filled_in = match replicas::to_fill_in(function) {
        Some(replicas) => applier.fill_in(function, replicas).await,
        None => Ok(()),
    };
    let dropped = drop_old_configurations(&configuration, live, reference, children, context).await;
    Ok(budgeted.and(filled_in).and(dropped).err())
}

/// Checks the names of a new function's children before the first is created: a function that can't run because of a name
/// clash should not occupy other names. Costs one read per child, once per function.
async fn check_names(children: &Children, reference: &FunctionRef, context: &Context) -> Result<(), ApplyError> {
    let (applier, caches, meta) = (&context.applier, &context.caches, &children.meta);
    // Not of the ConfigMap: it is created first, and its name ends with a hash.
    applier.check_name(meta, watch::get(&caches.service_accounts, reference).as_deref()).await?;
    applier.check_name(meta, watch::get(&caches.services, reference).as_deref()).await?;
    if children.network_policy.is_some() {
        applier.check_name(meta, watch::get(&caches.network_policies, reference).as_deref()).await?;
    }
    if children.disruption_budget.is_some() {
        applier.check_name(meta, watch::get(&caches.disruption_budgets, reference).as_deref()).await?;
    }
    applier.check_name::<Deployment>(meta, None).await
}

/// Whether the rollout is complete and no pod of another configuration is left, not even one that is terminating.
fn is_rolled(children: &Children, live: Option<&Deployment>, reference: &FunctionRef, context: &Context) -> bool {
    let Some(live) = live else { return true };
    let pods = context.caches.pods.of(reference);
    let mut running = pods.iter().filter(|pod| !observe::has_ended(pod));
    let all_are_new = running.all(|pod| pod.labels().get(label::CONFIG) == Some(&children.config_hash));
    observe::has_template(live, &children.deployment) && observe::is_complete(live) && all_are_new
}

/// Keeps the Deployment of a function that waits for its rollout as it was, except for its replicas.
async fn hold(
    children: &Children,
    live: Option<&Deployment>,
    reference: &FunctionRef,
    context: &Context,
) -> Result<(), ApplyError> {
    let (applier, meta) = (&context.applier, &children.meta);
    let Some(found) = context.rollouts.held(reference) else { return Ok(()) };
    match applier.ensure(meta, &build::held(&found, &children.deployment), live).await {
        // Admission allows the operator only the platform's image, the current one and the recorded one. If the record was
        // removed too, an edited image can't be reverted to the previous one, and must not stay.
        Err(error) if error.is_forbidden() => applier.ensure(meta, &children.deployment, live).await,
        done => done,
    }
}

/// Deletes the ConfigMaps that no pod uses any more, once the rollout is complete: until then, pods of the previous
/// configuration may still be started.
async fn drop_old_configurations(
    current: &str,
    live: Option<&Deployment>,
    reference: &FunctionRef,
    children: &Children,
    context: &Context,
) -> Result<(), ApplyError> {
    if !live.is_some_and(observe::is_complete) {
        return Ok(());
    }
    if live.and_then(config_hash) != Some(&children.config_hash) {
        return Ok(());
    }
    let pods = context.caches.pods.of(reference);
    for map in context.caches.config_maps.of(reference) {
        let hash = map.labels().get(label::CONFIG);
        let used = map.name_any() == current || pods.iter().any(|pod| pod.labels().get(label::CONFIG) == hash);
        if !used {
            context.applier.remove(&children.meta, Some(&*map)).await?;
        }
    }
    Ok(())
}
