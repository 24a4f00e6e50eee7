//! Tests of the rollout slots: scenarios step by step, and random sequences.

use k8s_openapi::api::apps::v1::Deployment;
use proptest::prelude::*;
use tributary_crds::conditions::FunctionStatus;

use super::*;
use crate::names::labels;

const STUCK: &str = "{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}";
const REFUSED: &str = "{type: ReplicaFailure, status: 'True', message: exceeded quota}";

fn rollouts(max_concurrent: usize, max_failed: usize) -> Rollouts {
    Rollouts { max_concurrent, max_failed, state: Mutex::default() }
}

/// A completely rolled Deployment with these hashes of its template and of its owner's part.
fn deployment(template: &str, owner: &str) -> Arc<Deployment> {
    let mut deployment: Deployment = serde_yaml::from_str(
        "{metadata: {generation: 1}, spec: {replicas: 1, selector: {}, template: {}}, status: \
         {observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1}}",
    )
    .unwrap();
    deployment.metadata.annotations =
        Some(labels([(annotation::TEMPLATE_HASH, template), (annotation::FUNCTION_HASH, owner)]));
    Arc::new(deployment)
}

/// A Deployment whose new pod is not ready, with these conditions.
fn rolling(template: &str, conditions: &[&str]) -> Arc<Deployment> {
    let mut deployment = deployment(template, "f");
    let status = Arc::make_mut(&mut deployment).status.as_mut().unwrap();
    status.replicas = Some(2);
    status.conditions = Some(conditions.iter().map(|text| serde_yaml::from_str(text).unwrap()).collect());
    deployment
}

fn demanding(mut deployment: Arc<Deployment>, demands: &str) -> Arc<Deployment> {
    Arc::make_mut(&mut deployment).annotations_mut().insert(annotation::DEMANDS_HASH.to_owned(), demands.to_owned());
    deployment
}

fn function(name: &str) -> FunctionRef {
    FunctionRef::new("shop", name)
}

fn healthy<'a>(live: &'a Arc<Deployment>, desired: &'a Deployment) -> Roll<'a> {
    Roll { live: Some(live), desired, health: Health::Healthy, is_stuck: is_stuck(live), fails_by_function: false }
}

#[test]
fn the_platforms_change_rolls_a_few_at_a_time() {
    let rollouts = rollouts(1, 9);
    let (old, new) = (deployment("1", "f"), deployment("2", "f"));
    let (a, b, c) = (function("a"), function("b"), function("c"));
    let decision = |function: &FunctionRef, live: &Arc<Deployment>| {
        let (decision, consequences) = rollouts.decide(function, healthy(live, &new));
        (decision, consequences.requeue)
    };
    assert_eq!(decision(&a, &old), (RolloutDecision::Proceed, vec![]));
    assert_eq!(decision(&b, &old), (RolloutDecision::Wait(1), vec![]));
    // Decided again before the cache shows the write: it still holds its slot.
    assert_eq!(decision(&a, &old), (RolloutDecision::Proceed, vec![]));
    assert_eq!(decision(&a, &rolling("2", &[])), (RolloutDecision::Proceed, vec![]));
    assert_eq!(decision(&c, &old), (RolloutDecision::Wait(1), vec![]));
    assert_eq!(rollouts.counts(), RolloutCounts { rolling: 1, waiting: 2, failed: 0, halted: false });
    // Complete: the next function is requeued.
    assert_eq!(decision(&a, &new), (RolloutDecision::Proceed, vec![b.clone()]));
    assert_eq!(decision(&b, &old), (RolloutDecision::Proceed, vec![]));
    // Deleted, or no longer accepted.
    assert_eq!(rollouts.forget(&b).requeue, std::slice::from_ref(&c));
    assert_eq!(decision(&c, &old), (RolloutDecision::Proceed, vec![]));
    assert_eq!(decision(&a, &old), (RolloutDecision::Wait(1), vec![]));
    // A rollout whose write admission denies has not begun.
    assert_eq!(rollouts.denied(&c, healthy(&old, &new)).requeue, [a]);
}

#[test]
fn a_denied_write_of_another_child_does_not_free_the_slot() {
    let rollouts = rollouts(1, 9);
    let (old, new) = (deployment("1", "f"), deployment("2", "f"));
    rollouts.decide(&function("a"), healthy(&old, &new));
    rollouts.denied(&function("a"), healthy(&rolling("2", &[]), &new));
    assert_eq!(rollouts.decide(&function("b"), healthy(&old, &new)).0, RolloutDecision::Wait(1));
}

#[test]
fn a_failed_rollout_frees_its_slot_until_too_many_have_failed() {
    let rollouts = rollouts(1, 2);
    let (old, new, stuck) = (deployment("1", "f"), deployment("2", "f"), rolling("2", &[STUCK]));
    let [a, b, c] = ["a", "b", "c"].map(function);
    assert_eq!(rollouts.decide(&a, healthy(&old, &new)).0, RolloutDecision::Proceed);
    assert_eq!(rollouts.decide(&b, healthy(&old, &new)).0, RolloutDecision::Wait(1));
    let (decision, consequences) = rollouts.decide(&a, healthy(&stuck, &new));
    assert_eq!(
        (decision, consequences.requeue, consequences.halted_by),
        (RolloutDecision::Failed, vec![b.clone()], None)
    );
    assert_eq!(rollouts.decide(&b, healthy(&old, &new)).0, RolloutDecision::Proceed);
    assert_eq!(rollouts.decide(&c, healthy(&old, &new)).0, RolloutDecision::Wait(1));
    let (decision, consequences) = rollouts.decide(&b, healthy(&stuck, &new));
    assert_eq!(
        (decision, consequences.requeue),
        (RolloutDecision::Failed, vec![c.clone()]),
        "waiting functions must report the halt"
    );
    assert_eq!(consequences.halted_by, Some(vec![a.clone(), b.clone()]));
    assert_eq!(rollouts.decide(&c, healthy(&old, &new)).0, RolloutDecision::Halted(2));
    assert_eq!(rollouts.counts(), RolloutCounts { rolling: 0, waiting: 1, failed: 2, halted: true });
    // One of them completes after all: the rollout continues.
    let continues = Consequences { requeue: vec![c.clone()], halted_by: None, resumed: true };
    assert_eq!(rollouts.decide(&a, healthy(&new, &new)).1, continues);
    assert_eq!(rollouts.decide(&c, healthy(&old, &new)), (RolloutDecision::Proceed, Consequences::default()));
}

#[test]
fn another_sidecar_image_starts_with_no_failures() {
    let rollouts = rollouts(1, 1);
    let (old, new, stuck) = (deployment("1", "f"), deployment("2", "f"), rolling("2", &[STUCK]));
    let (a, b) = (function("a"), function("b"));
    rollouts.decide(&a, healthy(&old, &new));
    rollouts.decide(&a, healthy(&stuck, &new));
    assert_eq!(rollouts.decide(&b, healthy(&old, &new)).0, RolloutDecision::Halted(1));
    let fixed = deployment("3", "f");
    assert_eq!(rollouts.decide(&a, healthy(&stuck, &fixed)).0, RolloutDecision::Proceed);
    assert_eq!(rollouts.decide(&b, healthy(&old, &fixed)).0, RolloutDecision::Wait(1));
}

#[test]
fn the_deployment_of_a_waiting_function_is_kept_as_it_was() {
    let rollouts = rollouts(1, 9);
    let (old, new) = (deployment("1", "f"), deployment("2", "f"));
    let (full, waits) = (function("full"), function("waits"));
    let mut edited = old.clone();
    Arc::make_mut(&mut edited).spec.as_mut().unwrap().min_ready_seconds = Some(9);
    rollouts.decide(&full, healthy(&old, &new));
    for live in [&old, &edited] {
        assert_eq!(rollouts.decide(&waits, healthy(live, &new)).0, RolloutDecision::Wait(1));
        assert_eq!(rollouts.held(&waits), Some(old.clone()));
    }
    rollouts.decide(&full, healthy(&new, &new));
    assert_eq!(rollouts.decide(&waits, healthy(&edited, &new)).0, RolloutDecision::Proceed);
    assert_eq!(rollouts.held(&waits), None);
}

/// The owner's changes, functions that store no events, and the platform's security demands.
#[test]
fn urgent_rollouts_need_no_slot() {
    let rollouts = rollouts(1, 1);
    let (old, new, stuck) = (deployment("1", "f"), deployment("2", "f"), rolling("2", &[STUCK]));
    let full = function("full");
    rollouts.decide(&full, healthy(&old, &new));
    let mut without_pods = old.clone();
    Arc::make_mut(&mut without_pods).status.as_mut().unwrap().available_replicas = None;
    let (owners, demands) = (deployment("2", "g"), demanding(new.clone(), "prefix"));
    let others = demanding(old.clone(), "another-prefix");
    let is_broken = Roll { health: Health::Unhealthy, ..healthy(&old, &new) };
    let urgent = [
        healthy(&old, &owners),
        Roll { health: Health::Unknown, ..healthy(&without_pods, &new) },
        healthy(&old, &demands),
        healthy(&others, &demands),
        Roll { live: None, ..healthy(&old, &new) },
        is_broken,
    ];
    for halted in [false, true] {
        for (i, roll) in urgent.into_iter().enumerate() {
            let name = function(&format!("f-{i}"));
            assert_eq!(rollouts.decide(&name, roll).0, RolloutDecision::Proceed, "{i}");
            // It needs no slot and counts as no failure, however it ends.
            assert_eq!(rollouts.decide(&name, healthy(&stuck, &new)).0, RolloutDecision::Proceed, "{i}");
        }
        assert_eq!(rollouts.counts().halted, halted);
        rollouts.decide(&full, healthy(&stuck, &new));
    }
}

#[test]
fn a_demand_that_is_withdrawn_waits_like_any_change() {
    let rollouts = rollouts(1, 1);
    let (old, new) = (demanding(deployment("1", "f"), "prefix"), deployment("2", "f"));
    rollouts.decide(&function("a"), healthy(&old, &new));
    assert_eq!(rollouts.decide(&function("b"), healthy(&old, &new)).0, RolloutDecision::Wait(1));
}

#[test]
fn rollouts_that_fail_by_the_function_count_once_per_namespace() {
    let rollouts = rollouts(20, 3);
    let (old, new, stuck) = (deployment("1", "f"), deployment("2", "f"), rolling("2", &[STUCK]));
    let fail = |namespace: &str, name: &str| {
        let function = FunctionRef::new(namespace, name);
        rollouts.decide(&function, healthy(&old, &new));
        rollouts.decide(&function, Roll { fails_by_function: true, ..healthy(&stuck, &new) });
        rollouts.counts().halted
    };
    assert!((0..10).all(|i| !fail("tenant", &format!("f-{i}"))), "no tenant stops the rollout");
    assert!(!fail("another", "f"));
    assert!(fail("a-third", "f"), "a failure in every namespace is the platform's");
}

#[test]
fn a_new_leader_learns_that_the_function_is_the_cause() {
    let rollouts = rollouts(20, 3);
    let (new, stuck) = (deployment("2", "f"), rolling("2", &[STUCK]));
    for i in 0..5 {
        let function = function(&format!("f-{i}"));
        // Its status records only that the rollout failed.
        rollouts.lock().failed.insert(function.clone(), Cause::Sidecar);
        rollouts.decide(&function, Roll { fails_by_function: true, ..healthy(&stuck, &new) });
    }
    assert!(!rollouts.counts().halted && rollouts.counts().failed == 5);
    // The cause does not alternate with what the operator knows of the new sidecar.
    rollouts.decide(&function("f-0"), healthy(&stuck, &new));
    assert_eq!(rollouts.lock().failed[&function("f-0")], Cause::Function);
}

#[test]
fn a_namespace_without_room_frees_its_slot_at_the_deadline() {
    let rollouts = rollouts(1, 1);
    let (old, new) = (deployment("1", "f"), deployment("2", "f"));
    let (a, b) = (function("a"), function("b"));
    rollouts.decide(&a, healthy(&old, &new));
    // Other pods of its namespace may end and leave room, so it keeps its slot until the deadline.
    assert_eq!(rollouts.decide(&a, healthy(&rolling("2", &[REFUSED]), &new)).0, RolloutDecision::Proceed);
    assert_eq!(rollouts.decide(&b, healthy(&old, &new)).0, RolloutDecision::Wait(1));
    let (decision, consequences) = rollouts.decide(&a, healthy(&rolling("2", &[REFUSED, STUCK]), &new));
    assert_eq!((decision, consequences.requeue), (RolloutDecision::Proceed, vec![b.clone()]));
    assert_eq!(rollouts.decide(&b, healthy(&old, &new)).0, RolloutDecision::Proceed);
}

/// Five minutes after the transitions of [`status`].
fn now() -> Timestamp {
    "2026-01-01T00:05:00Z".parse().unwrap()
}

fn status(conditions: &[(&str, &str, &str)]) -> FunctionStatus {
    let conditions = conditions.iter().map(|(r#type, status, reason)| {
        let text = format!("{{type: {type}, status: '{status}', reason: {reason}, message: m, lastTransitionTime: '2026-01-01T00:00:00Z'}}");
        serde_yaml::from_str(&text).unwrap()
    });
    FunctionStatus { conditions: conditions.collect(), ..FunctionStatus::default() }
}

#[test]
fn a_new_leader_restores_running_and_failed_rollouts() {
    let (old, new, stuck) = (deployment("1", "f"), deployment("2", "f"), rolling("2", &[STUCK]));
    let failed = status(&[("Ready", "True", "Ok"), ("UpToDate", "False", "RolloutFailed")]);
    let next_leader = rollouts(2, 2);
    next_leader.restore(&function("failed-1"), Some(&failed), &stuck, now());
    next_leader.restore(&function("failed-2"), Some(&failed), &stuck, now());
    next_leader.restore(&function("under-way"), None, &rolling("2", &[]), now());
    next_leader.restore(&function("through"), None, &new, now());
    assert_eq!(next_leader.counts(), RolloutCounts { rolling: 1, waiting: 0, failed: 2, halted: true });
    assert_eq!(next_leader.decide(&function("waits"), healthy(&old, &new)).0, RolloutDecision::Halted(2));
    let (decision, consequences) = next_leader.decide(&function("failed-1"), healthy(&stuck, &new));
    assert_eq!((decision, consequences.halted_by), (RolloutDecision::Failed, None), "it is reported already");
    let fixed = deployment("3", "f");
    assert!(next_leader.decide(&function("failed-1"), healthy(&stuck, &fixed)).1.resumed);

    // A reverted edit of a waiting function's Deployment is no rollout.
    let next_leader = rollouts(1, 9);
    for reason in ["RolloutWaiting", "RolloutHalted"] {
        let waiting = status(&[("Ready", "True", "Ok"), ("UpToDate", "False", reason)]);
        next_leader.restore(&function("waits"), Some(&waiting), &rolling("1", &[]), now());
    }
    assert_eq!(next_leader.counts().rolling, 0);

    // The chart's new values allow more failures.
    let next_leader = rollouts(2, 9);
    let halted = status(&[("Ready", "True", "Ok"), ("UpToDate", "False", "RolloutHalted")]);
    next_leader.restore(&function("waits"), Some(&halted), &old, now());
    let resumed = next_leader.decide(&function("waits"), healthy(&old, &new)).1;
    assert!(resumed.resumed && resumed.halted_by.is_none());
    assert!(!next_leader.decide(&function("waits"), healthy(&new, &new)).1.resumed, "once");

    let by_function = status(&[("RoleAssumed", "False", "AccessDenied"), ("UpToDate", "False", "RolloutFailed")]);
    let next_leader = rollouts(2, 2);
    for name in ["a", "b", "c"] {
        next_leader.restore(&function(name), Some(&by_function), &stuck, now());
    }
    assert!(!next_leader.counts().halted, "they are of one namespace");
}

#[test]
fn health_is_read_from_the_status() {
    for (ready, health) in [
        (("Ready", "True", "Ok"), Health::Healthy),
        (("Ready", "True", "ConditionalWritesUnsupported"), Health::Healthy),
        (("Ready", "True", "RenewalFailing"), Health::Unhealthy),
        (("Ready", "False", "AccessDenied"), Health::Unhealthy),
        (("Ready", "False", "NoBaseIdentity"), Health::Unhealthy),
        (("Ready", "False", "ImagePull"), Health::Unhealthy),
        // An outage, or an evicted pod.
        (("Ready", "False", "S3Unreachable"), Health::Healthy),
        (("Ready", "False", "Progressing"), Health::Healthy),
        // The sidecar may store events although the operator can't poll it.
        (("Ready", "Unknown", "SidecarUnreachable"), Health::Unknown),
    ] {
        assert_eq!(Health::of(Some(&status(&[ready])), now()), health, "{ready:?}");
    }
    assert_eq!(Health::of(None, now()), Health::Unknown);
    let unreachable = status(&[("Ready", "False", "S3Unreachable")]);
    let later = now() + UNHEALTHY_AFTER;
    assert_eq!(Health::of(Some(&unreachable), later), Health::Unhealthy, "the outage lasts");
}

/// A busy Deployment controller updates the available replicas minutes after the pods are ready.
#[test]
fn a_healthy_function_needs_a_slot_even_if_its_available_replicas_are_not_counted_yet() {
    let (old, new) = (deployment("1", "f"), deployment("2", "f"));
    let mut not_counted = old.clone();
    Arc::make_mut(&mut not_counted).status.as_mut().unwrap().available_replicas = None;
    for (health, decision) in [
        (Health::Healthy, RolloutDecision::Wait(1)),
        (Health::Unknown, RolloutDecision::Proceed),
        (Health::Unhealthy, RolloutDecision::Proceed),
    ] {
        let rollouts = rollouts(1, 9);
        rollouts.decide(&function("a"), healthy(&old, &new));
        let roll = Roll { health, ..healthy(&not_counted, &new) };
        assert_eq!(rollouts.decide(&function("b"), roll).0, decision, "{health:?}");
    }
}

/// What happens to a function in one step of a random sequence.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It is reconciled.
    Reconcile,
    /// Its new pods become ready, if it rolls.
    Succeed,
    /// Its rollout exceeds the progress deadline, if it rolls.
    Fail,
    /// It is deleted.
    Delete,
}

proptest! {
    #[test]
    fn no_more_functions_roll_or_fail_than_the_platform_allows(
        steps in prop::collection::vec(
            (0..20_usize, prop::sample::select(vec![Step::Reconcile, Step::Reconcile, Step::Reconcile, Step::Succeed, Step::Fail, Step::Delete])),
            0..400,
        ),
        max_concurrent in 1..6_usize,
        max_failed in 1..6_usize,
    ) {
        let rollouts = rollouts(max_concurrent, max_failed);
        let (old, new, stuck) = (deployment("1", "f"), deployment("2", "f"), rolling("2", &[STUCK]));
        let mut all: Vec<_> = (0..20).map(|i| (function(&format!("f-{i}")), Some(old.clone()))).collect();
        for (which, step) in steps {
            let (name, live) = &mut all[which];
            let Some(now) = live.clone() else { continue };
            let rolls = now.annotations()[annotation::TEMPLATE_HASH] == "2" && !is_complete(&now);
            match step {
                Step::Succeed if rolls => *live = Some(new.clone()),
                Step::Fail if rolls => *live = Some(stuck.clone()),
                Step::Delete => {
                    rollouts.forget(name);
                    *live = None;
                }
                _ => {}
            }
            let Some(now) = live.clone() else { continue };
            if rollouts.decide(name, healthy(&now, &new)).0 == RolloutDecision::Proceed && now.annotations()[annotation::TEMPLATE_HASH] == "1" {
                *live = Some(rolling("2", &[]));
            }
            let counts = rollouts.counts();
            prop_assert!(counts.rolling <= max_concurrent, "{counts:?}");
            prop_assert!(counts.rolling + counts.failed <= max_failed, "{counts:?}");
        }
        // In the end every function is on the new template, unless the rollout is halted.
        for _ in 0..200 {
            for (name, live) in &mut all {
                let Some(now) = live.clone() else { continue };
                let decision = rollouts.decide(name, healthy(&now, &new)).0;
                if decision == RolloutDecision::Proceed {
                    *live = Some(new.clone());
                }
            }
        }
        let behind = all.iter().filter(|(_, live)| live.as_ref().is_some_and(|live| live.annotations()[annotation::TEMPLATE_HASH] == "1"));
        prop_assert!(rollouts.counts().halted || behind.count() == 0);
    }
}
