//! What is said about a function: from what was observed to its conditions. Pure.
//!
//! Three kinds of things are known: what the platform says ([`acceptance`](crate::acceptance)), what
//! the sidecars say of themselves (`sidecars`), and what Kubernetes says of the sidecars
//! (`availability`). Every condition is there from the first look, `Unknown` until it is known.
//!
//! Two questions are kept apart: whether events are stored now (`ready`), by whichever sidecars serve, and
//! whether the sidecars are what is asked for (`up_to_date`).

mod availability;
mod kstatus;
mod ready;
mod sidecars;
mod status;
mod up_to_date;

use tributary_crds::conditions::{ConditionType, Reason, SidecarCondition, SidecarStatus, Truth};

use crate::acceptance::{Refusal, Then};
use crate::rollouts::Turn;

pub use status::{Change, changes, needs_a_person, recorded, status};

/// A condition, before it is known since when it has been so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The condition's type.
    pub r#type: ConditionType,
    /// Whether it holds.
    pub status: Truth,
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for people, and what to do.
    pub message: String,
}

impl Finding {
    fn new(r#type: ConditionType, status: Truth, reason: Reason, message: impl Into<String>) -> Self {
        Self { r#type, status, reason, message: message.into() }
    }
}

/// Something that keeps a function from running, and is nothing of the sidecar's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// For machines.
    pub reason: Reason,
    /// For people, with what to do.
    pub message: String,
}

/// What is known of a function at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// What the platform does not allow.
    pub refusal: Option<Refusal>,
    /// What the platform would not allow if it enforced its grants.
    pub audited: Option<Refusal>,
    /// Whether its owner wants nothing of it changed.
    pub paused: bool,
    /// Whether the function asks for something that is not taken up, since it is paused or asks for too much.
    pub held_back: bool,
    /// Whether there is no Deployment any more, of a function whose sidecars are to end.
    pub stopped: bool,
    /// What kept a child from being written.
    pub problem: Option<Problem>,
    /// Whether a role that is given away without the external ID is used all the same.
    pub enforcement_only_warns: bool,
    /// Where the function is in the platform's rollout.
    pub turn: Turn,
    /// The Deployment, if there is one.
    pub rollout: Option<Rollout>,
    /// The pods that run the current configuration, by name.
    pub pods: Vec<Pod>,
    /// The pods of other configurations that take events.
    pub pods_before: Vec<Pod>,
    /// Where sidecars have their base identity from, for people.
    pub identity_source: String,
    /// What the status says of this generation already.
    pub recorded: Vec<Finding>,
    /// How many sidecars a function is said to want that doesn't say itself.
    pub defaulted_replicas: Option<i32>,
    /// Where applications send events.
    pub url: String,
}

/// A Deployment, as far as it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// How many sidecars there should be.
    pub wanted: i32,
    /// How many pods there are, of any configuration.
    pub replicas: i32,
    /// How many of them are ready.
    pub ready: i32,
    /// Why pods can't be made.
    pub problem: Option<Problem>,
    /// The roll makes no progress.
    pub stuck: bool,
    /// All pods are what the Deployment asks for.
    pub complete: bool,
}

/// A pod of the current configuration.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Whether it takes events.
    pub ready: bool,
    /// Why it doesn't run, or soon won't.
    pub problem: Option<Problem>,
    /// What it says of itself.
    pub heard: Heard,
}

/// What is heard of a sidecar.
#[derive(Clone, Debug)]
pub enum Heard {
    /// It can't be asked yet.
    NotYet,
    /// It runs, and its first answer to this operator is still to come.
    Awaited,
    /// It gave no answer, and why.
    Nothing(String),
    /// What it says.
    Status(Box<SidecarStatus>),
}

impl Observed {
    /// A condition as it is recorded, while it stands: an operator that has just begun to lead knows
    /// nothing of sidecars that run, until each was asked once, and that is no news about them.
    fn standing(&self, r#type: ConditionType) -> Option<&Finding> {
        let awaited = self.pods.iter().any(|pod| matches!(pod.heard, Heard::Awaited));
        self.recorded.iter().find(|finding| awaited && finding.r#type == r#type)
    }

    /// The pods that take events, of whatever configuration.
    fn serving(&self) -> Vec<&Pod> {
        self.pods.iter().filter(|pod| pod.ready).chain(&self.pods_before).collect()
    }

    /// Whether a sidecar of the current configuration can't work for this reason.
    pub fn new_sidecar_fails_for(&self, reason: Reason) -> bool {
        sidecars::says(self, Truth::False, reason).is_some()
    }

    /// What a sidecar that is not ready says is wrong with the function itself, if one does.
    pub fn fault_of_new_sidecar(&self) -> Option<&SidecarCondition> {
        let unready = self.pods.iter().filter(|pod| !pod.ready);
        let mut faults = unready.filter_map(Pod::said).flat_map(|status| &status.conditions);
        faults.find(|said| said.status == Truth::False && said.reason.is_of_function())
    }
}

impl Pod {
    fn said(&self) -> Option<&SidecarStatus> {
        match &self.heard {
            Heard::Status(status) => Some(status),
            Heard::NotYet | Heard::Awaited | Heard::Nothing(_) => None,
        }
    }
}

/// All conditions, in their order.
pub fn conditions(observed: &Observed) -> Vec<Finding> {
    let mut all = vec![accepted(observed)];
    all.extend(sidecars::conditions(observed));
    all.push(availability::condition(observed));
    all.push(up_to_date::condition(observed));
    all.insert(0, ready::condition(&all, observed));
    all.extend(kstatus::conditions(&all));
    all
}

fn accepted(observed: &Observed) -> Finding {
    let not = |reason, message: &str| Finding::new(ConditionType::Accepted, Truth::False, reason, message);
    if let Some(Refusal { reason, message, then }) = &observed.refusal {
        return match then {
            Then::Freeze => not(*reason, message),
            Then::Stop if observed.stopped => not(*reason, &format!("{message}; its sidecars are stopped")),
            Then::Stop => not(*reason, &format!("{message}; its sidecars are being stopped")),
        };
    }
    // The external ID is none of the operator's business: the sidecar judges it.
    let standing = observed.standing(ConditionType::Accepted);
    if let Some(standing) = standing.filter(|standing| standing.reason == Reason::ExternalIdNotAllowed) {
        return standing.clone();
    }
    if let Some(message) = sidecars::says(observed, Truth::False, Reason::ExternalIdNotAllowed) {
        return not(Reason::ExternalIdNotAllowed, message);
    }
    if let Some(clash) = observed.problem.as_ref().filter(|problem| problem.reason == Reason::NameClash) {
        return not(clash.reason, &clash.message);
    }
    let holds = |reason, message: &str| Finding::new(ConditionType::Accepted, Truth::True, reason, message);
    if let Some(Refusal { reason, message, .. }) = &observed.audited {
        return holds(*reason, &format!("{message}. It goes on until the platform enforces its grants"));
    }
    if let Some(message) = sidecars::says(observed, Truth::True, Reason::ExternalIdNotAllowed) {
        return holds(Reason::ExternalIdNotAllowed, message);
    }
    if observed.paused {
        let message =
            "spec.paused is true: what is changed of the function is not taken up, what the platform changes is";
        return holds(Reason::Paused, message);
    }
    holds(Reason::Ok, "the platform allows this function")
}

#[cfg(test)]
mod tests;
