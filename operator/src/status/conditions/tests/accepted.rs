//! Accepted: the platform's policy, audited grants, and changes that are held back.

use super::*;
use crate::validate::{Refusal, RefusalEffect};

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
    let prefix = with(|observed| {
        let reported = ConditionType::ExternalIdAvailable;
        observed.pods =
            vec![reporting(pod("a", false), reported, ConditionStatus::False, Reason::ExternalIdNotAllowed)];
    });
    assert_eq!(judged(&prefix, ConditionType::Accepted), [(ConditionStatus::False, Reason::ExternalIdNotAllowed); 2]);
}

#[test]
fn a_name_clash_affects_ready_only_if_events_do_not_reach_a_sidecar() {
    type Change = fn(&mut Observed);
    let clashes = (ConditionStatus::False, Reason::NameClash);
    let cases: [(&str, Change, (ConditionStatus, Reason)); 5] = [
        ("sidecars serve", |_| {}, (ConditionStatus::True, Reason::Ok)),
        (
            "a new leader has not polled them",
            |observed| {
                observed.recorded = recorded_of(&fine());
                observed.pods[0].answer = SidecarAnswer::Awaited;
            },
            (ConditionStatus::True, Reason::Ok),
        ),
        (
            "no sidecar runs, for another reason",
            |observed| {
                let image_pull = Some(problem(Reason::ImagePull));
                observed.pods = vec![Pod { problem: image_pull, answer: SidecarAnswer::NotAsked, ..pod("a", false) }];
            },
            (ConditionStatus::False, Reason::ImagePull),
        ),
        ("the Service is taken", |observed| observed.service_is_taken = true, clashes),
        ("there never was a Deployment", |observed| (observed.rollout, observed.pods) = (None, Vec::new()), clashes),
    ];
    for (case, change, ready) in cases {
        let mut observed = with(|observed| observed.problem = Some(problem(Reason::NameClash)));
        change(&mut observed);
        assert_eq!(judged(&observed, ConditionType::Accepted), [clashes, ready], "{case}");
        assert_eq!(judged(&observed, ConditionType::UpToDate)[0], clashes, "{case}");
        let stalled = reconciling_or_stalled(&observed).map(|(r#type, _)| r#type);
        assert_eq!(stalled, Some(ConditionType::Stalled), "{case}");
    }
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
    let message = |observed: &Observed| get(&conditions(observed), ConditionType::UpToDate).message.clone();
    assert_eq!(message(&too_much(true)), "the function's spec is not applied: no");
    let mut explained = too_much(true);
    explained.refusal.as_mut().unwrap().message = "it asks for 2.5; ask for less. Kubernetes agrees".to_owned();
    assert_eq!(message(&explained), "the function's spec is not applied: it asks for 2.5; ask for less");
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
        if held_back {
            assert_eq!(message(&paused(true)), "the function's spec is not applied: spec.paused is true");
        }
        let all = conditions(&paused(held_back));
        assert!(all[0].message.starts_with("events sent to http://orders.shop.svc are stored; spec.paused is true"));
        assert_eq!(reconciling_or_stalled(&paused(held_back)), None, "paused is not degraded");
    }
    let mut never_ran = paused(true);
    (never_ran.rollout, never_ran.pods) = (None, Vec::new());
    assert_eq!(judged(&never_ran, ConditionType::SidecarAvailable), [(ConditionStatus::False, Reason::Paused); 2]);
    assert_eq!(reconciling_or_stalled(&never_ran), None);
}

/// When the platform begins to enforce its grants, the operator restarts and rolls the sidecars.
#[test]
fn a_refused_external_id_stays_reported_until_a_new_sidecar_has_reported() {
    let reported = ConditionType::ExternalIdAvailable;
    let refused = |status| (status, Reason::ExternalIdNotAllowed);
    let old = || reporting(pod("old", true), reported, ConditionStatus::True, Reason::ExternalIdNotAllowed);
    let mut rolling = with(|observed| observed.pods = vec![old()]);
    rolling.recorded = recorded_of(&rolling);
    rolling.rollout = Some(Rollout { wanted: 1, replicas: 2, ready: 1, ..Rollout::default() });
    let unasked = |name| Pod { answer: SidecarAnswer::NotAsked, ..pod(name, false) };
    let awaited = |name| Pod { answer: SidecarAnswer::Awaited, ..pod(name, true) };
    for before in [old(), awaited("old")] {
        for new in [vec![], vec![unasked("new")], vec![awaited("new")]] {
            (rolling.pods, rolling.pods_before) = (new, vec![before.clone()]);
            assert_eq!(judged(&rolling, ConditionType::Accepted)[0], refused(ConditionStatus::True));
        }
    }
    let new = pod("new", false);
    rolling.pods = vec![reporting(new.clone(), reported, ConditionStatus::False, Reason::ExternalIdNotAllowed)];
    assert_eq!(judged(&rolling, ConditionType::Accepted)[0], refused(ConditionStatus::False));
    rolling.pods = vec![new];
    assert_eq!(judged(&rolling, ConditionType::Accepted)[0], (ConditionStatus::True, Reason::Ok));
    // The previous sidecars have the right external ID.
    (rolling.pods, rolling.pods_before) = (Vec::new(), vec![pod("old", true)]);
    assert_eq!(judged(&rolling, ConditionType::Accepted)[0], (ConditionStatus::True, Reason::Ok));
}
