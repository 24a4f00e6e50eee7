//! UpToDate: whether the sidecars are those asked for. If not, the previous ones may still store events.

use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};

use super::availability::{count_ready, first_problem};
use crate::finding::{Finding, Problem};
use crate::observe::RolloutDecision;
use crate::observe::{Observed, Rollout};
use crate::validate::RefusalEffect;

/// UpToDate; if it is False, with the cause that keeps the rollout from completing.
pub fn condition(observed: &Observed) -> Finding {
    let not = |reason, message: String| Finding::new(ConditionType::UpToDate, ConditionStatus::False, reason, message);
    if let Some(reason) = not_accepted(observed) {
        return not(reason, "what the function asks for is not taken up: see the condition Accepted".to_owned());
    }
    let problem = |Problem { reason, message }: &Problem| not(*reason, message.clone());
    if let Some(found) = &observed.problem {
        return problem(found);
    }
    let Some(rollout) = observed.rollout.as_ref() else {
        return not(Reason::Progressing, "the sidecars are being made".to_owned());
    };
    // Sidecars that a new leader hasn't polled yet can't say why the rollout makes no progress: keep what is recorded.
    let standing =
        observed.standing(ConditionType::UpToDate).filter(|standing| standing.status == ConditionStatus::False);
    if let Some(standing) = standing.filter(|_| !rollout.complete && !observed.decision.waits()) {
        return standing.clone();
    }
    let found = rollout.problem.as_ref().or_else(|| first_problem(&observed.pods));
    match &observed.decision {
        RolloutDecision::Wait(rolling) => {
            let message = format!("waits to be rolled to the platform's new sidecar; {rolling} functions roll now");
            not(Reason::RolloutWaiting, message)
        }
        RolloutDecision::Halted(failed) => {
            let message = format!(
                "the platform's rollout is halted, since it failed for {failed} functions: the platform's owner must fix \
                 the sidecar's image or settings; this function goes on with the sidecars that it has"
            );
            not(Reason::RolloutHalted, message)
        }
        RolloutDecision::Failed => not(Reason::RolloutFailed, failure(found, observed)),
        RolloutDecision::Proceed if rollout.complete => {
            let message = "the sidecars are what the function and the platform ask for";
            Finding::new(ConditionType::UpToDate, ConditionStatus::True, Reason::Ok, message)
        }
        RolloutDecision::Proceed => found.map_or_else(|| under_way(rollout, observed), problem),
    }
}

/// Why something that the function asks for is not applied, if so.
fn not_accepted(observed: &Observed) -> Option<Reason> {
    match &observed.refusal {
        Some(refusal) if refusal.effect == RefusalEffect::Stop || observed.held_back => Some(refusal.reason),
        _ => (observed.paused && observed.held_back).then_some(Reason::Paused),
    }
}

fn failure(found: Option<&Problem>, observed: &Observed) -> String {
    let cause = match (found, observed.fault_of_new_sidecar()) {
        (Some(problem), _) => format!(": {}", problem.message),
        (None, Some(fault)) => format!(": it says \"{}\"", fault.message),
        (None, None) => String::new(),
    };
    format!("the platform's new sidecar did not become ready within the Deployment's deadline{cause}")
}

/// UpToDate of an incomplete rollout for which Kubernetes reports no problem.
fn under_way(rollout: &Rollout, observed: &Observed) -> Finding {
    let ready = count_ready(&observed.pods).min(rollout.wanted);
    let progress = format!("{ready} of {} sidecars run what is asked for", rollout.wanted);
    let (reason, message) = match observed.fault_of_new_sidecar() {
        Some(fault) => (fault.reason, format!("{progress}; one that does not says \"{}\"", fault.message)),
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
