//! Computes a function's conditions from its observed state. Pure.
//!
//! They have three sources: the platform's policy ([`validate`](crate::validate)), the sidecars' own reports
//! (`sidecars`), and Kubernetes' reports of the sidecars (`availability`). The first reconcile writes every condition,
//! those that are not known yet as `Unknown`.
//!
//! Two questions are kept apart: whether any sidecars store events now (`ready`), and whether the sidecars match the
//! function's spec and the platform's settings (`up_to_date`).

mod availability;
mod kstatus;
mod ready;
mod sidecars;
mod up_to_date;

use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};

use crate::finding::Finding;
use crate::observe::Observed;
use crate::validate::{Refusal, RefusalEffect};

/// Whether a sidecar of the current configuration reports a condition as False for this reason.
pub fn new_sidecar_fails_for(observed: &Observed, reason: Reason) -> bool {
    sidecars::reported_message(observed, ConditionStatus::False, reason).is_some()
}

/// All conditions, in the order of [`ConditionType`].
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
    let not = |reason, message: &str| Finding::new(ConditionType::Accepted, ConditionStatus::False, reason, message);
    if let Some(Refusal { reason, message, effect }) = &observed.refusal {
        return match effect {
            RefusalEffect::Freeze => not(*reason, message),
            RefusalEffect::Stop if observed.stopped => not(*reason, &format!("{message}; its sidecars are stopped")),
            RefusalEffect::Stop => not(*reason, &format!("{message}; its sidecars are being stopped")),
        };
    }
    // Only the sidecar reads the external ID, so it decides whether its prefix is allowed.
    let standing = observed.standing(ConditionType::Accepted);
    if let Some(standing) = standing.filter(|standing| standing.reason == Reason::ExternalIdNotAllowed) {
        return standing.clone();
    }
    if let Some(message) = sidecars::reported_message(observed, ConditionStatus::False, Reason::ExternalIdNotAllowed) {
        return not(Reason::ExternalIdNotAllowed, message);
    }
    if let Some(clash) = observed.problem.as_ref().filter(|problem| problem.reason == Reason::NameClash) {
        return not(clash.reason, &clash.message);
    }
    let holds = |reason, message: &str| Finding::new(ConditionType::Accepted, ConditionStatus::True, reason, message);
    if let Some(Refusal { reason, message, .. }) = &observed.audited {
        return holds(*reason, &format!("{message}. Its sidecars keep running until the platform enforces its grants"));
    }
    if let Some(message) = sidecars::reported_message(observed, ConditionStatus::True, Reason::ExternalIdNotAllowed) {
        return holds(Reason::ExternalIdNotAllowed, message);
    }
    if observed.paused {
        let message = "spec.paused is true: changes to the function are not applied; changes by the platform are";
        return holds(Reason::Paused, message);
    }
    holds(Reason::Ok, "the platform allows this function")
}

#[cfg(test)]
mod tests;
