//! The conditions that sidecars report.

use super::*;

#[test]
fn a_sidecars_conditions_become_the_functions() {
    use ConditionType::{BucketWritable, ExternalIdEnforced, IngestConfigured, RoleAssumed};
    for (r#type, status, reason) in [
        (IngestConfigured, ConditionStatus::False, Reason::WriteKeyNotFound),
        (IngestConfigured, ConditionStatus::False, Reason::TlsInvalid),
        (RoleAssumed, ConditionStatus::False, Reason::AccessDenied),
        (RoleAssumed, ConditionStatus::Unknown, Reason::Pending),
        (ExternalIdEnforced, ConditionStatus::False, Reason::NotEnforced),
        (ExternalIdEnforced, ConditionStatus::Unknown, Reason::StsUnreachable),
        (BucketWritable, ConditionStatus::False, Reason::NoSuchBucket),
    ] {
        let wrong = with(|observed| observed.pods = vec![reporting(pod("a", true), r#type, status, reason)]);
        assert_eq!(judged(&wrong, r#type), [(status, reason); 2], "{type} {reason}");
    }
}

#[test]
fn a_missing_base_identity_is_reported_with_its_configured_source() {
    let reported = ConditionType::RoleAssumed;
    let none = with(|observed| {
        observed.pods = vec![reporting(pod("a", false), reported, ConditionStatus::False, Reason::NoBaseIdentity)];
    });
    assert_eq!(
        get(&conditions(&none), reported).message,
        "the sidecar has no base identity: there is no Secret aws-base"
    );
}

#[test]
fn a_fault_of_a_new_sidecar_is_not_said_of_those_that_serve() {
    let reported = ConditionType::ExternalIdEnforced;
    let of = |name, ready| reporting(pod(name, ready), reported, ConditionStatus::False, Reason::NotEnforced);
    let message = |pods: Vec<Pod>, before: Vec<Pod>| {
        let observed = with(|observed| (observed.pods, observed.pods_before) = (pods, before));
        get(&conditions(&observed), reported).message.clone()
    };
    let new = "a new sidecar, which takes no events yet, reports: NotEnforced says b";
    assert_eq!(message(vec![pod("a", true), of("b", false)], vec![]), new);
    assert_eq!(message(vec![of("b", false)], vec![pod("a", true)]), new);
    assert_eq!(message(vec![of("a", true), of("b", false)], vec![]), "NotEnforced says a");
    assert_eq!(message(vec![of("b", false)], vec![]), "NotEnforced says b");
}

#[test]
fn the_worst_replica_counts_and_the_first_of_several() {
    let reported = ConditionType::BucketWritable;
    let disagreeing = with(|observed| {
        observed.rollout = Some(Rollout { wanted: 4, replicas: 4, ready: 4, ..Rollout::default() });
        observed.pods = vec![
            pod("a", true),
            reporting(pod("b", true), reported, ConditionStatus::Unknown, Reason::NotYetWritten),
            reporting(pod("c", true), reported, ConditionStatus::False, Reason::AccessDenied),
            reporting(pod("d", true), reported, ConditionStatus::False, Reason::Throttled),
        ];
    });
    assert_eq!(judged(&disagreeing, reported), [(ConditionStatus::False, Reason::AccessDenied); 2]);
    let fresh = with(|observed| {
        observed.pods =
            vec![reporting(pod("a", true), reported, ConditionStatus::Unknown, Reason::NotYetWritten), pod("b", true)];
    });
    assert_eq!(judged(&fresh, reported)[0], (ConditionStatus::True, Reason::Ok));
    let unsupported = with(|observed| {
        let events = reporting(pod("b", true), reported, ConditionStatus::True, Reason::ConditionalWritesUnsupported);
        observed.pods = vec![pod("a", true), events];
    });
    assert_eq!(judged(&unsupported, reported), [(ConditionStatus::True, Reason::ConditionalWritesUnsupported); 2]);
}

#[test]
fn rejected_events_are_reported_only_with_dead_letters_and_leave_the_function_ready() {
    let rejecting = |stores_dead_letters: bool| {
        with(|observed| {
            observed.stores_dead_letters = stores_dead_letters;
            let mut rejecting = pod("a", true);
            let SidecarAnswer::Status(status) = &mut rejecting.answer else { panic!("the pod has no status") };
            status.conditions.push(SidecarCondition {
                r#type: ConditionType::EventsValid,
                status: ConditionStatus::False,
                reason: Reason::EventsRejected,
                message: "events were rejected".to_owned(),
                since: String::new(),
            });
            observed.pods = vec![rejecting];
        })
    };
    let all = conditions(&rejecting(true));
    assert_eq!(get(&all, ConditionType::EventsValid).message, "events were rejected");
    assert_eq!(
        judged(&rejecting(true), ConditionType::EventsValid),
        [(ConditionStatus::False, Reason::EventsRejected), (ConditionStatus::True, Reason::Ok)]
    );
    assert!(all.iter().map(|finding| finding.r#type).is_sorted());
    assert_eq!(reconciling_or_stalled(&rejecting(true)), None);
    assert!(conditions(&rejecting(false)).iter().all(|finding| finding.r#type != ConditionType::EventsValid));
}
