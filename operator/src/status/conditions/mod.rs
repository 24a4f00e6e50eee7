//! Computes a function's conditions from its observed state. Pure.
//!
//! They have three sources: the platform's policy ([`validate`](crate::validate)), the sidecars' own reports
//! (`sidecars`), and Kubernetes' reports of the sidecars (`availability`). The first reconcile writes every condition,
//! those that are not known yet as `Unknown`.
//!
//! Two questions are kept apart: whether any sidecars store events now (`ready`), and whether the sidecars match the
//! function's spec and the platform's settings (`up_to_date`).

mod accepted;
mod availability;
mod kstatus;
mod ready;
mod sidecars;
mod up_to_date;

use tributary_crds::conditions::{ConditionStatus, Reason};

use crate::finding::Finding;
use crate::observe::Observed;

/// Whether a sidecar of the current configuration reports a condition as False for this reason.
pub fn new_sidecar_fails_for(observed: &Observed, reason: Reason) -> bool {
    sidecars::reported_message(observed, ConditionStatus::False, reason).is_some()
}

/// All conditions, in the order of [`ConditionType`](tributary_crds::conditions::ConditionType).
pub fn conditions(observed: &Observed) -> Vec<Finding> {
    let mut all = vec![accepted::condition(observed)];
    all.extend(sidecars::conditions(observed));
    all.push(availability::condition(observed));
    all.push(up_to_date::condition(observed));
    all.insert(0, ready::condition(&all, observed));
    all.extend(kstatus::conditions(&all));
    all
}

#[cfg(test)]
mod tests;
