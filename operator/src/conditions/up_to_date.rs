//! Whether what runs is what is asked for. It says nothing of events: those are stored by the sidecars of before.

use tributary_crds::conditions::{ConditionType, Reason, Truth};

use super::availability::{first_problem, ready};
use super::{Finding, Observed, Problem, Rollout};
use crate::rollouts::Turn;

/// UpToDate.
pub fn condition(observed: &Observed) -> Finding {
    let not = |reason, message: String| Finding::new(ConditionType::UpToDate, Truth::False, reason, message);
    if let Some(refusal) = &observed.refusal {
        return not(
            refusal.reason,
            "what the function asks for is not taken up: see the condition Accepted".to_owned(),
        );
    }
    let problem = |Problem { reason, message }: &Problem| not(*reason, message.clone());
    if let Some(found) = &observed.problem {
        return problem(found);
    }
    let Some(rollout) = observed.rollout.as_ref() else {
        return not(Reason::Progressing, "the sidecars are being made".to_owned());
    };
    // A sidecar at fault says so again when it is asked.
    if let Some(standing) = observed.standing(ConditionType::UpToDate).filter(|_| observed.turn == Turn::Failed) {
        return standing.clone();
    }
    let found = rollout.problem.as_ref().or_else(|| first_problem(&observed.pods));
    match &observed.turn {
        Turn::Wait(rolling) => {
            let message = format!("waits to be rolled to the platform's new sidecar; {rolling} functions roll now");
            not(Reason::RolloutWaiting, message)
        }
        Turn::Halted(failed) => {
            let message = format!(
                "the platform's rollout is halted, since it failed for {failed} functions: the platform's owner must fix \
                 the sidecar's image or settings; this function goes on with the sidecars that it has"
            );
            not(Reason::RolloutHalted, message)
        }
        Turn::Failed => not(Reason::RolloutFailed, failure(found, observed)),
        Turn::Go if rollout.complete => {
            let message = "the sidecars are what the function and the platform ask for";
            Finding::new(ConditionType::UpToDate, Truth::True, Reason::Ok, message)
        }
        Turn::Go => found.map_or_else(|| not(Reason::Progressing, progress(rollout, observed)), problem),
    }
}

fn failure(found: Option<&Problem>, observed: &Observed) -> String {
    let cause = match (found, observed.fault_of_new_sidecar()) {
        (Some(problem), _) => format!(": {}", problem.message),
        (None, Some(message)) => format!(": it says \"{message}\""),
        (None, None) => String::new(),
    };
    format!("the platform's new sidecar did not become ready within the Deployment's deadline{cause}")
}

fn progress(rollout: &Rollout, observed: &Observed) -> String {
    let ready = ready(&observed.pods).min(rollout.wanted);
    format!("{ready} of {} sidecars run what is asked for", rollout.wanted)
}
