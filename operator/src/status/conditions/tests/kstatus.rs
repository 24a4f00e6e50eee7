//! Reconciling and Stalled, the conditions for kstatus.

use super::*;

#[test]
fn kstatus_conditions_report_progress_and_faults_that_need_a_person() {
    use ConditionType::{BucketWritable, Reconciling, RoleAssumed, Stalled};
    let rollout = |change: fn(&mut Rollout)| with(|observed| change(observed.rollout.as_mut().unwrap()));
    let decision = |decision| {
        with(|observed| {
            observed.rollout.as_mut().unwrap().complete = false;
            observed.decision = decision;
        })
    };
    let reporting = |r#type, status, reason| {
        with(|observed| observed.pods = vec![reporting(pod("a", true), r#type, status, reason)])
    };
    let starting = with(|observed| (observed.rollout, observed.pods) = (None, Vec::new()));
    for (observed, expected) in [
        (fine(), None),
        (starting, Some((Reconciling, Reason::Progressing))),
        (rollout(|rollout| rollout.complete = false), Some((Reconciling, Reason::Progressing))),
        (rollout(|rollout| (rollout.wanted, rollout.complete) = (0, true)), None),
        (
            rollout(|rollout| (rollout.complete, rollout.stuck) = (false, true)),
            Some((Stalled, Reason::ProgressDeadlineExceeded)),
        ),
        (decision(RolloutDecision::Wait(5)), None),
        (decision(RolloutDecision::Halted(5)), None),
        (decision(RolloutDecision::Failed), Some((Stalled, Reason::RolloutFailed))),
        (reporting(RoleAssumed, ConditionStatus::False, Reason::AccessDenied), Some((Stalled, Reason::AccessDenied))),
        (
            reporting(BucketWritable, ConditionStatus::False, Reason::S3Unreachable),
            Some((Reconciling, Reason::S3Unreachable)),
        ),
        (reporting(RoleAssumed, ConditionStatus::Unknown, Reason::Pending), None),
        (reporting(BucketWritable, ConditionStatus::Unknown, Reason::NotYetWritten), None),
        (reporting(RoleAssumed, ConditionStatus::True, Reason::RenewalFailing), None),
    ] {
        assert_eq!(reconciling_or_stalled(&observed), expected, "{observed:?}");
    }
}
