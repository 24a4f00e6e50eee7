//! What is known of a function at one moment: what its conditions are computed from.

use tributary_crds::conditions::{ConditionType, SidecarCondition, SidecarStatus, Truth};

use crate::finding::{Finding, Problem};
use crate::validate::Refusal;

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
    pub decision: RolloutDecision,
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
    pub answer: SidecarAnswer,
}

/// What is heard of a sidecar.
#[derive(Clone, Debug)]
pub enum SidecarAnswer {
    /// It can't be asked yet.
    NotAsked,
    /// It runs, and its first answer to this operator is still to come.
    Awaited,
    /// It gave no answer, and why.
    Failed(String),
    /// What it says.
    Status(Box<SidecarStatus>),
}

/// Where a function is in the rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolloutDecision {
    /// Its Deployment may be written.
    Proceed,
    /// Others roll, so many; its turn will come.
    Wait(usize),
    /// So many failed that no other begins.
    Halted(usize),
    /// Its Deployment was written, and its roll failed.
    Failed,
}

impl RolloutDecision {
    /// Whether the Deployment stays as it is for now.
    pub fn waits(&self) -> bool {
        matches!(self, Self::Wait(_) | Self::Halted(_))
    }
}

impl Observed {
    /// A condition as it is recorded, while it stands: an operator that has just begun to lead knows
    /// nothing of sidecars that run, until each was asked once, and that is no news about them.
    pub fn standing(&self, r#type: ConditionType) -> Option<&Finding> {
        let awaited = self.pods.iter().any(|pod| matches!(pod.answer, SidecarAnswer::Awaited));
        self.recorded.iter().find(|finding| awaited && finding.r#type == r#type)
    }

    /// The pods that take events, of whatever configuration.
    pub fn serving(&self) -> Vec<&Pod> {
        self.pods.iter().filter(|pod| pod.ready).chain(&self.pods_before).collect()
    }

    /// What a sidecar that is not ready says is wrong with the function itself, if one does.
    pub fn fault_of_new_sidecar(&self) -> Option<&SidecarCondition> {
        let unready = self.pods.iter().filter(|pod| !pod.ready);
        let mut faults = unready.filter_map(Pod::status).flat_map(|status| &status.conditions);
        faults.find(|said| said.status == Truth::False && said.reason.is_of_function())
    }
}

impl Pod {
    /// What it says of itself, if it has answered.
    pub fn status(&self) -> Option<&SidecarStatus> {
        match &self.answer {
            SidecarAnswer::Status(status) => Some(status),
            SidecarAnswer::NotAsked | SidecarAnswer::Awaited | SidecarAnswer::Failed(_) => None,
        }
    }
}
