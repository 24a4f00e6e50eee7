//! How the platform's change of the sidecar reaches all functions: a few at a time, and no further when it fails.
//!
//! What a function's owner changes is rolled at once. What the platform changes would roll all functions
//! together, so each takes a slot until its roll is through, and the others wait. A function that does not
//! store events before its roll can't be made worse, and takes no slot; what matters for security waits for
//! nobody. A roll that makes no progress within the Deployment's deadline gives its slot back and counts as
//! failed; when too many have failed, no other begins until the platform's owner has fixed the cause.
//! A Deployment that somebody edits while it waits is written at once, as the platform wants it now.
//!
//! Which rolls failed is in the functions' statuses ([`Reason::RolloutFailed`]), so that another leader knows.
//! Pure, but for its memory.

mod edits;
mod requeue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use parking_lot::{Mutex, MutexGuard};
use tributary_crds::conditions::{ConditionType, FunctionStatus, Reason, Truth};

use crate::finding::Finding;
use crate::function::FunctionRef;
use crate::metrics::RolloutCounts;
use crate::names::annotation;
use crate::observe::{RolloutDecision, is_complete, rollout};
use crate::platform::Platform;
use crate::status::function_status;

use edits::is_edited;
pub use requeue::RequeueRequests;

/// All rolls for the platform's sake.
#[derive(Debug)]
pub struct Rollouts {
    max_concurrent: usize,
    max_failed: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Who holds a slot.
    rolling: HashSet<FunctionRef>,
    /// Who waits for one, with their Deployments as they were when that began.
    waiting: BTreeMap<FunctionRef, Arc<Deployment>>,
    failed: HashMap<FunctionRef, Cause>,
}

/// What a roll failed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The new sidecar runs and says what is wrong with the function: that counts once per namespace, so that
    /// no tenant can stop the rollout, and the platform's own mistake, which every namespace shows, does.
    Function,
    /// Anything else.
    Sidecar,
}

/// A function and its Deployment, at one look.
#[derive(Clone, Copy, Debug)]
pub struct Roll<'a> {
    /// The Deployment that there is.
    pub live: Option<&'a Arc<Deployment>>,
    /// The Deployment that should be.
    pub desired: &'a Deployment,
    /// Whether the function stores events now, and will when its sidecars have to start again.
    pub is_healthy: bool,
    /// Whether a new sidecar runs and says what is wrong with the function.
    pub fails_by_function: bool,
}

/// What follows for others from what a function has come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Consequences {
    /// Whom to look at again.
    pub requeue: Vec<FunctionRef>,
    /// The functions that failed, if no other begins from now on.
    pub halted_by: Option<Vec<FunctionRef>>,
}

impl Rollouts {
    /// With the platform's bounds.
    pub fn new(platform: &Platform) -> Self {
        Self {
            max_concurrent: platform.max_concurrent_rollouts,
            max_failed: platform.max_failed_rollouts,
            state: Mutex::default(),
        }
    }

    /// Takes note, when this process begins to lead, of what another leader has begun: rolls that are
    /// under way, and those that failed.
    pub fn restore(&self, function: &FunctionRef, status: Option<&FunctionStatus>, live: &Deployment) {
        let mut state = self.lock();
        if let Some(cause) = status.and_then(recorded_failure) {
            state.failed.insert(function.clone(), cause);
        } else if takes_events(live) && !is_complete(live) && !rollout(live, live).stuck {
            state.rolling.insert(function.clone());
        }
    }

    /// Whether the function's Deployment may be made what is desired now; and what follows for others from
    /// what this one has come to.
    pub fn decide(&self, function: &FunctionRef, roll: Roll<'_>) -> (RolloutDecision, Consequences) {
        let mut decision = RolloutDecision::Proceed;
        let consequences = self.change(|state| {
            decision = if is_platforms_roll(&roll) {
                self.begin(state, function, &roll)
            } else {
                go_on(state, function, &roll)
            };
        });
        (decision, consequences)
    }

    /// The Deployment could not be written: others needn't wait for a roll that has not begun.
    pub fn denied(&self, function: &FunctionRef, roll: Roll<'_>) -> Consequences {
        self.change(|state| {
            if is_platforms_roll(&roll) {
                state.rolling.remove(function);
            }
        })
    }

    /// The function is gone, or rolls no more.
    pub fn forget(&self, function: &FunctionRef) -> Consequences {
        self.change(|state| {
            state.waiting.remove(function);
            state.rolling.remove(function);
            state.failed.remove(function);
        })
    }

    /// How many are where.
    pub fn counts(&self) -> RolloutCounts {
        let state = self.lock();
        RolloutCounts {
            rolling: state.rolling.len(),
            waiting: state.waiting.len(),
            failed: state.failed.len(),
            halted: state.is_halted(self.max_failed),
        }
    }

    /// Its Deployment is not yet as the platform wants it.
    fn begin(&self, state: &mut State, function: &FunctionRef, roll: &Roll<'_>) -> RolloutDecision {
        // What failed was another sidecar.
        state.failed.remove(function);
        let has_slot = state.rolling.contains(function);
        let needs_slot = |live: &&Arc<Deployment>| roll.is_healthy && takes_events(live) && !is_urgent(roll);
        if let Some(live) = roll.live.filter(needs_slot).filter(|_| !has_slot) {
            let failures = state.failures();
            let waits = if failures >= self.max_failed {
                Some(RolloutDecision::Halted(failures))
            } else if self.free_slots(state) == 0 {
                Some(RolloutDecision::Wait(state.rolling.len()))
            } else {
                None
            };
            if let Some(decision) = waits {
                let found = state.waiting.entry(function.clone()).or_insert_with(|| live.clone());
                // What somebody made of it meanwhile is not to run until its turn, and its pods are replaced
                // already. It stays noted until the cache shows it written.
                return if is_edited(live, found) { RolloutDecision::Proceed } else { decision };
            }
            state.rolling.insert(function.clone());
        }
        state.waiting.remove(function);
        RolloutDecision::Proceed
    }

    /// Changes the state, and says what follows for those who wait.
    fn change(&self, change: impl FnOnce(&mut State)) -> Consequences {
        let mut state = self.lock();
        let (was_halted, before) = (state.is_halted(self.max_failed), self.free_slots(&state));
        change(&mut state);
        let is_halted = state.is_halted(self.max_failed);
        let requeue = if is_halted != was_halted {
            // Each says so in its status.
            state.waiting.keys().cloned().collect()
        } else {
            let free = self.free_slots(&state);
            state.waiting.keys().take(if free > before { free } else { 0 }).cloned().collect()
        };
        let halted_by = (is_halted && !was_halted).then(|| {
            let mut failed: Vec<_> = state.failed.keys().cloned().collect();
            failed.sort_unstable();
            failed
        });
        Consequences { requeue, halted_by }
    }

    /// How many more may begin: no more roll at once than may still fail, so that a sidecar that does not come up
    /// reaches no more functions than the platform allows to fail.
    fn free_slots(&self, state: &State) -> usize {
        let may_fail = self.max_failed.saturating_sub(state.failures());
        self.max_concurrent.min(may_fail).saturating_sub(state.rolling.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Its Deployment is written as the platform wants it.
fn go_on(state: &mut State, function: &FunctionRef, roll: &Roll<'_>) -> RolloutDecision {
    state.waiting.remove(function);
    let Some(live) = roll.live.filter(|live| !is_complete(live)) else {
        state.rolling.remove(function);
        state.failed.remove(function);
        return RolloutDecision::Proceed;
    };
    let (holds_slot, now) = (state.rolling.contains(function), rollout(live, live));
    if holds_slot && now.stuck {
        state.rolling.remove(function);
        // A namespace's quota is nothing of the sidecar's.
        if now.problem.is_none() {
            let cause = if roll.fails_by_function { Cause::Function } else { Cause::Sidecar };
            state.failed.insert(function.clone(), cause);
        }
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

/// Whether a function stores events now, and will when its sidecars have to start again. Nothing is known of
/// one whose sidecars the operator can't ask, so that counts as healthy.
pub fn is_healthy(status: Option<&FunctionStatus>) -> bool {
    let ready = status.and_then(|status| recorded(status).find(|finding| finding.r#type == ConditionType::Ready));
    let ends_with_its_session = |reason: Reason| {
        reason == Reason::RenewalFailing || (reason.is_of_function() && reason != Reason::ExternalIdNotAllowed)
    };
    ready.is_none_or(|ready| ready.status != Truth::False && !ends_with_its_session(ready.reason))
}

/// Why a function's roll failed, if its status says that it did.
fn recorded_failure(status: &FunctionStatus) -> Option<Cause> {
    let has_failed = recorded(status).any(|finding| finding.reason == Reason::RolloutFailed);
    let by_function = recorded(status).any(|finding| finding.reason.is_of_function());
    has_failed.then_some(if by_function { Cause::Function } else { Cause::Sidecar })
}

fn recorded(status: &FunctionStatus) -> impl Iterator<Item = Finding> {
    function_status::recorded(status, status.observed_generation).into_iter()
}

/// Whether the template would change, and nothing that the function's owner has a say in.
fn is_platforms_roll(roll: &Roll<'_>) -> bool {
    differs(roll, annotation::TEMPLATE) && !differs(roll, annotation::FUNCTION)
}

/// Whether what changes is what the platform demands of the namespace.
fn is_urgent(roll: &Roll<'_>) -> bool {
    differs(roll, annotation::DEMANDS)
}

fn differs(roll: &Roll<'_>, name: &str) -> bool {
    roll.live.is_some_and(|live| live.annotations().get(name) != roll.desired.annotations().get(name))
}

fn takes_events(deployment: &Deployment) -> bool {
    deployment.status.as_ref().and_then(|status| status.available_replicas).unwrap_or_default() > 0
}
