//! The conditions while a new leader has not polled the sidecars yet.

use super::*;

/// The states that sidecars can be in when an operator becomes the leader.
fn states() -> Vec<Observed> {
    let reporting = |r#type, status, reason| {
        with(|observed| observed.pods = vec![reporting(pod("a", true), r#type, status, reason), pod("b", true)])
    };
    vec![
        fine(),
        reporting(ConditionType::RoleAssumed, ConditionStatus::False, Reason::AccessDenied),
        reporting(ConditionType::RoleAssumed, ConditionStatus::True, Reason::RenewalFailing),
        reporting(ConditionType::ExternalIdEnforced, ConditionStatus::Unknown, Reason::StsUnreachable),
        reporting(ConditionType::ExternalIdAvailable, ConditionStatus::False, Reason::ExternalIdNotAllowed),
        reporting(ConditionType::BucketWritable, ConditionStatus::Unknown, Reason::NotYetWritten),
        with(|observed| observed.pods[0].answer = SidecarAnswer::Failed("no route".to_owned())),
    ]
}

#[test]
fn recorded_conditions_stay_until_each_sidecar_was_polled() {
    for before in states() {
        let mut after_a_restart = before.clone();
        after_a_restart.pods.iter_mut().for_each(|pod| pod.answer = SidecarAnswer::Awaited);
        after_a_restart.recorded = recorded_of(&before);
        assert_eq!(conditions(&after_a_restart), conditions(&before));
        // Another sidecar has reported no problem; the recorded conditions may still apply to the first.
        after_a_restart.pods.push(pod("c", true));
        assert_eq!(conditions(&after_a_restart), conditions(&before));
    }
}

#[test]
fn recorded_conditions_do_not_stay_for_polled_or_stopped_sidecars() {
    for before in states() {
        let mut after = before.clone();
        after.recorded = recorded_of(&with(|observed| {
            observed.pods[0] =
                reporting(pod("a", true), ConditionType::BucketWritable, ConditionStatus::False, Reason::NoSuchBucket);
        }));
        assert_eq!(conditions(&after), conditions(&before), "they were asked");
        after.pods.iter_mut().for_each(|pod| pod.answer = SidecarAnswer::NotAsked);
        assert_eq!(judged(&after, ConditionType::BucketWritable)[0], (ConditionStatus::Unknown, Reason::Pending));
    }
}

#[test]
fn conditions_recorded_for_another_generation_are_ignored() {
    let status = status(&fine(), Some(1), String::new(), None, Timestamp::UNIX_EPOCH);
    assert_eq!(recorded(&status, Some(1)), conditions(&fine()));
    assert_eq!(recorded(&status, Some(2)), []);
}
