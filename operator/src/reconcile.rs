//! One look at a function: what there is, what there should be, what is to be done, what is said.
//!
//! All but the doing is pure, from caches; where nothing differs, no request is made. Whatever goes
//! wrong is in the status before anybody hears of it otherwise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use tracing::{debug, error, warn};
use tributary_crds::DestinationFunction;
use tributary_crds::conditions::Truth;
use tributary_crds::function::ExternalIdEnforcement;

use crate::acceptance::{self, Then};
use crate::apply::{Applier, ApplyError, api_reason};
use crate::backoff::Backoff;
use crate::conditions::{self, Observed};
use crate::desired::names::label;
use crate::desired::{self, Children};
use crate::events::Events;
use crate::function::{FunctionRef, Guarded};
use crate::metrics::Metrics;
use crate::observe::{self, Reports};
use crate::platform::Platform;
use crate::rollouts::{self, Calls, Consequences, Roll, Rollouts, Turn};
use crate::scale;
use crate::status::Statuses;
use crate::watch::{self, Caches};

/// How long one look may take: the client's own time limits are far longer.
const LONGEST: Duration = Duration::from_secs(30);
/// When to look again at a function of which nothing was heard.
const RESYNC: Duration = Duration::from_secs(30 * 60);

/// When to look again whether sidecars that were stopped are gone.
const STOPPING: Duration = Duration::from_secs(2);

/// Functions that are named of those whose roll failed.
const NAMED: usize = 5;

/// What a look needs.
pub struct Context {
    /// What the platform says.
    pub platform: Arc<Platform>,
    /// What is in the cluster.
    pub caches: Caches,
    /// What the sidecars say.
    pub reports: Reports,
    /// What writes children.
    pub applier: Applier,
    /// What writes statuses.
    pub statuses: Statuses,
    /// Whose turn it is to roll.
    pub rollouts: Arc<Rollouts>,
    /// How long to let a function be that failed.
    pub backoff: Backoff,
    /// What writes Events about the platform.
    pub events: Events,
    /// What has other functions looked at.
    pub calls: Calls,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A child could not be written.
    #[error(transparent)]
    Child(#[from] ApplyError),
    /// The status could not be written.
    #[error("the status can't be written: {0}")]
    Status(#[source] kube::Error),
    /// It took too long.
    #[error("it took longer than {LONGEST:?}")]
    Timeout,
}

impl ReconcileError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Child(error) => error.reason(),
            Self::Status(error) => api_reason(error),
            Self::Timeout => "Timeout",
        }
    }
}

/// Looks at a function.
///
/// # Errors
/// When something could not be written; what is said of it is in the status.
pub async fn reconcile(function: Arc<Guarded>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let (reference, begun) = (FunctionRef::of(&*function), Instant::now());
    let look = async {
        match &function.0 {
            Ok(function) => look(function, &reference, &context).await,
            Err(invalid) => {
                context.statuses.refuse(&reference, invalid).await;
                Ok(Action::await_change())
            }
        }
    };
    let result = tokio::time::timeout(LONGEST, look).await.unwrap_or(Err(ReconcileError::Timeout));
    context.metrics.reconciled(begun.elapsed());
    if result.is_ok() {
        context.backoff.reset(&reference);
    }
    result
}

/// How long to let a function be that failed.
// Its signature is what the controller asks for.
#[allow(clippy::needless_pass_by_value)]
pub fn retry(function: Arc<Guarded>, error: &ReconcileError, context: Arc<Context>) -> Action {
    let reference = FunctionRef::of(&*function);
    context.metrics.reconcile_error(error.reason());
    // No watch reports an object that isn't ours, so a name that was taken is looked for again, too.
    let pause = context.backoff.failed(&reference, function.meta_generation());
    match error {
        // The status says so, and it is the tenant's.
        ReconcileError::Child(ApplyError::Clash { .. } | ApplyError::Orphaned { .. }) => {
            debug!(function = %reference, %error, ?pause, "a name is taken");
        }
        _ => warn!(function = %reference, %error, ?pause, "a look at a function failed"),
    }
    Action::requeue(pause)
}

/// What is to be forgotten of a function that is gone.
pub async fn forget(reference: &FunctionRef, context: &Context) {
    context.applier.forget(reference);
    context.statuses.forget(reference);
    context.backoff.reset(reference);
    context.metrics.function(reference, None);
    follow(context.rollouts.forget(reference), context).await;
}

/// Does what follows for others from what a function has come to.
async fn follow(consequences: Consequences, context: &Context) {
    context.metrics.rollouts(context.rollouts.counts());
    if let Some(failed) = consequences.halted_by {
        let names: Vec<_> = failed.iter().take(NAMED).map(ToString::to_string).collect();
        let message = format!(
            "the rollout of the platform's sidecar is halted, since {} functions failed (kubectl describe says why): {}{}",
            failed.len(),
            names.join(", "),
            if failed.len() > NAMED { ", …" } else { "" }
        );
        error!(failed = failed.len(), "{message}");
        context.events.tell_platform("RolloutHalted", message).await;
    }
    context.calls.call(consequences.calls);
}

trait MetaGeneration {
    fn meta_generation(&self) -> Option<i64>;
}

impl MetaGeneration for Guarded {
    fn meta_generation(&self) -> Option<i64> {
        kube::Resource::meta(self).generation
    }
}

async fn look(
    function: &DestinationFunction,
    reference: &FunctionRef,
    context: &Context,
) -> Result<Action, ReconcileError> {
    // The garbage collector takes the children.
    if function.metadata.deletion_timestamp.is_some() {
        follow(context.rollouts.forget(reference), context).await;
        return Ok(Action::await_change());
    }
    let live = watch::get(&context.caches.deployments, reference);
    let running = live.as_ref().and_then(|live| live.spec.as_ref()?.replicas);
    let children = desired::children(function, &context.platform, running);
    let refusal = acceptance::judge(function, &context.platform).err();

    let status = context.statuses.current(function, reference);
    let mut observed = Observed {
        refusal,
        stopped: false,
        problem: None,
        enforcement_only_warns: function.spec.external_id_enforcement == ExternalIdEnforcement::Warn,
        turn: Turn::Go,
        // As it was found: what is written below tells of itself soon.
        rollout: live.as_deref().map(|live| observe::rollout(live, &children.deployment)),
        pods: pods(&children.config_hash, reference, context),
        defaulted_replicas: scale::to_note(function, running),
        recorded: status
            .as_ref()
            .map(|status| conditions::recorded(status, function.metadata.generation))
            .unwrap_or_default(),
        url: children.url.clone(),
    };
    let done = match observed.refusal.as_ref().map(|refusal| refusal.then) {
        None => {
            let roll = Roll {
                live: live.as_deref(),
                desired: &children.deployment,
                is_healthy: rollouts::is_healthy(status.as_ref()),
                fails_by_function: observed.fault_of_new_sidecar().is_some(),
            };
            let (turn, consequences) = context.rollouts.turn(reference, roll);
            follow(consequences, context).await;
            let done = bring(function, &children, live.as_deref(), &turn, reference, context).await;
            if done.is_err() {
                follow(context.rollouts.denied(reference, roll), context).await;
            }
            observed.turn = turn;
            done
        }
        Some(then) => {
            // Nothing of it rolls on, and others needn't wait for it.
            follow(context.rollouts.forget(reference), context).await;
            match then {
                Then::Stop => stop(&children, context).await.map(|stopped| observed.stopped = stopped),
                Then::Freeze => Ok(()),
            }
        }
    };
    observed.problem = done.as_ref().err().and_then(ApplyError::problem);
    if observed.turn.waits() {
        // Until then, its sidecars are those that it has.
        let configuration = live.as_deref().and_then(configuration);
        observed.pods = configuration.map(|hash| pods(hash, reference, context)).unwrap_or_default();
    }
    let selector = children.family.selector_text();
    let said = context.statuses.say(function, reference, &observed, selector, status.as_ref()).await;
    context.metrics.function(reference, Some(readiness(&observed)));
    done?;
    let again = said.map_err(ReconcileError::Status)?;
    if observed.refusal.is_some_and(|refusal| refusal.then == Then::Stop) && !observed.stopped {
        // The caches may not tell.
        return Ok(Action::requeue(STOPPING));
    }
    // By chance sooner: those that began together are not to go on together.
    Ok(Action::requeue(again.unwrap_or_else(|| RESYNC.mul_f64(0.75 + 0.25 * fastrand::f64()))))
}

/// Makes the children what they should be, the sidecars last.
async fn bring(
    function: &DestinationFunction,
    children: &Children,
    live: Option<&Deployment>,
    turn: &Turn,
    reference: &FunctionRef,
    context: &Context,
) -> Result<(), ApplyError> {
    let (applier, caches, family) = (&context.applier, &context.caches, &children.family);
    let configuration = children.config_map.name_any();
    let known = caches.config_maps.get(reference, &configuration);
    applier.bring(family, &children.config_map, known.as_deref()).await?;

    let account = watch::get(&caches.service_accounts, reference);
    applier.bring(family, &children.service_account, account.as_deref()).await?;

    let service = watch::get(&caches.services, reference);
    applier.bring(family, &children.service, service.as_deref()).await?;

    let policy = watch::get(&caches.network_policies, reference);
    let waits_for_old_sidecars = !is_rolled(children, live, reference, context);
    match (&children.network_policy, policy.as_deref().filter(|_| waits_for_old_sidecars)) {
        (Some(desired), Some(live)) => {
            applier.bring(family, &desired::while_rolling(desired, live), Some(live)).await?;
        }
        (Some(desired), None) => applier.bring(family, desired, policy.as_deref()).await?,
        (None, _) => applier.remove(family, policy.as_deref()).await?,
    }
    let budget = watch::get(&caches.disruption_budgets, reference);
    match &children.disruption_budget {
        Some(desired) => applier.bring(family, desired, budget.as_deref()).await?,
        None => applier.remove(family, budget.as_deref()).await?,
    }
    match turn {
        Turn::Go | Turn::Failed => applier.bring(family, &children.deployment, live).await?,
        Turn::Wait(_) | Turn::Halted(_) => follow_replicas(children, live, context).await?,
    }
    if let Some(replicas) = scale::to_fill_in(function) {
        applier.fill_in(function, replicas).await?;
    }
    drop_old_configurations(&configuration, live, reference, children, context).await
}

/// Whether all sidecars are of the template that is desired, those that are ending included.
fn is_rolled(children: &Children, live: Option<&Deployment>, reference: &FunctionRef, context: &Context) -> bool {
    let Some(live) = live else { return true };
    let pods = context.caches.pods.of(reference);
    let mut running = pods.iter().filter(|pod| !observe::has_ended(pod));
    let all_are_new = running.all(|pod| pod.labels().get(label::CONFIG) == Some(&children.config_hash));
    observe::rollout(live, &children.deployment).complete && all_are_new
}

/// A Deployment that waits for its turn follows its function's replicas all the same.
async fn follow_replicas(children: &Children, live: Option<&Deployment>, context: &Context) -> Result<(), ApplyError> {
    let replicas = |deployment: &Deployment| deployment.spec.as_ref().and_then(|spec| spec.replicas);
    match (live.and_then(replicas), replicas(&children.deployment)) {
        (Some(now), Some(wanted)) if now != wanted => context.applier.scale(&children.family, wanted).await,
        _ => Ok(()),
    }
}

/// Configurations that no pod runs or will run. Until a roll is through, one of the one before may
/// still be started.
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
    if live.and_then(configuration) != Some(&children.config_hash) {
        return Ok(());
    }
    let pods = context.caches.pods.of(reference);
    for map in context.caches.config_maps.of(reference) {
        let hash = map.labels().get(label::CONFIG);
        let used = map.name_any() == current || pods.iter().any(|pod| pod.labels().get(label::CONFIG) == hash);
        if !used {
            context.applier.remove(&children.family, Some(&*map)).await?;
        }
    }
    Ok(())
}

/// Ends the sidecars. Their address stays: to be refused is an answer, too. Whether they have ended.
async fn stop(children: &Children, context: &Context) -> Result<bool, ApplyError> {
    context.applier.remove_named::<Deployment>(&children.family, &children.deployment.name_any()).await
}

/// The hash of the configuration that a Deployment's sidecars are started with.
fn configuration(deployment: &Deployment) -> Option<&String> {
    deployment.spec.as_ref()?.template.metadata.as_ref()?.labels.as_ref()?.get(label::CONFIG)
}

fn pods(config_hash: &str, reference: &FunctionRef, context: &Context) -> Vec<conditions::Pod> {
    let pods = context.caches.pods.of(reference);
    let current = pods
        .iter()
        .filter(|pod| observe::is_current(pod, config_hash) && observe::is_of(&context.caches, reference, pod));
    current.map(|pod| observe::pod(pod, context.reports.of(&pod.uid().unwrap_or_default()))).collect()
}

fn readiness(observed: &Observed) -> Truth {
    conditions::conditions(observed)[0].status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_under_words_of_a_closed_set() {
        let forbidden = kube::Error::Api(kube::core::Status::failure("no", "Forbidden").with_code(403).boxed());
        assert_eq!(ReconcileError::Status(forbidden).reason(), "Forbidden");
        assert_eq!(ReconcileError::Timeout.reason(), "Timeout");
        let problem = ApplyError::Orphaned { kind: "Service".to_owned(), name: "a".to_owned() }.problem();
        assert!(problem.is_some());
    }
}
