//! SidecarAvailable.

use super::*;

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
