//! The function's `status`: conditions with the time they turned at, and what goes with them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use tributary_crds::conditions::FunctionStatus;

use super::{Finding, Observed, conditions};

/// The status of a function's generation. `before` is the one that it has now: what has not turned
/// keeps its time.
pub fn status(
    observed: &Observed,
    generation: Option<i64>,
    selector: String,
    before: Option<&FunctionStatus>,
    now: Timestamp,
) -> FunctionStatus {
    let before_conditions = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
    let rollout = observed.rollout.clone().unwrap_or_default();
    FunctionStatus {
        observed_generation: generation,
        replicas: Some(rollout.replicas),
        ready_replicas: Some(rollout.ready),
        defaulted_replicas: observed.defaulted_replicas,
        selector: Some(selector),
        url: Some(observed.url.clone()),
        conditions: conditions(observed)
            .into_iter()
            .map(|finding| condition(finding, generation, before_conditions, now))
            .collect(),
    }
}

/// What a status says of a function's generation: nothing, where it speaks of another one.
pub fn recorded(status: &FunctionStatus, generation: Option<i64>) -> Vec<Finding> {
    let of_generation = status.conditions.iter().filter(|_| status.observed_generation == generation);
    of_generation.filter_map(finding).collect()
}

/// A condition as it was written; none, if these are not words of this version.
fn finding(condition: &Condition) -> Option<Finding> {
    Some(Finding {
        r#type: serde_json::from_value(condition.type_.as_str().into()).ok()?,
        status: serde_json::from_value(condition.status.as_str().into()).ok()?,
        reason: serde_json::from_value(condition.reason.as_str().into()).ok()?,
        message: condition.message.clone(),
    })
}

fn condition(finding: Finding, generation: Option<i64>, before: &[Condition], now: Timestamp) -> Condition {
    let Finding { r#type, status, reason, message } = finding;
    let (r#type, status) = (r#type.to_string(), format!("{status:?}"));
    let unturned = before.iter().find(|old| old.type_ == r#type && old.status == status);
    Condition {
        last_transition_time: unturned.map_or(Time(now), |old| old.last_transition_time.clone()),
        type_: r#type,
        status,
        reason: reason.to_string(),
        message,
        observed_generation: generation,
    }
}

/// How much a status differs from the one before.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Not at all.
    None,
    /// In what is said, but not in what it means: some sentences hold keys of objects, which change
    /// with every event.
    Words,
    /// In more; these conditions have turned, or have another reason.
    Turned(Vec<Condition>),
}

/// What has changed from `before` to `after`.
pub fn changes(before: Option<&FunctionStatus>, after: &FunctionStatus) -> Change {
    if before == Some(after) {
        return Change::None;
    }
    let Some(before) = before else { return Change::Turned(known(&after.conditions)) };
    let turned: Vec<_> =
        after.conditions.iter().filter(|new| !before.conditions.iter().any(|old| same(old, new))).collect();
    let wordless = |status: &FunctionStatus| {
        let mut status = status.clone();
        status.conditions.iter_mut().for_each(|condition| condition.message.clear());
        status
    };
    if wordless(before) == wordless(after) {
        return Change::Words;
    }
    Change::Turned(turned.into_iter().cloned().collect())
}

fn same(old: &Condition, new: &Condition) -> bool {
    old.type_ == new.type_ && old.status == new.status && old.reason == new.reason
}

/// At the first look, what is not known yet is no news.
fn known(conditions: &[Condition]) -> Vec<Condition> {
    conditions.iter().filter(|condition| condition.status != "Unknown").cloned().collect()
}
