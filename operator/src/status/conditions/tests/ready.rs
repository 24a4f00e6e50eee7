//! Ready, while some sidecars fail, start or roll.

use tributary_crds::conditions::SessionTimes;

use super::*;

#[test]
fn a_missing_secret_is_reported_by_ready_which_stays_true_until_the_session_ends() {
    use ConditionType::{ExternalIdAvailable, RoleAssumed};
    for reason in [Reason::SecretNotFound, Reason::SecretKeyNotFound, Reason::InvalidExternalId] {
        let gone = || reporting(pod("a", true), ExternalIdAvailable, ConditionStatus::False, reason);
        let mut lives = gone();
        let SidecarAnswer::Status(reported) = &mut lives.answer else { panic!("the pod has no status") };
        let (expiry, next_refresh) = ("2026-01-02T04:00:00Z".to_owned(), "2026-01-02T03:30:00Z".to_owned());
        reported.session = Some(SessionTimes { expiry, next_refresh });
        let lives = with(|observed| observed.pods = vec![lives]);
        assert_eq!(
            judged(&lives, ExternalIdAvailable),
            [(ConditionStatus::False, reason), (ConditionStatus::True, reason)]
        );
        let message = &conditions(&lives)[0].message;
        let end = format!("are stored until 2026-01-02T04:00:00Z, when the session ends: {reason} says a");
        assert!(message.ends_with(&end), "{message}");
        for (status, without) in
            [(ConditionStatus::False, Reason::Pending), (ConditionStatus::Unknown, Reason::Pending)]
        {
            let ended = with(|observed| observed.pods = vec![reporting(gone(), RoleAssumed, status, without)]);
            assert_eq!(judged(&ended, ExternalIdAvailable), [(ConditionStatus::False, reason); 2]);
        }
    }
}

#[test]
fn old_sidecars_keep_the_function_ready_while_new_ones_fail() {
    use ConditionType::{BucketWritable, RoleAssumed, SidecarAvailable, UpToDate};
    let mut rolling = with(|observed| {
        observed.rollout = Some(Rollout { wanted: 1, replicas: 2, ready: 1, ..Rollout::default() });
        observed.pods = vec![reporting(pod("new", false), RoleAssumed, ConditionStatus::False, Reason::AccessDenied)];
        observed.pods_before = vec![pod("old", true)];
    });
    assert_eq!(
        judged(&rolling, RoleAssumed),
        [(ConditionStatus::False, Reason::AccessDenied), (ConditionStatus::True, Reason::Ok)]
    );
    assert_eq!(judged(&rolling, SidecarAvailable)[0], (ConditionStatus::True, Reason::Ok));
    assert_eq!(judged(&rolling, UpToDate)[0], (ConditionStatus::False, Reason::AccessDenied));
    assert_eq!(reconciling_or_stalled(&rolling), Some((ConditionType::Stalled, Reason::AccessDenied)));
    // The conditions are the same after a restart of the operator.
    let mut restarted = rolling.clone();
    restarted.recorded = recorded_of(&rolling);
    restarted.pods.iter_mut().chain(&mut restarted.pods_before).for_each(|pod| pod.answer = SidecarAnswer::Awaited);
    assert_eq!(conditions(&restarted), conditions(&rolling));
    // The previous sidecars' reports count, not those of the new ones.
    rolling.pods_before =
        vec![reporting(pod("old", true), BucketWritable, ConditionStatus::False, Reason::NoSuchBucket)];
    assert_eq!(judged(&rolling, RoleAssumed)[1], (ConditionStatus::False, Reason::NoSuchBucket));
}

#[test]
fn a_starting_sidecar_does_not_affect_ready_while_others_store_events() {
    let scaling = with(|observed| {
        let starting =
            reporting(pod("b", false), ConditionType::RoleAssumed, ConditionStatus::Unknown, Reason::Pending);
        observed.rollout = Some(Rollout { wanted: 2, replicas: 2, ready: 1, ..Rollout::default() });
        observed.pods.push(starting);
    });
    assert_eq!(judged(&scaling, ConditionType::RoleAssumed)[1], (ConditionStatus::True, Reason::Ok));
}

#[test]
fn conditions_that_stop_no_traffic_leave_the_function_ready() {
    let unwritten = with(|observed| {
        let reported = ConditionType::BucketWritable;
        observed.pods = vec![reporting(pod("a", true), reported, ConditionStatus::Unknown, Reason::NotYetWritten)];
    });
    let judgement = judged(&unwritten, ConditionType::BucketWritable);
    assert_eq!(judgement, [(ConditionStatus::Unknown, Reason::NotYetWritten), (ConditionStatus::True, Reason::Ok)]);
    let warned = with(|observed| {
        let reported = ConditionType::ExternalIdEnforced;
        observed.enforcement_only_warns = true;
        observed.pods = vec![reporting(pod("a", true), reported, ConditionStatus::False, Reason::NotEnforced)];
    });
    let judgement = judged(&warned, ConditionType::ExternalIdEnforced);
    assert_eq!(judgement, [(ConditionStatus::False, Reason::NotEnforced), (ConditionStatus::True, Reason::Ok)]);
}

#[test]
fn a_failing_renewal_leaves_the_function_ready_with_its_reason() {
    let reported = ConditionType::RoleAssumed;
    let failing = |name| reporting(pod(name, true), reported, ConditionStatus::True, Reason::RenewalFailing);
    let both = [(ConditionStatus::True, Reason::RenewalFailing); 2];
    // It does not matter which of the sidecars it is.
    for pods in [vec![failing("a")], vec![failing("a"), pod("b", true)], vec![pod("a", true), failing("b")]] {
        let observed = with(|observed| observed.pods = pods);
        assert_eq!(judged(&observed, reported), both);
        let all = conditions(&observed);
        assert!(all[0].message.starts_with("RenewalFailing says"), "{}", all[0].message);
    }
    // A condition that forbids traffic goes first.
    let worse = with(|observed| {
        observed.pods =
            vec![failing("a"), reporting(pod("b", true), reported, ConditionStatus::False, Reason::AccessDenied)];
    });
    assert_eq!(judged(&worse, reported), [(ConditionStatus::False, Reason::AccessDenied); 2]);
    let denied = with(|observed| {
        observed.pods =
            vec![reporting(failing("a"), ConditionType::BucketWritable, ConditionStatus::False, Reason::AccessDenied)];
    });
    assert_eq!(
        judged(&denied, reported),
        [(ConditionStatus::True, Reason::RenewalFailing), (ConditionStatus::False, Reason::AccessDenied)]
    );
}

#[test]
fn rolling_and_scaling_up_leave_the_function_ready() {
    use ConditionType::{SidecarAvailable, UpToDate};
    let rolling = with(|observed| {
        observed.rollout = Some(Rollout { wanted: 2, replicas: 3, ready: 2, ..Rollout::default() });
        observed.pods = vec![Pod { answer: SidecarAnswer::NotAsked, ..pod("new", false) }];
        observed.pods_before = vec![pod("old", true), pod("old-2", true)];
    });
    assert_eq!(judged(&rolling, SidecarAvailable), [(ConditionStatus::True, Reason::Ok); 2]);
    assert_eq!(get(&conditions(&rolling), SidecarAvailable).message, "2 of 2 sidecars are ready");
    assert_eq!(
        get(&conditions(&rolling), UpToDate).message,
        "0 of 2 sidecars with the current configuration are ready"
    );

    let scaling = |change: fn(&mut Rollout)| {
        with(|observed| {
            let mut rollout = Rollout { wanted: 3, replicas: 3, ready: 1, ..Rollout::default() };
            change(&mut rollout);
            observed.rollout = Some(rollout);
            observed.pods = vec![pod("a", true), Pod { answer: SidecarAnswer::NotAsked, ..pod("b", false) }];
        })
    };
    assert_eq!(judged(&scaling(|_| {}), SidecarAvailable), [(ConditionStatus::True, Reason::Ok); 2]);
    assert_eq!(judged(&scaling(|_| {}), UpToDate)[0], (ConditionStatus::False, Reason::Progressing));
    let stuck = scaling(|rollout| rollout.stuck = true);
    assert_eq!(
        judged(&stuck, UpToDate),
        [(ConditionStatus::False, Reason::ProgressDeadlineExceeded), (ConditionStatus::True, Reason::Ok)]
    );
    let past_a_quota = scaling(|rollout| rollout.problem = Some(problem(Reason::QuotaExceeded)));
    assert_eq!(
        judged(&past_a_quota, UpToDate),
        [(ConditionStatus::False, Reason::QuotaExceeded), (ConditionStatus::True, Reason::Ok)]
    );
}
