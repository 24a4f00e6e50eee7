//! One look at a function: what there is, what there should be, what is to be done, what is said.
//!
//! All but the doing is pure, from caches; where nothing differs, no request is made. Whatever goes
//! wrong is in the status before anybody hears of it otherwise.

mod children;
mod demands;
mod plan;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use tracing::{debug, error, warn};
use tributary_crds::DestinationFunction;
use tributary_crds::conditions::Reason;
use tributary_crds::function::ExternalIdEnforcement;

use self::children::apply_children;
use self::plan::{ChildrenAction, Plan, live_deployment, plan};
use crate::api_error::api_reason;
use crate::api_error::{error_text, namespace_ends};
use crate::apply::{Applier, ApplyError};
use crate::build::replicas;
use crate::build::{self, Children};
use crate::controller::backoff::Backoff;
use crate::controller::last_accepted::config_hash;
use crate::controller::rivals::{Rival, Rivals};
use crate::controller::rollouts::{self, Consequences, RequeueRequests, Roll, Rollouts};
use crate::finding::Problem;
use crate::function::{FunctionRef, Guarded};
use crate::metrics::Metrics;
use crate::observe::{self, Observed, Reports, RolloutDecision};
use crate::platform::Platform;
use crate::status::events::Events;
use crate::status::writer::StatusWriter;
use crate::status::{conditions, function_status};
use crate::validate;
use crate::watch::Caches;

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
    pub status_writer: StatusWriter,
    /// Whose turn it is to roll.
    pub rollouts: Arc<Rollouts>,
    /// How long to let a function be that failed.
    pub backoff: Backoff,
    /// What writes Events about the platform.
    pub events: Events,
    /// Other operators that look after the same functions.
    pub rivals: Rivals,
    /// What has other functions looked at.
    pub requeue: RequeueRequests,
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
    #[error("the status can't be written: {}", error_text(.0))]
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
    let work = async {
        match &function.0 {
            Ok(function) => reconcile_function(function, &reference, &context).await,
            Err(invalid) => {
                context.status_writer.write_invalid(&reference, invalid).await;
                Ok(Action::await_change())
            }
        }
    };
    let result = tokio::time::timeout(LONGEST, work).await.unwrap_or(Err(ReconcileError::Timeout));
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
        // It goes with its namespace.
        ReconcileError::Child(ApplyError::Api { source, .. }) | ReconcileError::Status(source)
            if namespace_ends(source) =>
        {
            debug!(function = %reference, %error, ?pause, "the namespace ends");
        }
        _ => warn!(function = %reference, %error, ?pause, "a look at a function failed"),
    }
    Action::requeue(pause)
}

/// What is to be forgotten of a function that is gone.
pub async fn forget(reference: &FunctionRef, context: &Context) {
    context.applier.forget(reference);
    context.status_writer.forget(reference);
    context.backoff.reset(reference);
    context.rivals.forget(reference);
    context.metrics.function(reference, &[]);
    act_on(context.rollouts.forget(reference), context).await;
}

/// Does what follows for others from what a function has come to.
async fn act_on(consequences: Consequences, context: &Context) {
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
        context.events.publish_for_platform("RolloutHalted", message).await;
    }
    context.requeue.send(consequences.requeue);
}

trait MetaGeneration {
    fn meta_generation(&self) -> Option<i64>;
}

impl MetaGeneration for Guarded {
    fn meta_generation(&self) -> Option<i64> {
        kube::Resource::meta(self).generation
    }
}

async fn reconcile_function(
    function: &DestinationFunction,
    reference: &FunctionRef,
    context: &Context,
) -> Result<Action, ReconcileError> {
    // The garbage collector takes the children.
    if function.metadata.deletion_timestamp.is_some() {
        act_on(context.rollouts.forget(reference), context).await;
        return Ok(Action::await_change());
    }
    let live = live_deployment(function, reference, context).await?;
    let running = live.as_ref().and_then(|live| live.spec.as_ref()?.replicas);
    let Plan { children, held_back, refusal, action } = plan(function, live.as_deref(), reference, context);
    let wrote = live.as_deref().is_some_and(|live| context.applier.is_younger(&children.meta, live));
    let rival = context.rivals.detect(reference, live.as_deref(), wrote, Instant::now());
    let action = if rival.is_some() { ChildrenAction::Leave } else { action };

    let status = context.status_writer.current(function, reference);
    let mut observed = Observed {
        refusal,
        audited: validate::audit(function, &context.platform).err(),
        paused: function.spec.paused,
        held_back,
        stopped: false,
        problem: None,
        enforcement_only_warns: function.spec.external_id_enforcement == ExternalIdEnforcement::Warn,
        decision: RolloutDecision::Proceed,
        // As it was found: what is written below tells of itself soon.
        rollout: live.as_deref().map(|live| observe::rollout(live, &children.deployment)),
        pods: pods(reference, context, |pod| observe::is_current(pod, &children.config_hash)),
        pods_before: pods_before(&children.config_hash, reference, context),
        identity_source: context.platform.base_identity.of(reference).source(reference),
        defaulted_replicas: replicas::to_note(function, running),
        recorded: status
            .as_ref()
            .map(|status| function_status::recorded(status, function.metadata.generation))
            .unwrap_or_default(),
        url: children.url.clone(),
    };
    let done = match action {
        ChildrenAction::Apply => {
            let roll = Roll {
                live: live.as_ref(),
                desired: &children.deployment,
                is_healthy: rollouts::is_healthy(status.as_ref()),
                fails_by_function: observed.fault_of_new_sidecar().is_some(),
            };
            let (decision, consequences) = context.rollouts.decide(reference, roll);
            act_on(consequences, context).await;
            let at_once = demands::must_be_met_now(&observed, &children, reference, context).then(|| {
                let deployment = build::rolled_at_once(&children.deployment);
                Children { deployment, ..children.clone() }
            });
            let wanted = at_once.as_ref().unwrap_or(&children);
            let done = apply_children(function, wanted, live.as_deref(), &decision, reference, context).await;
            if done.is_err() {
                act_on(context.rollouts.denied(reference, roll), context).await;
            }
            observed.decision = decision;
            done
        }
        ChildrenAction::Stop | ChildrenAction::Leave => {
            // Nothing of it rolls on, and others needn't wait for it.
            act_on(context.rollouts.forget(reference), context).await;
            match action {
                ChildrenAction::Stop => stop(&children, context).await.map(|stopped| observed.stopped = stopped),
                _ => Ok(()),
            }
        }
    };
    observed.problem = done.as_ref().err().and_then(ApplyError::problem);
    if let Some(Rival { message, is_news, .. }) = &rival {
        let reason = Reason::RivalOperator;
        if *is_news {
            // The other one may have said so in the status already.
            warn!(function = %reference, %reason, "{message}");
        }
        observed.problem = Some(Problem { reason, message: message.clone() });
    }
    if observed.decision.waits() {
        // Until then, its sidecars are those that it has.
        let hash = live.as_deref().and_then(config_hash).cloned().unwrap_or_default();
        observed.pods = pods(reference, context, |pod| observe::is_current(pod, &hash));
        observed.pods_before = pods_before(&hash, reference, context);
    }
    // Beside a rival once: to write in turn is what is to end.
    let said = if rival.as_ref().is_none_or(|rival| rival.is_news) {
        let selector = children.meta.selector_text();
        context.status_writer.write(function, reference, &observed, selector, status.as_ref()).await
    } else {
        Ok(None)
    };
    context.metrics.function(reference, &conditions::conditions(&observed));
    done?;
    let again = said.map_err(ReconcileError::Status)?;
    if let Some(rival) = rival {
        return Ok(Action::requeue(rival.pause));
    }
    if action == ChildrenAction::Stop && !observed.stopped {
        // The caches may not tell.
        return Ok(Action::requeue(STOPPING));
    }
    // By chance sooner: those that began together are not to go on together.
    Ok(Action::requeue(again.unwrap_or_else(|| RESYNC.mul_f64(0.75 + 0.25 * fastrand::f64()))))
}

/// Ends the sidecars. Their address stays: to be refused is an answer, too. Whether they have ended.
async fn stop(children: &Children, context: &Context) -> Result<bool, ApplyError> {
    context.applier.remove_named::<Deployment>(&children.meta, &children.deployment.name_any()).await
}

fn pods(reference: &FunctionRef, context: &Context, which: impl Fn(&Pod) -> bool) -> Vec<observe::Pod> {
    let (pods, now) = (context.caches.pods.of(reference), Timestamp::now());
    let picked = pods.iter().filter(|pod| which(pod) && observe::is_of(&context.caches, reference, pod));
    picked.map(|pod| observe::pod(pod, context.reports.of(&pod.uid().unwrap_or_default()), now)).collect()
}

/// The pods of other configurations that take events.
fn pods_before(config_hash: &str, reference: &FunctionRef, context: &Context) -> Vec<observe::Pod> {
    let others = |pod: &Pod| observe::goes_on(pod) && !observe::is_current(pod, config_hash);
    let mut pods = pods(reference, context, others);
    pods.retain(|pod| pod.ready);
    pods
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
