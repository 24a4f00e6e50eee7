//! The input of the conditions: the state of a function at one moment.

use std::time::Duration;

use tributary_crds::conditions::{ConditionType, Reason, SidecarCondition, SidecarStatus};

use crate::finding::{Finding, Problem};
use crate::validate::Refusal;

/// Everything that a function's conditions are computed from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The violation of the platform's policy, by the spec or by the running spec.
    pub refusal: Option<Refusal>,
    /// The violation that the platform would refuse if it enforced its grants instead of auditing them.
    pub audited: Option<Refusal>,
    /// Whether `spec.paused` is true.
    pub paused: bool,
    /// Whether the function asks for something that is not applied, since it is paused or not allowed.
    pub held_back: bool,
    /// Whether sidecars that had to be stopped are gone: their Deployment no longer exists.
    pub stopped: bool,
    /// Why a child could not be written: for example a name clash, a quota or a rival operator.
    pub problem: Option<Problem>,
    /// Whether an object of others has the name of the function's Service, so that events don't reach the sidecars.
    pub service_is_taken: bool,
    /// Whether `spec.externalIdEnforcement` is `Warn`: a role that STS grants without the external ID is still used.
    pub enforcement_only_warns: bool,
    /// Whether the function stores dead letters, so that its sidecars report EventsValid.
    pub stores_dead_letters: bool,
    /// The function's place in the platform's rollout.
    pub decision: RolloutDecision,
    /// The Deployment's rollout state, if there is a Deployment.
    pub rollout: Option<Rollout>,
    /// The pods that run the current configuration, sorted by name.
    pub pods: Vec<Pod>,
    /// The ready pods of other configurations, sorted by name.
    pub pods_before: Vec<Pod>,
    /// Where sidecars get their base identity and what to check there, for messages.
    pub identity_source: String,
    /// The conditions that the status already records for this generation.
    pub recorded: Vec<Finding>,
    /// The number that the operator fills into `spec.replicas` of a function that sets none.
    pub defaulted_replicas: Option<i32>,
    /// The URL to which applications send events.
    pub url: String,
}

/// A Deployment's rollout state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// How many sidecars the Deployment asks for.
    pub wanted: i32,
    /// How many pods there are, of any configuration.
    pub replicas: i32,
    /// How many of those pods are ready.
    pub ready: i32,
    /// Why Kubernetes can't create pods, for example a quota.
    pub problem: Option<Problem>,
    /// Whether new pods did not become ready within the Deployment's progress deadline.
    pub stuck: bool,
    /// Whether the Deployment has the desired template, and all pods run it and are available.
    pub complete: bool,
}

/// A sidecar's pod, as Kubernetes and the sidecar itself report it.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The pod's name.
    pub name: String,
    /// Whether it is ready, and so receives events.
    pub ready: bool,
    /// Whether it was made from an earlier pod template, so that it is being replaced.
    pub outdated: bool,
    /// Why it doesn't run or, if it is ready, may be killed again. An outdated pod that isn't ready has none: a
    /// correction must not be reported as the fault that it corrects.
    pub problem: Option<Problem>,
    /// Time until its present state becomes a problem, although nothing changes.
    pub due_in: Option<Duration>,
    /// The last result of polling it.
    pub answer: SidecarAnswer,
}

/// The last result of polling a sidecar's `/status`.
#[derive(Clone, Debug)]
pub enum SidecarAnswer {
    /// It can't be polled: its pod doesn't run, has no IP address, or is terminating.
    NotAsked,
    /// It runs, but this operator has no result of a poll yet, or only one with a fault from before it was ready.
    Awaited,
    /// It gave no valid answer, for this reason.
    Failed(String),
    /// It answered with its status.
    Status(Box<SidecarStatus>),
}

/// A function's place in the platform's rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolloutDecision {
    /// Its Deployment may be written, or has been.
    Proceed,
    /// It waits for a slot; this many other functions roll.
    Wait(usize),
    /// No other rollout begins, after this many failures.
    Halted(usize),
    /// Its Deployment was written, but its rollout failed.
    Failed,
}

impl RolloutDecision {
    /// Whether the Deployment must not be written for now.
    pub fn waits(&self) -> bool {
        matches!(self, Self::Wait(_) | Self::Halted(_))
    }
}

impl Observed {
    /// The recorded condition, while a pod of the current configuration awaits a poll: a new leader knows nothing of
    /// running sidecars until it has polled each once, and that must not change the status.
    pub fn standing(&self, r#type: ConditionType) -> Option<&Finding> {
        let awaited = self.pods.iter().any(|pod| matches!(pod.answer, SidecarAnswer::Awaited));
        self.recorded.iter().find(|finding| awaited && finding.r#type == r#type)
    }

    /// The ready pods, of any configuration.
    pub fn serving(&self) -> Vec<&Pod> {
        self.pods.iter().filter(|pod| pod.ready).chain(&self.pods_before).collect()
    }

    /// The first fault that an unready sidecar of the current configuration reports, of those whose reason `counts`.
    pub fn fault_of_new_sidecar(&self, counts: impl Fn(Reason) -> bool) -> Option<&SidecarCondition> {
        let unready = self.pods.iter().filter(|pod| !pod.ready);
        let mut reported = unready.filter_map(Pod::status).flat_map(|status| &status.conditions);
        reported.find(|condition| condition.is_fault() && counts(condition.reason))
    }

    /// Whether a sidecar of the present template finds no node with the resources that the function requests, or needs more
    /// memory than the function allows. The scheduler names each resource that nodes lack ("1 Insufficient cpu"); taints
    /// and selectors that keep pods off all nodes are the platform's.
    pub fn new_sidecar_lacks_resources(&self) -> bool {
        let is_of_resources = |problem: &Problem| match problem.reason {
            Reason::OOMKilled => true,
            Reason::Unschedulable => problem.message.contains("Insufficient "),
            _ => false,
        };
        let new = self.pods.iter().filter(|pod| !pod.ready && !pod.outdated);
        new.filter_map(|pod| pod.problem.as_ref()).any(is_of_resources)
    }
}

impl Pod {
    /// How many of these pods are ready and made from the present template.
    pub fn count_ready(pods: &[Self]) -> i32 {
        let count = pods.iter().filter(|pod| pod.ready && !pod.outdated).count();
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    /// The sidecar's status, if its last answer still counts.
    pub fn status(&self) -> Option<&SidecarStatus> {
        match &self.answer {
            SidecarAnswer::Status(status) => Some(status),
            SidecarAnswer::NotAsked | SidecarAnswer::Awaited | SidecarAnswer::Failed(_) => None,
        }
    }
}
