//! Rollout slots: how many functions may roll concurrently after the platform changes the sidecar, and when to halt.
//!
//! A change by a function's owner rolls immediately. A change by the platform would roll all functions together, so
//! each occupies a slot until its rollout is complete, and the others wait. A function that stores no events can't
//! become worse, and needs no slot; nor does a change that the platform requires for security. A rollout that exceeds
//! the Deployment's progress deadline frees its slot and counts as failed; after too many failures no other begins
//! until the platform's owner has fixed the cause. The limits are values of the chart (`sidecar.maxConcurrentRollouts`,
//! `sidecar.maxFailedRollouts`). The Deployment of a function that waits stays as it was when the wait began.
//!
//! Functions' statuses record failed rollouts ([`Reason::RolloutFailed`]), from which a new leader restores them.
//! Pure, except for its state.

mod requeue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use parking_lot::{Mutex, MutexGuard};
use tributary_crds::conditions::{ConditionStatus, ConditionType, FunctionStatus, Reason};

use crate::finding::Finding;
use crate::function::FunctionRef;
use crate::metrics::RolloutCounts;
use crate::names::annotation;
use crate::observe::{RolloutDecision, creation_problem, is_complete, is_stuck};
use crate::platform::Platform;
use crate::status::function_status;

pub use requeue::RequeueRequests;

/// All rollouts that the platform caused: running, waiting and failed.
#[derive(Debug)]
pub struct Rollouts {
    max_concurrent: usize,
    max_failed: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The functions that hold a slot.
    rolling: HashSet<FunctionRef>,
    /// The functions that wait for a slot, with their Deployments as they were when the wait began.
    waiting: BTreeMap<FunctionRef, Arc<Deployment>>,
    failed: HashMap<FunctionRef, Cause>,
    /// Whether the platform's owner knows of a halt and not yet of its end. A new leader restores it.
    halt_reported: bool,
}

/// Why a rollout failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The new sidecar reports a fault of the function, finds no room on the nodes, or needs more memory than the function
    /// allows. Counts once per namespace: no single tenant can halt the rollout, but a mistake of the platform, which
    /// shows in every namespace, does.
    Function,
    /// Any other cause. Counts once per function.
    Sidecar,
}

/// A function's Deployments and health, at one reconcile.
#[derive(Clone, Copy, Debug)]
pub struct Roll<'a> {
    /// The Deployment in the cluster, if there is one.
    pub live: Option<&'a Arc<Deployment>>,
    /// The Deployment to apply.
    pub desired: &'a Deployment,
    /// Whether the function stores events now, and would after its sidecars restart.
    pub health: Health,
    /// Whether the new sidecars did not become ready within the Deployment's deadline.
    pub is_stuck: bool,
    /// Whether the function itself keeps a new sidecar from becoming ready: by a fault that the sidecar reports, or by its
    /// resources.
    pub fails_by_function: bool,
}

/// How long a function must have been not ready for a reason that may pass, before it counts as unhealthy: an outage of
/// S3, or an evicted pod, must not release it into a rollout that others wait for.
const UNHEALTHY_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Whether a function stores events now, and would after its sidecars restart without their present session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does and would, or will again soon.
    Healthy,
    /// Not known, for example because the operator can't poll the sidecars: it may store events.
    Unknown,
    /// It does not or would not, so a rollout can't make it worse.
    Unhealthy,
}

/// The effects on other functions of a change of the rollout state.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Consequences {
    /// The functions to reconcile again, since their decision may have changed.
    pub requeue: Vec<FunctionRef>,
    /// All failed functions, in order, if this change halted the rollout.
    pub halted_by: Option<Vec<FunctionRef>>,
    /// Whether this change ended a halt.
    pub resumed: bool,
}

impl Rollouts {
    /// No rollouts yet, with the limits of `platform`.
    pub fn new(platform: &Platform) -> Self {
        Self {
            max_concurrent: platform.max_concurrent_rollouts,
            max_failed: platform.max_failed_rollouts,
            state: Mutex::default(),
        }
    }

    /// Restores an earlier leader's rollouts when this process becomes the leader: failed rollouts from the status,
    /// rollouts in progress from the Deployment.
    pub fn restore(&self, function: &FunctionRef, status: Option<&FunctionStatus>, live: &Deployment, now: Timestamp) {
        let mut state = self.lock();
        state.halt_reported |= status.is_some_and(|status| records(status, Reason::RolloutHalted));
        if let Some(cause) = status.and_then(recorded_failure) {
            state.failed.insert(function.clone(), cause);
            state.halt_reported |= state.is_halted(self.max_failed);
        } else if !status.is_some_and(records_wait)
            && can_become_worse(Health::of(status, now), live)
            && !is_complete(live)
            && !is_stuck(live)
        {
            state.rolling.insert(function.clone());
        }
    }

    /// Decides whether the function's desired Deployment may be written now. Takes or frees the function's slot, and
    /// returns the effects on others.
    pub fn decide(&self, function: &FunctionRef, roll: Roll<'_>) -> (RolloutDecision, Consequences) {
        let mut decision = RolloutDecision::Proceed;
        let consequences = self.change(|state| {
            decision = if is_caused_by_platform(&roll) {
                self.begin(state, function, &roll)
            } else {
                continue_rollout(state, function, &roll)
            };
        });
        (decision, consequences)
    }

    /// Frees the slot after a failed write, if the rollout has not begun: others need not wait for it.
    pub fn denied(&self, function: &FunctionRef, roll: Roll<'_>) -> Consequences {
        self.change(|state| {
            if is_caused_by_platform(&roll) {
                state.rolling.remove(function);
            }
        })
    }

    /// Removes a function that is deleted or no longer rolls, and frees its slot.
    pub fn forget(&self, function: &FunctionRef) -> Consequences {
        self.change(|state| {
            state.waiting.remove(function);
            state.rolling.remove(function);
            state.failed.remove(function);
        })
    }

    /// The Deployment of a function that waits for its slot, as it was when the wait began: changes by others are
    /// reverted until then. `None` if the function does not wait.
    pub fn held(&self, function: &FunctionRef) -> Option<Arc<Deployment>> {
        self.lock().waiting.get(function).cloned()
    }

    /// How many functions roll, wait and have failed, for the metrics.
    pub fn counts(&self) -> RolloutCounts {
        let state = self.lock();
        RolloutCounts {
            rolling: state.rolling.len(),
            waiting: state.waiting.len(),
            failed: state.failed.len(),
            halted: state.is_halted(self.max_failed),
        }
    }

    /// Decides for a function whose live Deployment still has the platform's previous template.
    fn begin(&self, state: &mut State, function: &FunctionRef, roll: &Roll<'_>) -> RolloutDecision {
        // A recorded failure was that of an earlier template.
        state.failed.remove(function);
        let has_slot = state.rolling.contains(function);
        let needs_slot = |live: &&Arc<Deployment>| can_become_worse(roll.health, live) && !is_urgent(roll);
        if let Some(live) = roll.live.filter(needs_slot).filter(|_| !has_slot) {
            let failures = state.failures();
            let waits = if failures >= self.max_failed {
                Some(RolloutDecision::Halted(state.failed.len()))
            } else if self.free_slots(state) == 0 {
                Some(RolloutDecision::Wait(state.rolling.len()))
            } else {
                None
            };
            if let Some(decision) = waits {
                state.waiting.entry(function.clone()).or_insert_with(|| live.clone());
                return decision;
            }
            state.rolling.insert(function.clone());
        }
        state.waiting.remove(function);
        RolloutDecision::Proceed
    }

    /// Changes the state, and returns the effects on the waiting functions.
    fn change(&self, change: impl FnOnce(&mut State)) -> Consequences {
        let mut state = self.lock();
        let (was_halted, before) = (state.is_halted(self.max_failed), self.free_slots(&state));
        change(&mut state);
        let is_halted = state.is_halted(self.max_failed);
        let requeue = if is_halted != was_halted {
            // The status of each waiting function says whether the rollout is halted.
            state.waiting.keys().cloned().collect()
        } else {
            let free = self.free_slots(&state);
            state.waiting.keys().take(if free > before { free } else { 0 }).cloned().collect()
        };
        let was_reported = std::mem::replace(&mut state.halt_reported, is_halted);
        let halted_by = (is_halted && !was_reported).then(|| {
            let mut failed: Vec<_> = state.failed.keys().cloned().collect();
            failed.sort_unstable();
            failed
        });
        Consequences { requeue, halted_by, resumed: was_reported && !is_halted }
    }

    /// How many more rollouts may begin. Concurrent rollouts never exceed the failures that are still allowed, so a sidecar
    /// that never becomes ready reaches no more functions than the platform allows to fail.
    fn free_slots(&self, state: &State) -> usize {
        let may_fail = self.max_failed.saturating_sub(state.failures());
        self.max_concurrent.min(may_fail).saturating_sub(state.rolling.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Decides for a function that needs no new slot: the platform's template is written, or its owner changes it too.
fn continue_rollout(state: &mut State, function: &FunctionRef, roll: &Roll<'_>) -> RolloutDecision {
    state.waiting.remove(function);
    let Some(live) = roll.live.filter(|live| !is_complete(live)) else {
        state.rolling.remove(function);
        state.failed.remove(function);
        return RolloutDecision::Proceed;
    };
    // Refused pods, for example by a namespace's quota, are no fault of the new sidecar.
    if roll.is_stuck && state.rolling.remove(function) && creation_problem(live).is_none() {
        state.failed.insert(function.clone(), Cause::Sidecar);
    }
    // A new leader restores a failure without its cause if no condition records it.
    if let Some(cause) = state.failed.get_mut(function).filter(|_| roll.fails_by_function) {
        *cause = Cause::Function;
    }
    if state.failed.contains_key(function) { RolloutDecision::Failed } else { RolloutDecision::Proceed }
}

impl State {
    fn failures(&self) -> usize {
        let sidecars = self.failed.values().filter(|cause| **cause == Cause::Sidecar).count();
        let by_function = self.failed.iter().filter(|(_, cause)| **cause == Cause::Function);
        let namespaces: HashSet<_> = by_function.map(|(function, _)| &function.namespace).collect();
        sidecars + namespaces.len()
    }

    fn is_halted(&self, max_failed: usize) -> bool {
        self.failures() >= max_failed
    }
}

impl Health {
    /// The health that a status records.
    pub fn of(status: Option<&FunctionStatus>, now: Timestamp) -> Self {
        let Some(status) = status else { return Self::Unknown };
        let Some(ready) = recorded(status).find(|finding| finding.r#type == ConditionType::Ready) else {
            return Self::Unknown;
        };
        let condition = status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.to_string());
        let is_recent =
            condition.is_some_and(|ready| now.duration_since(ready.last_transition_time.0) < UNHEALTHY_AFTER);
        let ends_with_its_session = |reason: Reason| {
            reason == Reason::RenewalFailing || (reason.is_of_function() && reason != Reason::ExternalIdNotAllowed)
        };
        match ready.status {
            ConditionStatus::False if ready.reason.may_pass() && is_recent => Self::Healthy,
            ConditionStatus::False => Self::Unhealthy,
            _ if ends_with_its_session(ready.reason) => Self::Unhealthy,
            ConditionStatus::True => Self::Healthy,
            ConditionStatus::Unknown => Self::Unknown,
        }
    }
}

/// Why a function's rollout failed, if its status records a failure.
fn recorded_failure(status: &FunctionStatus) -> Option<Cause> {
    let has_failed = records(status, Reason::RolloutFailed);
    let by_function = recorded(status).any(|finding| finding.reason.is_of_function());
    has_failed.then_some(if by_function { Cause::Function } else { Cause::Sidecar })
}

/// Whether the function waited for its rollout. Its Deployment may be incomplete nevertheless, for example because an edit
/// was just reverted.
fn records_wait(status: &FunctionStatus) -> bool {
    records(status, Reason::RolloutWaiting) || records(status, Reason::RolloutHalted)
}

fn records(status: &FunctionStatus, reason: Reason) -> bool {
    recorded(status).any(|finding| finding.reason == reason)
}

fn recorded(status: &FunctionStatus) -> impl Iterator<Item = Finding> {
    function_status::recorded(status, status.observed_generation).into_iter()
}

/// Whether the pod template would change, but no part that the function's owner decides.
fn is_caused_by_platform(roll: &Roll<'_>) -> bool {
    differs(roll, annotation::TEMPLATE_HASH) && !differs(roll, annotation::FUNCTION_HASH)
}

/// Whether the platform demands something of the namespace for its security that the Deployment lacks. A demand that
/// is withdrawn is not urgent.
fn is_urgent(roll: &Roll<'_>) -> bool {
    roll.desired.annotations().contains_key(annotation::DEMANDS_HASH) && differs(roll, annotation::DEMANDS_HASH)
}

fn differs(roll: &Roll<'_>, name: &str) -> bool {
    roll.live.is_some_and(|live| live.annotations().get(name) != roll.desired.annotations().get(name))
}

/// Whether a rollout could keep the function from storing events that it stores now. If its health is unknown, the
/// Deployment's available replicas decide; otherwise they don't count, because the Deployment controller updates them
/// late if it is busy.
fn can_become_worse(health: Health, live: &Deployment) -> bool {
    let available = live.status.as_ref().and_then(|status| status.available_replicas);
    match health {
        Health::Healthy => true,
        Health::Unknown => available.unwrap_or_default() > 0,
        Health::Unhealthy => false,
    }
}
