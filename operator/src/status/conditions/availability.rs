//! SidecarAvailable: whether a sidecar is ready, as Kubernetes sees it, and answers when polled.

use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};

use crate::finding::{Finding, Problem};
use crate::observe::{Observed, Pod, Rollout, SidecarAnswer};

/// SidecarAvailable, for sidecars of any configuration.
pub fn condition(observed: &Observed) -> Finding {
    let finding =
        |status, reason, message: String| Finding::new(ConditionType::SidecarAvailable, status, reason, message);
    let problem = |problem: &Problem| finding(ConditionStatus::False, problem.reason, problem.message.clone());
    // A child that can't be written doesn't stop the sidecars that serve, and a name clash none that run.
    let stops = |found: &&Problem| {
        observed.serving().is_empty() && (found.reason != Reason::NameClash || observed.rollout.is_none())
    };
    if let Some(found) = observed.problem.as_ref().filter(stops) {
        return problem(found);
    }
    let Some(rollout) = &observed.rollout else {
        let (reason, message) = no_deployment(observed);
        return finding(ConditionStatus::False, reason, message.to_owned());
    };
    if rollout.wanted == 0 {
        let message = "spec.replicas is 0: no sidecar accepts events; scale the function up".to_owned();
        return finding(ConditionStatus::False, Reason::NoReplicas, message);
    }
    let serving = observed.serving();
    if serving.is_empty() {
        // The problem of one pod most likely affects the others too.
        if let Some(found) = rollout.problem.as_ref().or_else(|| first_problem(&observed.pods)) {
            return problem(found);
        }
        let reason = if rollout.stuck { Reason::ProgressDeadlineExceeded } else { Reason::Progressing };
        return finding(ConditionStatus::False, reason, progress(rollout));
    }
    let standing = observed.standing(ConditionType::SidecarAvailable);
    if let Some(standing) = standing.filter(|standing| standing.reason == Reason::SidecarUnreachable) {
        return standing.clone();
    }
    // A problem of a ready pod is a recent OOM kill, which may recur.
    if let Some(found) = serving.iter().find_map(|pod| pod.problem.as_ref()) {
        return finding(ConditionStatus::True, found.reason, found.message.clone());
    }
    if let Some(why) = poll_failure(&serving) {
        let message = format!(
            "no sidecar answers the operator at port 8081 ({why}); a NetworkPolicy may block it. Events may still \
             be stored"
        );
        return finding(ConditionStatus::Unknown, Reason::SidecarUnreachable, message);
    }
    finding(ConditionStatus::True, Reason::Ok, running(serving.len(), rollout))
}

/// The first problem of a pod that is not ready.
pub(super) fn first_problem(pods: &[Pod]) -> Option<&Problem> {
    pods.iter().filter(|pod| !pod.ready).find_map(|pod| pod.problem.as_ref())
}

/// Why there is no Deployment.
fn no_deployment(observed: &Observed) -> (Reason, &'static str) {
    match &observed.refusal {
        Some(refusal) => (refusal.reason, "there are no sidecars: see the condition Accepted"),
        None if observed.paused => {
            (Reason::Paused, "there are no sidecars, and none are created while spec.paused is true")
        }
        None => (Reason::Progressing, "the sidecars are being created"),
    }
}

fn progress(rollout: &Rollout) -> String {
    let stuck = if rollout.stuck {
        ", and none became so within the Deployment's deadline: see the other conditions and kubectl describe pods"
    } else {
        ""
    };
    format!("0 of {} sidecars are ready{stuck}", rollout.wanted)
}

fn running(ready: usize, rollout: &Rollout) -> String {
    if rollout.wanted == 1 {
        "the sidecar is ready".to_owned()
    } else {
        let ready = i32::try_from(ready).unwrap_or(i32::MAX).min(rollout.wanted);
        format!("{ready} of {} sidecars are ready", rollout.wanted)
    }
}

/// Why polling failed, if it failed for all of these pods.
fn poll_failure<'a>(pods: &[&'a Pod]) -> Option<&'a str> {
    let mut why = None;
    for pod in pods {
        match &pod.answer {
            SidecarAnswer::Status(_) | SidecarAnswer::NotAsked | SidecarAnswer::Awaited => return None,
            SidecarAnswer::Failed(cause) => why = why.or(Some(cause.as_str())),
        }
    }
    why
}
