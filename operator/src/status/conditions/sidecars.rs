//! The conditions that the sidecars report themselves. If they disagree, something is wrong, so the worst report counts.

use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason, SidecarCondition, SidecarStatus};

use crate::finding::Finding;
use crate::observe::{Observed, Pod, SidecarAnswer};

/// The conditions that sidecars report. EventsValid is only reported if the function stores dead letters.
const SIDECAR_CONDITIONS: [ConditionType; 6] = [
    ConditionType::ExternalIdAvailable,
    ConditionType::IngestConfigured,
    ConditionType::RoleAssumed,
    ConditionType::ExternalIdEnforced,
    ConditionType::BucketWritable,
    ConditionType::EventsValid,
];

/// The sidecars' conditions, one per type, also for types that no sidecar has reported yet.
pub fn conditions(observed: &Observed) -> impl Iterator<Item = Finding> {
    let reported = SIDECAR_CONDITIONS
        .into_iter()
        .filter(|r#type| *r#type != ConditionType::EventsValid || observed.stores_dead_letters);
    reported.map(|r#type| condition(r#type, observed))
}

fn condition(r#type: ConditionType, observed: &Observed) -> Finding {
    if let Some(standing) = observed.standing(r#type) {
        return standing.clone();
    }
    let mut found = worst(r#type, statuses(observed)).unwrap_or_else(|| {
        let (reason, message) = unknown(observed);
        Finding::new(r#type, ConditionStatus::Unknown, reason, message)
    });
    found.message = message(found.reason, &found.message, observed);
    if found.status == ConditionStatus::False && !is_of_serving(r#type, observed) {
        // What it says about events is not true of the function.
        found.message = format!("a new sidecar, which takes no events yet, reports: {}", found.message);
    }
    found
}

/// Whether a sidecar that serves events has this condition too, or none serves.
fn is_of_serving(r#type: ConditionType, observed: &Observed) -> bool {
    let serving = observed.serving();
    let mut reported = serving.iter().filter_map(|pod| of(pod.status()?, r#type));
    serving.is_empty() || reported.any(|condition| condition.status == ConditionStatus::False)
}

/// The message of a fault that a sidecar reports, in a condition of the function.
pub(super) fn message(reason: Reason, reported: &str, observed: &Observed) -> String {
    if reason == Reason::NoBaseIdentity {
        // The sidecar's message lists all sources that the SDK tried; the platform configures only one of them.
        return format!("the sidecar has no base identity: {}", observed.identity_source);
    }
    reported.to_owned()
}

/// The worst of these reports of a condition, and of equally bad ones the first. Pods are sorted by name, so the
/// result does not alternate between two of them.
pub(super) fn worst<'a>(r#type: ConditionType, statuses: impl Iterator<Item = &'a SidecarStatus>) -> Option<Finding> {
    let worst = statuses.filter_map(|status| of(status, r#type)).min_by_key(|condition| rank(condition))?;
    let SidecarCondition { status, reason, message, .. } = worst;
    Some(Finding::new(r#type, *status, *reason, message.as_str()))
}

/// The message of the first condition with this status and reason that a sidecar of the current configuration reports.
pub fn reported_message(observed: &Observed, status: ConditionStatus, reason: Reason) -> Option<&str> {
    let mut conditions = statuses(observed).flat_map(|status| &status.conditions);
    let found = conditions.find(|condition| condition.status == status && condition.reason == reason);
    found.map(|condition| condition.message.as_str())
}

fn statuses(observed: &Observed) -> impl Iterator<Item = &SidecarStatus> {
    observed.pods.iter().filter_map(Pod::status)
}

fn of(status: &SidecarStatus, r#type: ConditionType) -> Option<&SidecarCondition> {
    status.conditions.iter().find(|condition| condition.r#type == r#type)
}

/// How bad a report is; less is worse.
fn rank(condition: &SidecarCondition) -> u8 {
    match (condition.status, condition.reason) {
        (ConditionStatus::False, _) => 0,
        // Pending, or the check could not be made.
        (ConditionStatus::Unknown, reason) if reason != Reason::NotYetWritten => 1,
        // True but needs a person: worse than True without a warning.
        (status, reason) if reason.warns(status) => 2,
        (ConditionStatus::True, _) => 3,
        // NotYetWritten: a sidecar without events so far doesn't contradict one that has stored some.
        (ConditionStatus::Unknown, _) => 4,
    }
}

/// Why no sidecar has reported a condition.
fn unknown(observed: &Observed) -> (Reason, &'static str) {
    if observed.pods.iter().any(|pod| matches!(pod.answer, SidecarAnswer::Failed(_))) {
        return (Reason::SidecarUnreachable, "no sidecar answers the operator: see the condition SidecarAvailable");
    }
    (Reason::Pending, "no sidecar of the current configuration has reported yet")
}
