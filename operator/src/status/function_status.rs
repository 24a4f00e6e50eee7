//! Builds a function's `status`, and decides which of its changes are written immediately and which deserve an Event.
//! Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use tributary_crds::conditions::{ConditionStatus, ConditionType, FunctionStatus, Reason};

use super::conditions::conditions;
use crate::finding::Finding;
use crate::observe::Observed;

/// Builds the status of a function's generation. A condition whose status is the same in `before`, the current status,
/// keeps its transition time.
pub fn status(
    observed: &Observed,
    generation: Option<i64>,
    selector: String,
    before: Option<&FunctionStatus>,
    now: Timestamp,
) -> FunctionStatus {
    let before_conditions = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
    let rollout = observed.rollout.clone().unwrap_or_default();
    let findings = conditions(observed);
    FunctionStatus {
        observed_generation: generation,
        reason: summary(&findings).map(|reason| reason.to_string()),
        replicas: Some(rollout.replicas),
        ready_replicas: Some(rollout.ready),
        defaulted_replicas: observed.defaulted_replicas,
        selector: Some(selector),
        url: Some(observed.url.clone()),
        conditions: findings
            .into_iter()
            .map(|finding| condition(finding, generation, before_conditions, now))
            .collect(),
    }
}

/// The reason in the column REASON of `kubectl get`: that of Ready or, while that is Ok, of UpToDate.
fn summary(findings: &[Finding]) -> Option<Reason> {
    let reason = |r#type| findings.iter().find(|finding| finding.r#type == r#type).map(|finding| finding.reason);
    reason(ConditionType::Ready).filter(|reason| *reason != Reason::Ok).or_else(|| reason(ConditionType::UpToDate))
}

/// The conditions that a status records for a generation; none if it was written for another one.
pub fn recorded(status: &FunctionStatus, generation: Option<i64>) -> Vec<Finding> {
    let of_generation = status.conditions.iter().filter(|_| status.observed_generation == generation);
    of_generation.filter_map(finding).collect()
}

/// Parses a condition; `None` if this version doesn't know its type, status or reason.
fn finding(condition: &Condition) -> Option<Finding> {
    Some(Finding {
        r#type: serde_json::from_value(condition.type_.as_str().into()).ok()?,
        status: serde_json::from_value(condition.status.as_str().into()).ok()?,
        reason: reason(condition)?,
        message: condition.message.clone(),
    })
}

fn condition(finding: Finding, generation: Option<i64>, before: &[Condition], now: Timestamp) -> Condition {
    let Finding { r#type, status, reason, message } = finding;
    let (r#type, status) = (r#type.to_string(), status.to_string());
    let unchanged = before.iter().find(|old| old.type_ == r#type && old.status == status);
    Condition {
        last_transition_time: unchanged.map_or(Time(now), |old| old.last_transition_time.clone()),
        type_: r#type,
        status,
        reason: reason.to_string(),
        message,
        observed_generation: generation,
    }
}

/// How a status differs from the previous one.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is equal.
    None,
    /// Only messages differ: some contain keys of S3 objects, which change with every event.
    Messages,
    /// More than messages differs. These conditions, possibly none, deserve an Event.
    Conditions(Vec<Condition>),
}

/// The types of the conditions whose fault has been reported by an Event and that have not been True since. A status does
/// not show such a fault any more while its repair makes progress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenFaults(BTreeSet<String>);

impl OpenFaults {
    /// The open faults after a status with these conditions.
    pub fn updated(mut self, conditions: &[Condition]) -> Self {
        for condition in conditions.iter().filter(|condition| !repeats(condition)) {
            if condition.status == "True" {
                self.0.remove(&condition.type_);
            } else if is_fault(condition) && !is_reported_by_another(condition, conditions) {
                self.0.insert(condition.type_.clone());
            }
        }
        self
    }

    fn include(&self, condition: &Condition) -> bool {
        self.0.contains(&condition.type_)
    }
}

/// Compares `after` with the previous status, if there is one. `open_faults` are those after the previous status.
pub fn changes(before: Option<&FunctionStatus>, after: &FunctionStatus, open_faults: &OpenFaults) -> Change {
    if before == Some(after) {
        return Change::None;
    }
    let without_messages = |status: &FunctionStatus| {
        let mut status = status.clone();
        status.conditions.iter_mut().for_each(|condition| condition.message.clear());
        status
    };
    if before.is_some_and(|before| without_messages(before) == without_messages(after)) {
        return Change::Messages;
    }
    let before = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
    let changed = after.conditions.iter().filter(|new| {
        let old = before.iter().find(|old| old.type_ == new.type_);
        deserves_event(old, new, &after.conditions, open_faults)
    });
    Change::Conditions(changed.cloned().collect())
}

/// Whether a condition's change deserves an Event. The steps of a normal start or rollout do not, so that the
/// remaining Events get attention.
fn deserves_event(old: Option<&Condition>, new: &Condition, all: &[Condition], open_faults: &OpenFaults) -> bool {
    if old.is_some_and(|old| old.status == new.status && old.reason == new.reason) {
        return false;
    }
    let has_type = |r#type: ConditionType| new.type_ == r#type.to_string();
    if repeats(new) {
        return false;
    }
    // The condition that is the cause has the Event.
    let is_of_unreachable = reason(new) == Some(Reason::SidecarUnreachable) && new.status == "Unknown";
    if is_of_unreachable && !has_type(ConditionType::SidecarAvailable) && !has_type(ConditionType::Ready) {
        return false;
    }
    if is_warning(new) && is_reported_by_another(new, all) {
        return false;
    }
    let was_true = old.is_some_and(|old| old.status == "True");
    match new.status.as_str() {
        // The condition that causes the warning gets an Event at its start and its end.
        "True" if has_type(ConditionType::Ready) && was_true => {
            let has_cause = all.iter().any(|other| other.type_ != new.type_ && other.reason == new.reason);
            if is_warning(new) { !has_cause } else { !old.is_some_and(is_warning) }
        }
        "True" if has_type(ConditionType::Ready) || is_warning(new) => true,
        // A fault or a warning has ended.
        "True" => open_faults.include(new) || old.is_some_and(is_warning),
        // Its end gets an Event, even if it lasts only until the next pods are ready.
        "False" if has_type(ConditionType::Ready) && was_true => true,
        "False" => is_fault(new) && !is_reported_by_another(new, all),
        // Unknown: an Event only if the condition was True or a fault before, and new sidecars have not just started.
        _ if was_true && reason(new) == Some(Reason::NotYetWritten) => false,
        _ => !reason(new).is_some_and(Reason::is_progress) && (was_true || old.is_some_and(is_fault)),
    }
}

/// Whether the condition is False for another reason than progress.
fn is_fault(condition: &Condition) -> bool {
    condition.status == "False" && !reason(condition).is_some_and(Reason::is_progress)
}

/// Whether the condition has the reason of another, which causes it and gets the Event.
fn is_reported_by_another(condition: &Condition, all: &[Condition]) -> bool {
    let is = |condition: &Condition, r#type: ConditionType| condition.type_ == r#type.to_string();
    let mut causes = all.iter().filter(|other| other.type_ != condition.type_ && other.reason == condition.reason);
    if is(condition, ConditionType::UpToDate) {
        return causes.any(|other| !repeats(other));
    }
    let follows_accepted = [ConditionType::SidecarAvailable, ConditionType::ExternalIdAvailable];
    follows_accepted.iter().any(|r#type| is(condition, *r#type))
        && causes.any(|other| is(other, ConditionType::Accepted))
}

/// Whether it only repeats other conditions, for kstatus.
fn repeats(condition: &Condition) -> bool {
    let types = [ConditionType::Reconciling, ConditionType::Stalled];
    types.iter().any(|r#type| condition.type_ == r#type.to_string())
}

/// Whether a person must act, so that its Event and its log line are warnings.
pub fn needs_a_person(condition: &Condition) -> bool {
    let passes = |reason: Reason| reason.is_wanted() || reason.is_progress();
    is_warning(condition) || (condition.status == "False" && !reason(condition).is_some_and(passes))
}

/// Whether it is True, but with a reason that needs a person.
fn is_warning(condition: &Condition) -> bool {
    condition.status == "True" && reason(condition).is_some_and(|reason| reason.warns(ConditionStatus::True))
}

fn reason(condition: &Condition) -> Option<Reason> {
    serde_json::from_value(condition.reason.as_str().into()).ok()
}
