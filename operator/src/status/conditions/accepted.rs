//! Accepted: whether the platform allows the function, and no other object has a name that it needs.

use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};

use super::sidecars;
use crate::finding::Finding;
use crate::observe::{Observed, Pod, SidecarAnswer};
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
    if let Some(recorded) = recorded_until_new_sidecars_report(observed) {
        return recorded.clone();
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

/// The recorded condition, if the platform does not allow the external ID and a rollout has begun: until a new sidecar has
/// reported, for example after the platform begins to enforce its grants, nothing shows that the ID is allowed now.
fn recorded_until_new_sidecars_report(observed: &Observed) -> Option<&Finding> {
    let has_reported = observed.pods.iter().any(|pod| pod.status().is_some());
    let may_report_it = |pod: &Pod| match &pod.answer {
        SidecarAnswer::Awaited => true,
        SidecarAnswer::Status(status) => status.conditions.iter().any(|condition| is_refused(condition.reason)),
        SidecarAnswer::NotAsked | SidecarAnswer::Failed(_) => false,
    };
    if has_reported || !observed.pods_before.iter().any(may_report_it) {
        return None;
    }
    let mut recorded = observed.recorded.iter();
    recorded.find(|finding| finding.r#type == ConditionType::Accepted && is_refused(finding.reason))
}

fn is_refused(reason: Reason) -> bool {
    reason == Reason::ExternalIdNotAllowed
}
