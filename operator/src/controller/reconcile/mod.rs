//! Reconciles one function: plans its children, applies or stops them, and writes its status.
//!
//! It reads from the caches, and writes only what differs. A failed write of a child is recorded in the status before
//! the reconcile returns the error and is retried.

mod act;
mod children;
mod demands;
mod observation;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;
use tracing::{debug, warn};
use tributary_crds::DestinationFunction;
use tributary_crds::conditions::Reason;

use self::act::{act, act_on};
use self::observation::observe;
use self::plan::{ChildrenAction, live_deployment, plan};
use crate::api_error::{api_reason, error_text, is_namespace_terminating};
use crate::apply::{Applier, ApplyError};
use crate::controller::backoff::Backoff;
use crate::controller::rivals::{Rival, Rivals};
use crate::controller::rollouts::{RequeueRequests, Rollouts};
use crate::finding::Problem;
use crate::function::{FunctionRef, GuardedFunction};
use crate::metrics::Metrics;
use crate::observe::Reports;
use crate::platform::Platform;
use crate::status::conditions;
use crate::status::events::Events;
use crate::status::writer::{StatusWrite, StatusWriter};
use crate::watch::Caches;

/// Maximum duration of one reconcile; the client's own timeouts are far longer.
const MAX_RECONCILE_DURATION: Duration = Duration::from_secs(30);
/// Maximum time until a function is reconciled again without a change, shortened by up to a quarter.
const RESYNC_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// How often a reconcile checks whether stopped sidecars have ended.
const STOP_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The dependencies of a reconcile, one set per scope.
pub struct Context {
    /// The platform's settings.
    pub platform: Arc<Platform>,
    /// The scope's functions, children and pods, as the watches last reported them.
    pub caches: Caches,
    /// The sidecars' last answers.
    pub reports: Reports,
    /// Writes children.
    pub applier: Applier,
    /// Writes the functions' statuses.
    pub status_writer: StatusWriter,
    /// The rollout slots, which all scopes share.
    pub rollouts: Arc<Rollouts>,
    /// The retry delays of functions whose reconcile failed.
    pub backoff: Backoff,
    /// Publishes Events for the platform's owner.
    pub events: Events,
    /// Detects other operators that manage the same functions.
    pub rivals: Rivals,
    /// Requeues other functions, in any scope.
    pub requeue: RequeueRequests,
    /// The operator's metrics.
    pub metrics: Arc<Metrics>,
}

/// Why a reconcile failed.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A child could not be written.
    #[error(transparent)]
    Child(#[from] ApplyError),
    /// The status could not be written.
    #[error("the status can't be written: {}", error_text(.0))]
    Status(#[source] kube::Error),
    /// The reconcile exceeded its time limit.
    #[error("it took longer than {MAX_RECONCILE_DURATION:?}")]
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

/// Reconciles one function. If it can't be deserialized, only its status is written, with the error.
///
/// # Errors
/// When a child or the status could not be written, or the time limit was exceeded.
pub async fn reconcile(function: Arc<GuardedFunction>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let (reference, start) = (FunctionRef::of(&*function), Instant::now());
    let mut written = Vec::new();
    let work = async {
        match &function.0 {
            Ok(function) => reconcile_function(function, &reference, &mut written, &context).await,
            Err(invalid) => {
                context.status_writer.write_invalid(&reference, invalid).await;
                Ok(Action::await_change())
            }
        }
    };
    let result = tokio::time::timeout(MAX_RECONCILE_DURATION, work).await.unwrap_or(Err(ReconcileError::Timeout));
    let elapsed = start.elapsed();
    context.metrics.reconciled(elapsed);
    // `retry` logs the error.
    debug!(function = %reference, written = written.join(", "), ?elapsed, succeeded = result.is_ok(), "reconciled");
    if result.is_ok() {
        context.backoff.reset(&reference);
    }
    result
}

/// Logs and counts a failed reconcile, and requeues the function after its backoff.
// kube prescribes the signature.
#[allow(clippy::needless_pass_by_value)]
pub fn retry(function: Arc<GuardedFunction>, error: &ReconcileError, context: Arc<Context>) -> Action {
    let reference = FunctionRef::of(&*function);
    context.metrics.reconcile_error(error.reason());
    // A name clash is retried too: no watch reports that someone else's object is gone.
    let pause = context.backoff.failed(&reference, function.meta_generation());
    match error {
        // No warning: the status reports it, and only the function's owner or the garbage collector can resolve it.
        ReconcileError::Child(ApplyError::Clash { .. } | ApplyError::Orphaned { .. }) => {
            debug!(function = %reference, %error, ?pause, "a name is taken");
        }
        // The function is about to be deleted with its namespace.
        ReconcileError::Child(ApplyError::Api { source, .. }) | ReconcileError::Status(source)
            if is_namespace_terminating(source) =>
        {
            debug!(function = %reference, %error, ?pause, "the namespace is being deleted");
        }
        _ => warn!(function = %reference, %error, ?pause, "reconciling a function failed"),
    }
    Action::requeue(pause)
}

/// Drops all state of a deleted function, and frees its rollout slot.
pub async fn forget(reference: &FunctionRef, context: &Context) {
    context.applier.forget(reference);
    context.status_writer.forget(reference);
    context.backoff.reset(reference);
    context.rivals.forget(reference);
    context.metrics.function(reference, &[]);
    act_on(context.rollouts.forget(reference), context).await;
}

trait MetaGeneration {
    fn meta_generation(&self) -> Option<i64>;
}

impl MetaGeneration for GuardedFunction {
    fn meta_generation(&self) -> Option<i64> {
        kube::Resource::meta(self).generation
    }
}

/// Adds what it writes to `written`, for the log.
async fn reconcile_function(
    function: &DestinationFunction,
    reference: &FunctionRef,
    written: &mut Vec<String>,
    context: &Context,
) -> Result<Action, ReconcileError> {
    // The garbage collector deletes the children.
    if function.metadata.deletion_timestamp.is_some() {
        act_on(context.rollouts.forget(reference), context).await;
        return Ok(Action::await_change());
    }
    let live = live_deployment(function, reference, context).await?;
    let mut plan = plan(function, live.as_deref(), reference, context);
    let changed_since_write =
        live.as_deref().is_some_and(|live| context.applier.is_newer_than_written(&plan.children.meta, live));
    let rival = context.rivals.detect(reference, live.as_deref(), changed_since_write, Instant::now());
    if rival.is_some() {
        plan.action = ChildrenAction::Leave;
    }
    let status = context.status_writer.current(function, reference);
    let mut observed = observe(function, &plan, live.as_deref(), status.as_ref(), reference, context);
    let done = act(function, &plan, live.as_ref(), status.as_ref(), &mut observed, context).await;
    let writes = context.applier.take_writes(reference);
    written.extend(writes.iter().map(ToString::to_string));
    context.events.publish_reverts(function, &writes).await;
    observed.problem = done.as_ref().err().and_then(ApplyError::problem);
    observed.service_is_taken = done.as_ref().is_err_and(ApplyError::is_clash_of_service);
    if done.is_err() || plan.action != ChildrenAction::Apply {
        // A number becomes the default, which others may change, only once it is applied.
        let recorded = status.as_ref().and_then(|status| status.defaulted_replicas);
        observed.defaulted_replicas = observed.defaulted_replicas.and(recorded);
    }
    if let Some(Rival { message, is_first_report, .. }) = &rival {
        let reason = Reason::RivalOperator;
        if *is_first_report {
            // If the rival has written this into the status already, the status writer logs nothing.
            warn!(function = %reference, %reason, "{message}");
        }
        observed.problem = Some(Problem { reason, message: message.clone() });
    }
    // With a rival, write the status only once, so that the two operators don't overwrite each other's status forever.
    let status_write = if rival.as_ref().is_none_or(|rival| rival.is_first_report) {
        let selector = plan.children.meta.selector_text();
        context.status_writer.write(function, reference, &observed, selector, status.as_ref()).await
    } else {
        Ok(StatusWrite::Unchanged)
    };
    if matches!(status_write, Ok(StatusWrite::Written)) {
        written.push("the status".to_owned());
    }
    context.metrics.function(reference, &conditions::conditions(&observed));
    done?;
    let status_write = status_write.map_err(ReconcileError::Status)?;
    if let Some(rival) = rival {
        return Ok(Action::requeue(rival.pause));
    }
    if plan.action == ChildrenAction::Stop && !observed.stopped {
        // No watch may report it: the Deployment could have lost its labels.
        return Ok(Action::requeue(STOP_POLL_INTERVAL));
    }
    let next = match status_write {
        StatusWrite::Later(pause) => pause,
        // Jitter, so that functions reconciled together are not reconciled together again.
        StatusWrite::Unchanged | StatusWrite::Written => RESYNC_INTERVAL.mul_f64(0.75 + 0.25 * fastrand::f64()),
    };
    let due = observed.pods.iter().filter_map(|pod| pod.due_in).min();
    Ok(Action::requeue(due.map_or(next, |due| due.min(next))))
}
