//! What the sidecars say of themselves. The worst of them counts: a function whose sidecars
//! disagree is wrong somewhere.

use tributary_crds::conditions::{ConditionType, Reason, SidecarCondition, SidecarStatus, Truth};

use crate::finding::Finding;
use crate::observe::{Observed, Pod, SidecarAnswer};

/// The conditions that sidecars know.
const TYPES: [ConditionType; 5] = [
    ConditionType::ExternalIdAvailable,
    ConditionType::IngestConfigured,
    ConditionType::RoleAssumed,
    ConditionType::ExternalIdEnforced,
    ConditionType::BucketWritable,
];

/// What the sidecars say, a condition each.
pub fn conditions(observed: &Observed) -> impl Iterator<Item = Finding> {
    TYPES.into_iter().map(|r#type| condition(r#type, observed))
}

fn condition(r#type: ConditionType, observed: &Observed) -> Finding {
    if let Some(standing) = observed.standing(r#type) {
        return standing.clone();
    }
    let mut found = worst(r#type, statuses(observed)).unwrap_or_else(|| {
        let (reason, message) = unknown(observed);
        Finding::new(r#type, Truth::Unknown, reason, message)
    });
    if found.reason == Reason::NoBaseIdentity {
        // What the SDK has looked for in vain is a long list, of which the platform gives its sidecars one.
        found.message = format!("the sidecar has no base identity: {}", observed.identity_source);
    }
    found
}

/// What the sidecars say of a condition that they know: the worst, and the first of several. Pods come by name, so that
/// two that disagree don't take turns.
pub(super) fn worst<'a>(r#type: ConditionType, statuses: impl Iterator<Item = &'a SidecarStatus>) -> Option<Finding> {
    let worst = statuses.filter_map(|status| of(status, r#type)).min_by_key(|condition| rank(condition))?;
    let SidecarCondition { status, reason, message, .. } = worst;
    Some(Finding::new(r#type, *status, *reason, message.as_str()))
}

/// What a sidecar says of a condition with this status and reason, if one does.
pub fn says(observed: &Observed, status: Truth, reason: Reason) -> Option<&str> {
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

/// The less, the worse.
fn rank(condition: &SidecarCondition) -> u8 {
    match (condition.status, condition.reason) {
        (Truth::False, _) => 0,
        // A sidecar that has not begun knows less than one that could not find out.
        (Truth::Unknown, reason) if reason != Reason::NotYetWritten => 1,
        // What holds here and needs a person says more than what holds elsewhere.
        (status, reason) if reason.warns(status) => 2,
        (Truth::True, _) => 3,
        // A sidecar that has had no event yet says nothing against one that has stored some.
        (Truth::Unknown, _) => 4,
    }
}

/// Why nothing is known of the sidecars.
fn unknown(observed: &Observed) -> (Reason, &'static str) {
    if observed.pods.iter().any(|pod| matches!(pod.answer, SidecarAnswer::Failed(_))) {
        return (Reason::SidecarUnreachable, "no sidecar answers the operator: see the condition SidecarAvailable");
    }
    (Reason::Pending, "no sidecar has said anything yet")
}
