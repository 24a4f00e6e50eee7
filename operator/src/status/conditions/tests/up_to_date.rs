//! UpToDate.

use super::*;

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
fn an_incomplete_rollout_is_reported_by_up_to_date_and_leaves_ready_true() {
    let rollout = |change: fn(&mut Rollout)| with(|observed| change(observed.rollout.as_mut().unwrap()));
    let decision = |decision| {
        with(|observed| {
            observed.rollout.as_mut().unwrap().complete = false;
            observed.decision = decision;
        })
    };
    for (observed, reason, part) in [
        (rollout(|rollout| rollout.complete = false), Reason::Progressing, "sidecars are being replaced"),
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
        assert!(message.ends_with(&format!("; one that is not ready reports \"{quoted}\"")), "{message}");
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
