//! Carries out the plan for a function's children, within the platform's rollout.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::runtime::events::EventType;
use tracing::{error, info};
use tributary_crds::DestinationFunction;
use tributary_crds::conditions::{FunctionStatus, Reason};

use super::Context;
use super::children::apply_children;
use super::demands;
use super::observation::observe_waiting;
use super::plan::{ChildrenAction, Plan};
use crate::apply::ApplyError;
use crate::build::{self, Children};
use crate::controller::rollouts::{Consequences, Health, Roll};
use crate::observe::Observed;

/// Maximum number of failed functions that the Event about a halted rollout names.
const MAX_NAMED_FUNCTIONS: usize = 5;

/// Applies, stops or leaves the children, and records the result in `observed`.
pub(super) async fn act(
    function: &DestinationFunction,
    plan: &Plan,
    live: Option<&Arc<Deployment>>,
    status: Option<&FunctionStatus>,
    observed: &mut Observed,
    context: &Context,
) -> Result<(), ApplyError> {
    let (children, reference) = (&plan.children, plan.children.meta.function());
    if plan.action != ChildrenAction::Apply {
        // Its rollout does not continue, so others need not wait for it.
        act_on(context.rollouts.forget(&reference), context).await;
        if plan.action == ChildrenAction::Stop {
            observed.stopped = stop(children, context).await?;
        }
        return Ok(());
    }
    let roll = Roll {
        live,
        desired: &children.deployment,
        health: Health::of(status, Timestamp::now()),
        is_stuck: observed.rollout.as_ref().is_some_and(|rollout| rollout.stuck),
        fails_by_function: observed.fault_of_new_sidecar(Reason::is_of_function).is_some()
            || observed.new_sidecar_lacks_resources(),
    };
    let (decision, consequences) = context.rollouts.decide(&reference, roll);
    act_on(consequences, context).await;
    let immediate = demands::must_be_met_now(observed, children, &reference, context).then(|| {
        let deployment = build::without_overlap(&children.deployment);
        Children { deployment, ..children.clone() }
    });
    let wanted = immediate.as_ref().unwrap_or(children);
    let live = live.map(Arc::as_ref);
    let applied = apply_children(function, wanted, live, &decision, &reference, context).await;
    if applied.is_err() {
        act_on(context.rollouts.denied(&reference, roll), context).await;
    }
    observed.decision = decision;
    if observed.decision.waits() {
        observe_waiting(observed, live, &reference, context);
    }
    applied?.map_or(Ok(()), Err)
}

/// Acts on a change of the rollout state: updates metrics, reports a halt and its end by log and Event, and requeues
/// functions.
pub(super) async fn act_on(consequences: Consequences, context: &Context) {
    context.metrics.rollouts(context.rollouts.counts());
    if let Some(failed) = consequences.halted_by {
        let names: Vec<_> = failed.iter().take(MAX_NAMED_FUNCTIONS).map(ToString::to_string).collect();
        let message = format!(
            "the rollout of the platform's sidecar is halted, since {} functions failed (kubectl describe says why): {}{}",
            failed.len(),
            names.join(", "),
            if failed.len() > MAX_NAMED_FUNCTIONS { ", …" } else { "" }
        );
        error!(failed = failed.len(), "{message}");
        context.events.publish_for_platform(EventType::Warning, "RolloutHalted", message).await;
    }
    if consequences.resumed {
        let message = "the rollout of the platform's sidecar is no longer halted".to_owned();
        info!("{message}");
        context.events.publish_for_platform(EventType::Normal, "RolloutResumed", message).await;
    }
    context.requeue.send(consequences.requeue);
}

/// Deletes the Deployment, and returns whether it is gone. The Service stays, so that its name still resolves.
async fn stop(children: &Children, context: &Context) -> Result<bool, ApplyError> {
    context.applier.remove_named::<Deployment>(&children.meta, &children.deployment.name_any()).await
}
