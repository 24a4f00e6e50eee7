//! Accepted: whether the platform allows the function, and no other object has a name that it needs.

use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};

use super::sidecars;
use crate::finding::Finding;
use crate::observe::Observed;
use crate::validate::{Refusal, RefusalEffect};

/// Accepted, from the platform's policy, the sidecars' reports about the external ID, and name clashes.
pub fn condition(observed: &Observed) -> Finding {
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
