use super::*;

fn pod_with(status: &str) -> KubePod {
    let text = format!(
        "{{metadata: {{name: orders-1, namespace: shop, labels: {{tributary.dev/config: h}}}}, \
         spec: {{containers: [{{name: sidecar, resources: {{limits: {{memory: 256Mi}}}}}}]}}, status: {status}}}"
    );
    serde_yaml::from_str(&text).unwrap()
}

fn at() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn container_with(state: &str) -> Option<Problem> {
    let status = format!("{{containerStatuses: [{{name: sidecar, image: i, imageID: '', ready: false, {state}}}]}}");
    problem(&pod_with(&status), at())
}

#[test]
fn a_pod_that_does_not_run_is_reported_with_its_cause() {
    for (state, reason, part) in [
        (
            "restartCount: 0, state: {waiting: {reason: ImagePullBackOff, message: no such host}}",
            Reason::ImagePull,
            "no such host",
        ),
        (
            "restartCount: 0, state: {waiting: {reason: ErrImageNeverPull}}",
            Reason::ImagePull,
            "image i can't be pulled (ErrImageNeverPull): the platform's owner must correct image.registry, image.tag, \
             image.references or imagePullSecrets in the chart's values",
        ),
        (
            "restartCount: 4, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 64, reason: Error}}",
            Reason::CrashLoop,
            "4 times after it had started, the last time with exit code 64 (Error); kubectl logs --namespace shop orders-1",
        ),
        (
            "restartCount: 2, state: {running: {}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}",
            Reason::OOMKilled,
            "its memory limit of 256Mi: raise spec.resources.limits.memory; kubectl describe pod --namespace shop orders-1",
        ),
        (
            "restartCount: 1, state: {terminated: {exitCode: 1, reason: Error}}",
            Reason::CrashLoop,
            "the sidecar ended once after it had started, with exit code 1 (Error); kubectl",
        ),
        (
            "restartCount: 1, state: {terminated: {exitCode: 64, reason: Error, message: \"a\\nno such file\\n\"}}",
            Reason::CrashLoop,
            "with exit code 64 (Error) and \"no such file\"; kubectl logs",
        ),
        (
            "restartCount: 1, state: {terminated: {exitCode: 128, reason: StartError, message: memory limit too low?}}",
            Reason::CrashLoop,
            "128 (StartError: raise spec.resources.limits.memory); kubectl logs",
        ),
        (
            "restartCount: 0, state: {waiting: {reason: CreateContainerConfigError, message: no such key}}",
            Reason::ContainerError,
            "(CreateContainerConfigError): no such key",
        ),
    ] {
        let problem = container_with(state).unwrap();
        assert_eq!(problem.reason, reason, "{state}");
        assert!(problem.message.contains(part), "{}", problem.message);
    }
    let attempt = "restartCount: 0, state: {waiting: {reason: ErrImagePull, message: 'failed to resolve: not found'}}";
    let pause = "restartCount: 0, state: {waiting: {reason: ImagePullBackOff, message: 'Back-off pulling image \"i\": \
                 ErrImagePull: failed to resolve: not found'}}";
    assert_eq!(container_with(attempt).unwrap().message, container_with(pause).unwrap().message);
    let problem = problem(&unschedulable_since("11:59:45"), at()).unwrap();
    assert_eq!(problem.reason, Reason::Unschedulable);
    assert!(problem.message.contains("0/3 nodes"));
}

/// A pod that has been unschedulable since this time of the day.
fn unschedulable_since(since: &str) -> KubePod {
    pod_with(&format!(
        "{{conditions: [{{type: PodScheduled, status: 'False', reason: Unschedulable, message: 0/3 nodes, \
         lastTransitionTime: '2026-03-01T{since}Z'}}]}}"
    ))
}

#[test]
fn a_pod_is_unschedulable_only_after_a_while() {
    for (since, due_in) in [("11:59:46", Some(1)), ("12:00:10", Some(15)), ("11:59:45", None), ("10:00:00", None)] {
        let pod = pod(&unschedulable_since(since), None, None, || false, at());
        assert_eq!(pod.due_in, due_in.map(Duration::from_secs), "{since}");
        assert_eq!(pod.problem.is_some(), due_in.is_none(), "{since}");
    }
    for (since, due_in) in [("11:59:46", Some(1)), ("11:59:45", Some(5)), ("11:58:31", Some(5)), ("11:58:30", None)] {
        let pod = pod(&unschedulable_since(since), None, None, || true, at());
        assert_eq!(pod.due_in, due_in.map(Duration::from_secs), "{since}, while others take turns");
    }
}

#[test]
fn a_pod_that_starts_has_no_problem() {
    for state in [
        "restartCount: 0, state: {waiting: {reason: ContainerCreating}}",
        "restartCount: 0, state: {running: {}}",
        "restartCount: 1, state: {running: {}}, lastState: {terminated: {exitCode: 1}}",
        "restartCount: 0, state: {terminated: {exitCode: 0}}",
    ] {
        assert_eq!(container_with(state), None, "{state}");
    }
    assert_eq!(problem(&pod_with("{}"), at()), None);
}

#[test]
fn a_ready_pod_has_no_problem_although_it_crashed_before() {
    let status = "{conditions: [{type: Ready, status: 'True'}], \
                  containerStatuses: [{name: sidecar, image: i, imageID: '', ready: true, restartCount: 3, \
                  state: {running: {}}, lastState: {terminated: {exitCode: 1}}}]}";
    assert_eq!(pod(&pod_with(status), None, None, || false, at()).problem, None);
}

#[test]
fn a_pod_of_an_earlier_template_is_no_cause_of_anything_unless_it_is_ready() {
    let of = |ready: &str, state: &str| {
        let status = format!(
            "{{conditions: [{{type: Ready, status: '{ready}'}}], containerStatuses: [{{name: sidecar, image: i, \
             imageID: '', ready: false, restartCount: 1, {state}}}]}}"
        );
        let mut found = pod_with(&status);
        found.labels_mut().insert(label::TEMPLATE.to_owned(), "t".to_owned());
        ["t", "u"].map(|template| {
            let pod = pod(&found, Some(template), None, || false, at());
            (pod.outdated, pod.problem.map(|problem| problem.reason))
        })
    };
    let pull = of("False", "state: {waiting: {reason: ErrImagePull}}");
    assert_eq!(pull, [(false, Some(Reason::ImagePull)), (true, None)]);
    let killed = of("True", "state: {running: {}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}");
    assert_eq!(killed, [(false, Some(Reason::OOMKilled)), (true, Some(Reason::OOMKilled))]);
}

#[test]
fn an_oom_kill_is_reported_for_an_hour_after_the_restart() {
    for (ended, is_reported) in [("11:01:00", true), ("10:59:00", false)] {
        let status = format!(
            "{{containerStatuses: [{{name: sidecar, image: i, imageID: '', ready: true, restartCount: 1, \
             state: {{running: {{}}}}, lastState: {{terminated: {{exitCode: 137, reason: OOMKilled, \
             finishedAt: '2026-03-01T{ended}Z'}}}}}}]}}"
        );
        let found = out_of_memory(&pod_with(&status), at()).map(|problem| problem.message);
        assert_eq!(found.is_some(), is_reported, "{ended}");
        assert!(found.is_none_or(|said| said.contains("for exceeding its memory limit of 256Mi")));
    }
}

#[test]
fn a_pod_that_starts_or_ends_may_make_room() {
    let of = |spec: &str, status: &str| {
        let mut pod = pod_with(status);
        pod.spec = serde_yaml::from_str(spec).unwrap();
        pod
    };
    let placed = "{containers: [], nodeName: n}";
    assert!(is_changing(&of(placed, "{phase: Pending}")));
    assert!(!is_changing(&of(placed, "{phase: Running, conditions: [{type: Ready, status: 'True'}]}")));
    assert!(!is_changing(&of(placed, "{phase: Failed}")));
    assert!(!is_changing(&of("{containers: []}", "{phase: Pending}")), "it waits itself");
    let mut ending = of(placed, "{phase: Running, conditions: [{type: Ready, status: 'True'}]}");
    ending.metadata.deletion_timestamp = serde_yaml::from_str("2026-01-01T00:00:00Z").unwrap();
    assert!(is_changing(&ending));
}

#[test]
fn pods_of_other_configurations_and_pods_that_end_do_not_count() {
    let mut current = pod_with("{phase: Running}");
    assert!(is_current(&current, "h") && !is_current(&current, "g"));
    assert!(!is_current(&pod_with("{phase: Failed}"), "h"));
    current.metadata.deletion_timestamp = serde_yaml::from_str("2026-01-01T00:00:00Z").unwrap();
    assert!(!is_current(&current, "h"));
}
