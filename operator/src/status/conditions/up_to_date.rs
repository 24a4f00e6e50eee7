//! UpToDate: whether the sidecars match the function's spec and the platform's settings. If not, previous sidecars may
//! still store events.

use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};

use super::availability::first_problem;
use super::sidecars;
use crate::finding::{Finding, Problem};
use crate::observe::{Observed, Pod, Rollout, RolloutDecision};
use crate::validate::RefusalEffect;

/// UpToDate; if it is False, with the cause that keeps the rollout from completing.
pub fn condition(observed: &Observed) -> Finding {
    let not = |reason, message: String| Finding::new(ConditionType::UpToDate, ConditionStatus::False, reason, message);
    if let Some((reason, cause)) = not_accepted(observed) {
        return not(reason, format!("the function's spec is not applied: {cause}"));
    }
    let problem = |Problem { reason, message }: &Problem| not(*reason, message.clone());
    if let Some(found) = &observed.problem {
        return problem(found);
    }
    let Some(rollout) = observed.rollout.as_ref() else {
        return not(Reason::Progressing, "the sidecars are being created".to_owned());
    };
    // Sidecars that a new leader hasn't polled yet can't report why the rollout makes no progress: keep the recorded condition.
    let standing =
        observed.standing(ConditionType::UpToDate).filter(|standing| standing.status == ConditionStatus::False);
    if let Some(standing) = standing.filter(|_| !rollout.complete && !observed.decision.waits()) {
        return standing.clone();
    }
    let found = rollout.problem.as_ref().or_else(|| first_problem(&observed.pods));
    match &observed.decision {
        RolloutDecision::Wait(rolling) => {
            let message =
                format!("waits to roll out the platform's new sidecar; {rolling} other functions are rolling it out");
            not(Reason::RolloutWaiting, message)
        }
        RolloutDecision::Halted(failed) => {
            let message = format!(
                "the platform's rollout is halted, since it failed for {failed} functions: the platform's owner must fix \
                 the sidecar's image or settings; this function keeps its current sidecars"
            );
            not(Reason::RolloutHalted, message)
        }
        RolloutDecision::Failed => not(Reason::RolloutFailed, failure(found, observed)),
        RolloutDecision::Proceed if rollout.complete => {
            let message = "the sidecars match the function's spec and the platform's settings";
            Finding::new(ConditionType::UpToDate, ConditionStatus::True, Reason::Ok, message)
        }
        RolloutDecision::Proceed => found.map_or_else(|| in_progress(rollout, observed), problem),
    }
}

/// Why the function's spec is not applied, if it isn't: the reason and the first sentence of the message of Accepted.
fn not_accepted(observed: &Observed) -> Option<(Reason, &str)> {
    match &observed.refusal {
        Some(refusal) if refusal.effect == RefusalEffect::Stop || observed.held_back => {
            let (sentence, _) = refusal.message.split_once(". ").unwrap_or((&refusal.message, ""));
            Some((refusal.reason, sentence))
        }
        _ => (observed.paused && observed.held_back).then_some((Reason::Paused, "spec.paused is true")),
    }
}

fn failure(found: Option<&Problem>, observed: &Observed) -> String {
    let cause = match (found, reported_fault(observed, |_| true)) {
        (Some(problem), _) => format!(": {}", problem.message),
        (None, Some(fault)) => format!(": it reports \"{}\"", fault.message),
        (None, None) => String::new(),
    };
    format!("the platform's new sidecar did not become ready within the Deployment's deadline{cause}")
}

/// UpToDate of an incomplete rollout for which Kubernetes reports no problem.
fn in_progress(rollout: &Rollout, observed: &Observed) -> Finding {
    let ready = Pod::count_ready(&observed.pods);
    let progress = if ready < rollout.wanted {
        format!("{ready} of {} sidecars with the current configuration are ready", rollout.wanted)
    } else {
        // The same configuration with another pod template, such as a restart, or pods that are still to be removed.
        "sidecars are being replaced".to_owned()
    };
    // Other faults, such as an unreachable STS, often pass within seconds.
    let counts = |reason: Reason| rollout.stuck || reason.is_of_function() || reason == Reason::NoBaseIdentity;
    let (reason, message) = match reported_fault(observed, counts) {
        Some(fault) => (fault.reason, format!("{progress}; one that is not ready reports \"{}\"", fault.message)),
        None if rollout.stuck => {
            let message = format!(
                "{progress}, and no more became ready within the Deployment's deadline: see kubectl describe pods"
            );
            (Reason::ProgressDeadlineExceeded, message)
        }
        None => (Reason::Progressing, progress),
    };
    Finding::new(ConditionType::UpToDate, ConditionStatus::False, reason, message)
}

/// [`Observed::fault_of_new_sidecar`], with the message of its condition.
fn reported_fault(observed: &Observed, counts: impl Fn(Reason) -> bool) -> Option<Problem> {
    let fault = observed.fault_of_new_sidecar(counts)?;
    let message = sidecars::message(fault.reason, &fault.message, observed);
    Some(Problem { reason: fault.reason, message })
}
