//! Tests of every condition's reasons, and of how Ready, kstatus's conditions and Events follow from them.

use jiff::Timestamp;
use tributary_crds::conditions::{SessionTimes, SidecarCondition, SidecarStatus};

use super::*;
use crate::finding::Problem;
use crate::observe::{Pod, Rollout, RolloutDecision, SidecarAnswer};
use crate::status::function_status::{Change, changes, recorded, status};
use crate::validate::RefusalEffect;

/// A function with one sidecar, which stores events.
fn fine() -> Observed {
    Observed {
        refusal: None,
        audited: None,
        paused: false,
        held_back: false,
        stopped: false,
        problem: None,
        enforcement_only_warns: false,
        decision: RolloutDecision::Proceed,
        rollout: Some(Rollout { wanted: 1, replicas: 1, ready: 1, complete: true, ..Rollout::default() }),
        pods: vec![pod("a", true)],
        pods_before: Vec::new(),
        identity_source: "there is no Secret aws-base".to_owned(),
        recorded: Vec::new(),
        defaulted_replicas: None,
        url: "http://orders.shop.svc".to_owned(),
    }
}

fn pod(name: &str, ready: bool) -> Pod {
    let all = [
        ConditionType::ExternalIdAvailable,
        ConditionType::IngestConfigured,
        ConditionType::RoleAssumed,
        ConditionType::ExternalIdEnforced,
        ConditionType::BucketWritable,
    ];
    let conditions = all.map(|r#type| SidecarCondition {
        r#type,
        status: ConditionStatus::True,
        reason: Reason::Ok,
        message: "fine".to_owned(),
        since: String::new(),
    });
    let status = SidecarStatus {
        generation: 1,
        config_hash: "h".to_owned(),
        conditions: conditions.to_vec(),
        session: None,
        in_flight: 0,
        last_error: None,
    };
    Pod { name: name.to_owned(), ready, problem: None, answer: SidecarAnswer::Status(Box::new(status)) }
}

/// The pod, with this report of a condition.
fn reporting(mut pod: Pod, r#type: ConditionType, status: ConditionStatus, reason: Reason) -> Pod {
    let SidecarAnswer::Status(reported) = &mut pod.answer else { panic!("it says nothing") };
    let condition = reported.conditions.iter_mut().find(|condition| condition.r#type == r#type).unwrap();
    (condition.status, condition.reason) = (status, reason);
    condition.message = format!("{reason} says {}", pod.name);
    pod
}

fn with(change: impl FnOnce(&mut Observed)) -> Observed {
    let mut observed = fine();
    change(&mut observed);
    observed
}

fn problem(reason: Reason) -> Problem {
    Problem { reason, message: format!("{reason} happened") }
}

fn get(all: &[Finding], r#type: ConditionType) -> &Finding {
    all.iter().find(|finding| finding.r#type == r#type).unwrap()
}

/// The status and reason of a condition, and of Ready.
fn judged(observed: &Observed, r#type: ConditionType) -> [(ConditionStatus, Reason); 2] {
    let all = conditions(observed);
    let of = |r#type| {
        let finding = get(&all, r#type);
        (finding.status, finding.reason)
    };
    [of(r#type), of(ConditionType::Ready)]
}

#[test]
fn a_function_that_stores_events_is_ready() {
    let all = conditions(&fine());
    let types: Vec<_> = all.iter().map(|finding| finding.r#type).collect();
    assert!(types.is_sorted() && types.len() == 11, "{types:?}");
    assert!(all[..9].iter().all(|finding| finding.status == ConditionStatus::True), "{all:?}");
    assert!(all[9..].iter().all(|finding| finding.status == ConditionStatus::False), "{all:?}");
    assert_eq!(all[0].message, "events sent to http://orders.shop.svc are stored");
}

#[test]
fn every_condition_is_present_before_anything_is_known() {
    let nothing = with(|observed| {
        observed.rollout = None;
        observed.pods.clear();
    });
    let all = conditions(&nothing);
    assert_eq!(all.len(), 11);
    assert_eq!(judged(&nothing, ConditionType::RoleAssumed)[0], (ConditionStatus::Unknown, Reason::Pending));
    assert_eq!(judged(&nothing, ConditionType::SidecarAvailable), [(ConditionStatus::False, Reason::Progressing); 2]);
}

#[test]
fn a_function_that_the_platform_forbids_is_not_accepted() {
    for reason in [Reason::RoleNotAllowed, Reason::EndpointNotAllowed] {
        for (stopped, reported) in
            [(false, "no; its sidecars are being stopped"), (true, "no; its sidecars are stopped")]
        {
            let refusal = Refusal { reason, message: "no".to_owned(), effect: RefusalEffect::Stop };
            let refused = with(|observed| (observed.refusal, observed.stopped) = (Some(refusal), stopped));
            assert_eq!(judged(&refused, ConditionType::Accepted), [(ConditionStatus::False, reason); 2]);
            assert_eq!(judged(&refused, ConditionType::UpToDate)[0], (ConditionStatus::False, reason));
            assert_eq!(conditions(&refused)[1].message, reported);
        }
    }
    let clash = with(|observed| observed.problem = Some(problem(Reason::NameClash)));
    assert_eq!(judged(&clash, ConditionType::Accepted), [(ConditionStatus::False, Reason::NameClash); 2]);
    let prefix = with(|observed| {
        let reported = ConditionType::ExternalIdAvailable;
        observed.pods =
            vec![reporting(pod("a", false), reported, ConditionStatus::False, Reason::ExternalIdNotAllowed)];
    });
    assert_eq!(judged(&prefix, ConditionType::Accepted), [(ConditionStatus::False, Reason::ExternalIdNotAllowed); 2]);
}

#[test]
fn violations_of_audited_grants_are_reported_and_do_not_stop_the_function() {
    let refusal = Refusal { reason: Reason::RoleNotAllowed, message: "no".to_owned(), effect: RefusalEffect::Stop };
    let audited = with(|observed| observed.audited = Some(refusal));
    assert_eq!(judged(&audited, ConditionType::Accepted), [(ConditionStatus::True, Reason::RoleNotAllowed); 2]);
    assert_eq!(conditions(&audited)[0].message, "no. Its sidecars keep running until the platform enforces its grants");
    let prefix = with(|observed| {
        let reported = ConditionType::ExternalIdAvailable;
        observed.pods = vec![reporting(pod("a", true), reported, ConditionStatus::True, Reason::ExternalIdNotAllowed)];
    });
    assert_eq!(judged(&prefix, ConditionType::Accepted), [(ConditionStatus::True, Reason::ExternalIdNotAllowed); 2]);
}

#[test]
fn a_held_back_change_does_not_affect_ready_while_old_sidecars_run() {
    let too_much = |held_back| {
        let message = "no".to_owned();
        let refusal = Refusal { reason: Reason::ResourcesOutOfBounds, message, effect: RefusalEffect::Freeze };
        with(|observed| (observed.refusal, observed.held_back) = (Some(refusal), held_back))
    };
    let refused = (ConditionStatus::False, Reason::ResourcesOutOfBounds);
    assert_eq!(judged(&too_much(true), ConditionType::Accepted), [refused, (ConditionStatus::True, Reason::Ok)]);
    assert_eq!(judged(&too_much(true), ConditionType::UpToDate)[0], refused);
    let mut never_ran = too_much(true);
    (never_ran.rollout, never_ran.pods) = (None, Vec::new());
    assert_eq!(judged(&never_ran, ConditionType::SidecarAvailable), [refused; 2]);

    let paused = |held_back| with(|observed| (observed.paused, observed.held_back) = (true, held_back));
    let is_paused = (ConditionStatus::True, Reason::Paused);
    for (held_back, up_to_date) in
        [(false, (ConditionStatus::True, Reason::Ok)), (true, (ConditionStatus::False, Reason::Paused))]
    {
        assert_eq!(judged(&paused(held_back), ConditionType::Accepted), [is_paused; 2]);
        assert_eq!(judged(&paused(held_back), ConditionType::UpToDate)[0], up_to_date);
        let all = conditions(&paused(held_back));
        assert!(all[0].message.starts_with("events sent to http://orders.shop.svc are stored; spec.paused is true"));
        assert_eq!(stuck_or_under_way(&paused(held_back)), None, "paused is not degraded");
    }
    let mut never_ran = paused(true);
    (never_ran.rollout, never_ran.pods) = (None, Vec::new());
    assert_eq!(judged(&never_ran, ConditionType::SidecarAvailable), [(ConditionStatus::False, Reason::Paused); 2]);
    assert_eq!(stuck_or_under_way(&never_ran), None);
}

/// Which of kstatus's conditions is True, and why.
fn stuck_or_under_way(observed: &Observed) -> Option<(ConditionType, Reason)> {
    let all = conditions(observed);
    let mut holding = all[9..].iter().filter(|finding| finding.status == ConditionStatus::True);
    let first = holding.next().map(|finding| (finding.r#type, finding.reason));
    assert_eq!(holding.next(), None, "kstatus takes the first");
    first
}

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
        (reporting(RoleAssumed, ConditionStatus::Unknown, Reason::Pending), None),
        (reporting(BucketWritable, ConditionStatus::Unknown, Reason::NotYetWritten), None),
        (reporting(RoleAssumed, ConditionStatus::True, Reason::RenewalFailing), None),
    ] {
        assert_eq!(stuck_or_under_way(&observed), expected, "{observed:?}");
    }
}

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
fn a_missing_secret_is_reported_by_ready_which_stays_true_until_the_session_ends() {
    use ConditionType::{ExternalIdAvailable, RoleAssumed};
    for reason in [Reason::SecretNotFound, Reason::SecretKeyNotFound, Reason::InvalidExternalId] {
        let gone = || reporting(pod("a", true), ExternalIdAvailable, ConditionStatus::False, reason);
        let mut lives = gone();
        let SidecarAnswer::Status(reported) = &mut lives.answer else { panic!("it says nothing") };
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
    assert_eq!(stuck_or_under_way(&rolling), Some((ConditionType::Stalled, Reason::AccessDenied)));
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
fn an_oom_kill_is_reported_whether_or_not_the_sidecar_runs_again() {
    let killed = |ready, answer: SidecarAnswer| {
        let problem = Some(problem(Reason::OOMKilled));
        with(|observed| observed.pods = vec![Pod { problem, answer, ..pod("a", ready) }])
    };
    let available = |observed| judged(&observed, ConditionType::SidecarAvailable);
    assert_eq!(available(killed(true, pod("a", true).answer)), [(ConditionStatus::True, Reason::OOMKilled); 2]);
    let silent = || SidecarAnswer::Failed("connection refused".to_owned());
    assert_eq!(
        available(killed(true, silent()))[0],
        (ConditionStatus::True, Reason::OOMKilled),
        "nor is it unreachable"
    );
    assert_eq!(available(killed(false, silent())), [(ConditionStatus::False, Reason::OOMKilled); 2]);
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
fn a_renewal_that_begins_to_fail_gets_events_of_its_condition_and_of_ready() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let before = status(&fine(), Some(1), "a=b".to_owned(), None, at(100));
    let failing = with(|observed| {
        let reported = ConditionType::RoleAssumed;
        observed.pods = vec![reporting(pod("a", true), reported, ConditionStatus::True, Reason::RenewalFailing)];
    });
    let after = status(&failing, Some(1), "a=b".to_owned(), Some(&before), at(200));
    let Change::Conditions(changed) = changes(Some(&before), &after) else { panic!("it is no news") };
    let names: Vec<_> = changed.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(names, ["Ready", "RoleAssumed"]);
    assert!(changed.iter().all(|condition| condition.status == "True" && condition.reason == "RenewalFailing"));
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
fn pods_that_do_not_run_are_reported_with_the_cause() {
    for reason in [Reason::ImagePull, Reason::CrashLoop, Reason::Unschedulable] {
        let broken = with(|observed| {
            observed.rollout = Some(Rollout { wanted: 1, replicas: 1, ..Rollout::default() });
            let answer = SidecarAnswer::NotAsked;
            observed.pods = vec![Pod { problem: Some(problem(reason)), answer, ..pod("a", false) }];
        });
        assert_eq!(judged(&broken, ConditionType::SidecarAvailable), [(ConditionStatus::False, reason); 2]);
    }
    let quota = with(|observed| {
        observed.pods.clear();
        let problem = Some(problem(Reason::QuotaExceeded));
        observed.rollout = Some(Rollout { wanted: 1, problem, ..Rollout::default() });
    });
    assert_eq!(judged(&quota, ConditionType::SidecarAvailable), [(ConditionStatus::False, Reason::QuotaExceeded); 2]);
    let none = with(|observed| observed.rollout = Some(Rollout::default()));
    assert_eq!(judged(&none, ConditionType::SidecarAvailable)[0], (ConditionStatus::False, Reason::NoReplicas));
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

#[test]
fn a_new_sidecar_that_does_not_start_is_reported_by_up_to_date_while_the_old_one_serves() {
    let upgraded = with(|observed| {
        let new = Pod { problem: Some(problem(Reason::ImagePull)), answer: SidecarAnswer::NotAsked, ..pod("b", false) };
        observed.rollout = Some(Rollout { wanted: 1, replicas: 2, ready: 1, ..Rollout::default() });
        (observed.pods, observed.pods_before) = (vec![new], vec![pod("a", true)]);
    });
    assert_eq!(
        judged(&upgraded, ConditionType::UpToDate),
        [(ConditionStatus::False, Reason::ImagePull), (ConditionStatus::True, Reason::Ok)]
    );
    assert_eq!(judged(&upgraded, ConditionType::SidecarAvailable)[0], (ConditionStatus::True, Reason::Ok));
}

#[test]
fn sidecars_that_cannot_be_polled_are_unreachable() {
    let silent = with(|observed| {
        let answer = SidecarAnswer::Failed("no answer in 2 s".to_owned());
        observed.pods = vec![Pod { answer, ..pod("a", true) }];
    });
    assert_eq!(
        judged(&silent, ConditionType::SidecarAvailable)[0],
        (ConditionStatus::Unknown, Reason::SidecarUnreachable)
    );
    assert_eq!(
        judged(&silent, ConditionType::RoleAssumed),
        [(ConditionStatus::Unknown, Reason::SidecarUnreachable); 2]
    );
}

#[test]
fn a_condition_keeps_its_transition_time_until_its_status_changes() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let first = status(&fine(), Some(1), "a=b".to_owned(), None, at(100));
    let again = status(&fine(), Some(1), "a=b".to_owned(), Some(&first), at(200));
    assert_eq!(changes(Some(&first), &again), Change::None);

    let denied = |message: &str| {
        with(|observed| {
            let mut pod =
                reporting(pod("a", true), ConditionType::BucketWritable, ConditionStatus::False, Reason::AccessDenied);
            let SidecarAnswer::Status(reported) = &mut pod.answer else { panic!("it says nothing") };
            message.clone_into(&mut reported.conditions[4].message);
            observed.pods = vec![pod];
        })
    };
    let one = status(&denied("of one key"), Some(1), "a=b".to_owned(), Some(&again), at(300));
    let Change::Conditions(changed) = changes(Some(&again), &one) else { panic!("it has turned") };
    let names: Vec<_> = changed.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(names, ["Ready", "BucketWritable"]);
    let times: Vec<_> = one.conditions.iter().map(|condition| condition.last_transition_time.0.as_second()).collect();
    assert_eq!(times, [300, 100, 100, 100, 100, 100, 300, 100, 100, 100, 300]);

    let other = status(&denied("of another key"), Some(1), "a=b".to_owned(), Some(&one), at(400));
    assert_eq!(changes(Some(&one), &other), Change::Messages);
    // A new observed generation is written, but deserves no Event.
    let seen = status(&denied("of one key"), Some(2), "a=b".to_owned(), Some(&one), at(500));
    assert_eq!(changes(Some(&one), &seen), Change::Conditions(vec![]));
}

/// The Events about a function that was observed like this, one after the other.
fn news(observed: &[Observed]) -> Vec<Vec<String>> {
    let mut before = None;
    let events = observed.iter().map(|observed| {
        let after = status(observed, Some(1), "a=b".to_owned(), before.as_ref(), Timestamp::UNIX_EPOCH);
        let change = changes(before.as_ref(), &after);
        before = Some(after);
        let Change::Conditions(news) = change else { return Vec::new() };
        news.iter().map(|condition| format!("{} {}", condition.type_, condition.reason)).collect()
    });
    events.collect()
}

#[test]
fn a_successful_start_gets_one_event_and_a_successful_rollout_none() {
    let nothing = with(|observed| {
        observed.rollout = None;
        observed.pods.clear();
    });
    let starting = with(|observed| {
        observed.rollout = Some(Rollout { wanted: 1, replicas: 1, ..Rollout::default() });
        observed.pods = vec![Pod { answer: SidecarAnswer::NotAsked, ..pod("a", false) }];
    });
    let unready = with(|observed| {
        observed.rollout = Some(Rollout { wanted: 1, replicas: 1, ..Rollout::default() });
        observed.pods = vec![pod("a", false)];
    });
    assert_eq!(news(&[nothing, starting, unready, fine()]), [vec![], vec![], vec![], vec!["Ready Ok"]]);
    let roll = |decision| {
        with(|observed| {
            observed.rollout.as_mut().unwrap().complete = false;
            observed.decision = decision;
        })
    };
    let waits = [
        fine(),
        roll(RolloutDecision::Wait(5)),
        roll(RolloutDecision::Halted(9)),
        roll(RolloutDecision::Proceed),
        fine(),
    ];
    assert_eq!(news(&waits)[1..], [vec![], vec![], vec![], Vec::<String>::new()]);
}

#[test]
fn the_start_and_the_end_of_a_fault_get_one_event_each() {
    let denied = with(|observed| {
        observed.pods =
            vec![reporting(pod("a", true), ConditionType::RoleAssumed, ConditionStatus::False, Reason::AccessDenied)];
    });
    let events = news(&[fine(), denied.clone(), denied, fine()]);
    assert_eq!(
        events[1..],
        [vec!["Ready AccessDenied", "RoleAssumed AccessDenied"], vec![], vec!["Ready Ok", "RoleAssumed Ok"]]
    );
    let failed = with(|observed| {
        observed.rollout.as_mut().unwrap().complete = false;
        observed.decision = RolloutDecision::Failed;
    });
    assert_eq!(news(&[fine(), failed, fine()])[1..], [vec!["UpToDate RolloutFailed"], vec!["UpToDate Ok"]]);
    let silent = with(|observed| observed.pods[0].answer = SidecarAnswer::Failed("no answer".to_owned()));
    assert!(news(&[fine(), silent])[1].contains(&"SidecarAvailable SidecarUnreachable".to_owned()));
}

/// The conditions that a status written from `observed` records.
fn recorded_of(observed: &Observed) -> Vec<Finding> {
    recorded(&status(observed, Some(1), String::new(), None, Timestamp::UNIX_EPOCH), Some(1))
}

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
        // Another sidecar has answered that all is well; what was recorded may still hold for the first.
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

#[test]
fn an_incomplete_rollout_is_reported_by_up_to_date_and_leaves_ready_true() {
    let rollout = |change: fn(&mut Rollout)| with(|observed| change(observed.rollout.as_mut().unwrap()));
    let decision = |decision| {
        with(|observed| {
            observed.rollout.as_mut().unwrap().complete = false;
            observed.decision = decision;
        })
    };
    for (observed, reason, part) in [
        (
            rollout(|rollout| rollout.complete = false),
            Reason::Progressing,
            "1 of 1 sidecars with the current configuration are ready",
        ),
        (decision(RolloutDecision::Wait(5)), Reason::RolloutWaiting, "5 other functions are rolling it out"),
        (decision(RolloutDecision::Halted(10)), Reason::RolloutHalted, "it failed for 10 functions"),
        (
            decision(RolloutDecision::Failed),
            Reason::RolloutFailed,
            "did not become ready within the Deployment's deadline",
        ),
    ] {
        let all = conditions(&observed);
        let [ready, up_to_date] = [&all[0], get(&all, ConditionType::UpToDate)];
        assert_eq!((ready.r#type, ready.status), (ConditionType::Ready, ConditionStatus::True), "{reason}");
        assert_eq!(
            (up_to_date.r#type, up_to_date.status),
            (ConditionType::UpToDate, ConditionStatus::False),
            "{reason}"
        );
        assert_eq!(up_to_date.reason, reason);
        assert!(up_to_date.message.contains(part), "{}", up_to_date.message);
    }
    assert_eq!(get(&conditions(&fine()), ConditionType::UpToDate).status, ConditionStatus::True);
}

#[test]
fn a_transient_fault_becomes_the_cause_after_the_deadline() {
    use Reason::{AccessDenied, NoBaseIdentity, Progressing, StsUnreachable, Throttled};
    for (reported, before, after, quoted) in [
        (AccessDenied, AccessDenied, AccessDenied, "AccessDenied says new"),
        (
            NoBaseIdentity,
            NoBaseIdentity,
            NoBaseIdentity,
            "the sidecar has no base identity: there is no Secret aws-base",
        ),
        (StsUnreachable, Progressing, StsUnreachable, "StsUnreachable says new"),
        (Throttled, Progressing, Throttled, "Throttled says new"),
    ] {
        let starting = |stuck| {
            with(|observed| {
                let new = reporting(pod("new", false), ConditionType::RoleAssumed, ConditionStatus::False, reported);
                observed.rollout = Some(Rollout { wanted: 1, replicas: 2, stuck, ..Rollout::default() });
                (observed.pods, observed.pods_before) = (vec![new], vec![pod("old", true)]);
            })
        };
        assert_eq!(judged(&starting(false), ConditionType::UpToDate)[0], (ConditionStatus::False, before));
        assert_eq!(judged(&starting(true), ConditionType::UpToDate)[0], (ConditionStatus::False, after));
        let message = get(&conditions(&starting(true)), ConditionType::UpToDate).message.clone();
        assert!(message.ends_with(&format!("; one that is not reports \"{quoted}\"")), "{message}");
    }
}

#[test]
fn a_failed_rollout_names_its_cause() {
    let mut broken =
        reporting(pod("new", false), ConditionType::RoleAssumed, ConditionStatus::False, Reason::AccessDenied);
    let failed = |new: Pod| {
        let observed = with(|observed| {
            observed.rollout.as_mut().unwrap().complete = false;
            observed.decision = RolloutDecision::Failed;
            observed.pods.push(new);
        });
        get(&conditions(&observed), ConditionType::UpToDate).message.clone()
    };
    assert!(failed(broken.clone()).ends_with("it reports \"AccessDenied says new\""), "{}", failed(broken));
    broken = pod("new", false);
    broken.answer = SidecarAnswer::NotAsked;
    broken.problem = Some(problem(Reason::ImagePull));
    assert!(failed(broken.clone()).ends_with(": ImagePull happened"), "{}", failed(broken));
}
