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

#[test]
fn only_a_lack_of_resources_is_the_functions_own() {
    let lacks = |reason, message: &str, outdated, ready| {
        let problem = Some(Problem { reason, message: message.to_owned() });
        with(|observed| observed.pods = vec![Pod { problem, outdated, ..pod("a", ready) }])
            .new_sidecar_lacks_resources()
    };
    let full = "no node can run the sidecar. Kubernetes said: 0/2 nodes are available: 2 Insufficient cpu.";
    assert!(lacks(Reason::Unschedulable, full, false, false));
    assert!(lacks(Reason::OOMKilled, "the kernel killed the sidecar", false, false));
    let selector = "Kubernetes said: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.";
    assert!(!lacks(Reason::Unschedulable, selector, false, false), "it is the platform's");
    assert!(!lacks(Reason::ImagePull, "the image can't be pulled", false, false));
    assert!(
        !lacks(Reason::OOMKilled, "the old sidecar", true, false) && !lacks(Reason::OOMKilled, "it runs", false, true)
    );
}
