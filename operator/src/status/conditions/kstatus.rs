//! Reconciling and Stalled: the two conditions by which kstatus judges whether any resource is in progress or has
//! failed. Flux needs no others.

use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};

use crate::finding::Finding;

/// Reconciling and Stalled, computed from the other conditions. At most one of them is True: kstatus checks
/// Reconciling first, which would hide that the function is stalled.
pub fn conditions(others: &[Finding]) -> [Finding; 2] {
    let judged = [ConditionType::Ready, ConditionType::UpToDate];
    let not = |finding: &&Finding| judged.contains(&finding.r#type) && finding.status == ConditionStatus::False;
    let is_stuck = |finding: &&Finding| {
        let Finding { reason, .. } = finding;
        !reason.is_progress() && !reason.is_wanted() && !reason.may_pass()
    };
    let stuck = others.iter().filter(not).find(is_stuck);
    // Waiting for the platform's rollout does not count: the function's owner doesn't wait for it. An outage does, since
    // the sidecars retry until it is over.
    let is_in_progress = |finding: &&Finding| finding.reason.may_pass();
    let in_progress = others.iter().filter(not).find(is_in_progress).filter(|_| stuck.is_none());
    [
        condition(ConditionType::Reconciling, in_progress, "no change is in progress"),
        condition(ConditionType::Stalled, stuck, "nothing keeps the function from its desired state"),
    ]
}

fn condition(r#type: ConditionType, cause: Option<&Finding>, otherwise: &str) -> Finding {
    match cause {
        Some(Finding { reason, message, .. }) => Finding::new(r#type, ConditionStatus::True, *reason, message.as_str()),
        None => Finding::new(r#type, ConditionStatus::False, Reason::Ok, otherwise),
    }
}
