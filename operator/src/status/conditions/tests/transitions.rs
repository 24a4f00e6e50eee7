//! The changes of a status: transition times, and which changes get Events.

use jiff::Timestamp;
use tributary_crds::conditions::FunctionStatus;

use super::*;
use crate::status::function_status;
use crate::status::function_status::{Change, OpenFaults};

/// The change of a status, without an earlier history.
fn changes(before: Option<&FunctionStatus>, after: &FunctionStatus) -> Change {
    let open_faults =
        OpenFaults::default().updated(before.map(|before| before.conditions.as_slice()).unwrap_or_default());
    function_status::changes(before, after, &open_faults)
}

#[test]
fn a_renewal_that_begins_to_fail_gets_one_event() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let before = status(&fine(), Some(1), "a=b".to_owned(), None, at(100));
    let failing = with(|observed| {
        let reported = ConditionType::RoleAssumed;
        observed.pods = vec![reporting(pod("a", true), reported, ConditionStatus::True, Reason::RenewalFailing)];
    });
    let after = status(&failing, Some(1), "a=b".to_owned(), Some(&before), at(200));
    let Change::Conditions(changed) = changes(Some(&before), &after) else {
        panic!("the conditions should have changed")
    };
    let names: Vec<_> = changed.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(names, ["RoleAssumed"]);
    assert!(changed.iter().all(|condition| condition.status == "True" && condition.reason == "RenewalFailing"));
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
            let SidecarAnswer::Status(reported) = &mut pod.answer else { panic!("the pod has no status") };
            message.clone_into(&mut reported.conditions[4].message);
            observed.pods = vec![pod];
        })
    };
    let one = status(&denied("of one key"), Some(1), "a=b".to_owned(), Some(&again), at(300));
    let Change::Conditions(changed) = changes(Some(&again), &one) else { panic!("the conditions should have changed") };
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
fn events(observed: &[Observed]) -> Vec<Vec<String>> {
    let (mut before, mut open_faults) = (None, OpenFaults::default());
    let all = observed.iter().map(|observed| {
        let after = status(observed, Some(1), "a=b".to_owned(), before.as_ref(), Timestamp::UNIX_EPOCH);
        let change = function_status::changes(before.as_ref(), &after, &open_faults);
        open_faults = std::mem::take(&mut open_faults).updated(&after.conditions);
        before = Some(after);
        let Change::Conditions(changed) = change else { return Vec::new() };
        changed.iter().map(|condition| format!("{} {}", condition.type_, condition.reason)).collect()
    });
    all.collect()
}

#[test]
fn a_sidecar_that_answers_no_more_gets_events_of_its_cause_only() {
    let silent = with(|observed| {
        let problem = Some(problem(Reason::OOMKilled));
        observed.pods = vec![Pod { problem, answer: SidecarAnswer::Failed("refused".to_owned()), ..pod("a", false) }];
    });
    let changed = events(&[fine(), silent]).remove(1);
    assert_eq!(changed, ["Ready OOMKilled", "SidecarAvailable OOMKilled"]);
}

#[test]
fn an_external_id_that_is_not_allowed_gets_one_event_beside_ready() {
    let reported = ConditionType::ExternalIdAvailable;
    let observed = |status| {
        with(|observed| {
            observed.pods = vec![reporting(pod("a", true), reported, status, Reason::ExternalIdNotAllowed)];
        })
    };
    for status in [ConditionStatus::True, ConditionStatus::False] {
        let changed = events(&[fine(), observed(status)]).remove(1);
        let others: Vec<_> = changed.iter().filter(|event| !event.starts_with("Ready ")).collect();
        assert_eq!(others, ["Accepted ExternalIdNotAllowed"], "{status}");
    }
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
    assert_eq!(events(&[nothing, starting, unready, fine()]), [vec![], vec![], vec![], vec!["Ready Ok"]]);
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
    assert_eq!(events(&waits)[1..], [vec![], vec![], vec![], Vec::<String>::new()]);
}

#[test]
fn a_loss_of_all_sidecars_gets_an_event_although_they_are_replaced() {
    let lost = with(|observed| {
        observed.rollout = Some(Rollout { wanted: 1, replicas: 1, ..Rollout::default() });
        observed.pods = vec![Pod { answer: SidecarAnswer::NotAsked, ..pod("b", false) }];
    });
    assert_eq!(events(&[fine(), lost, fine()])[1..], [vec!["Ready Progressing"], vec!["Ready Ok"]]);
}

#[test]
fn the_start_and_the_end_of_a_warning_get_one_event_each() {
    let renewal = reporting(pod("a", true), ConditionType::RoleAssumed, ConditionStatus::True, Reason::RenewalFailing);
    let renewal = with(|observed| observed.pods = vec![renewal]);
    assert_eq!(events(&[fine(), renewal, fine()])[1..], [vec!["RoleAssumed RenewalFailing"], vec!["RoleAssumed Ok"]]);
}

#[test]
fn a_secret_that_is_missing_while_the_session_lives_gets_one_event() {
    let missing =
        reporting(pod("a", true), ConditionType::ExternalIdAvailable, ConditionStatus::False, Reason::SecretNotFound);
    let missing = with(|observed| observed.pods = vec![missing]);
    assert_eq!(
        events(&[fine(), missing, fine()])[1..],
        [vec!["ExternalIdAvailable SecretNotFound"], vec!["ExternalIdAvailable Ok"]]
    );
}

#[test]
fn new_sidecars_that_have_uploaded_nothing_get_no_event() {
    let fresh =
        reporting(pod("b", true), ConditionType::BucketWritable, ConditionStatus::Unknown, Reason::NotYetWritten);
    let fresh = with(|observed| observed.pods = vec![fresh]);
    assert_eq!(events(&[fine(), fresh, fine()])[1..], [vec![], Vec::<String>::new()]);
}

#[test]
fn the_start_and_the_end_of_a_fault_get_one_event_each() {
    let denied = with(|observed| {
        observed.pods =
            vec![reporting(pod("a", true), ConditionType::RoleAssumed, ConditionStatus::False, Reason::AccessDenied)];
    });
    let published = events(&[fine(), denied.clone(), denied, fine()]);
    assert_eq!(
        published[1..],
        [vec!["Ready AccessDenied", "RoleAssumed AccessDenied"], vec![], vec!["Ready Ok", "RoleAssumed Ok"]]
    );
    let failed = with(|observed| {
        observed.rollout.as_mut().unwrap().complete = false;
        observed.decision = RolloutDecision::Failed;
    });
    assert_eq!(events(&[fine(), failed, fine()])[1..], [vec!["UpToDate RolloutFailed"], vec!["UpToDate Ok"]]);
    let silent = with(|observed| observed.pods[0].answer = SidecarAnswer::Failed("no answer".to_owned()));
    assert!(events(&[fine(), silent])[1].contains(&"SidecarAvailable SidecarUnreachable".to_owned()));
}

/// While the sidecars are replaced, no status shows the fault that is being repaired.
#[test]
fn the_end_of_a_fault_gets_an_event_even_if_its_repair_takes_a_while() {
    let rolling = |problem| {
        with(|observed| {
            let rollout = Rollout { wanted: 1, replicas: 2, ready: 1, problem, ..Rollout::default() };
            let new = Pod { answer: SidecarAnswer::NotAsked, ..pod("b", false) };
            (observed.rollout, observed.pods, observed.pods_before) = (Some(rollout), vec![new], vec![pod("a", true)]);
        })
    };
    let history = [fine(), rolling(Some(problem(Reason::QuotaExceeded))), rolling(None), fine(), rolling(None), fine()];
    let expected = [vec!["UpToDate QuotaExceeded"], vec![], vec!["UpToDate Ok"], vec![], vec![]];
    assert_eq!(events(&history)[1..], expected);

    let denied = reporting(pod("a", true), ConditionType::RoleAssumed, ConditionStatus::False, Reason::AccessDenied);
    let denied = with(|observed| observed.pods = vec![denied]);
    let restarted = reporting(pod("b", true), ConditionType::RoleAssumed, ConditionStatus::Unknown, Reason::Pending);
    let restarted = with(|observed| observed.pods = vec![restarted]);
    assert_eq!(events(&[denied, restarted, fine()])[2], ["Ready Ok", "RoleAssumed Ok"]);
}

#[test]
fn a_cause_that_several_conditions_share_gets_one_event_of_the_first() {
    let clash = with(|observed| {
        observed.problem = Some(problem(Reason::NameClash));
        (observed.rollout, observed.pods) = (None, Vec::new());
    });
    let published = events(&[clash, fine()]);
    assert_eq!(published[0], ["Ready NameClash", "Accepted NameClash"]);
    assert_eq!(published[1], ["Ready Ok", "Accepted Ok"]);
}
