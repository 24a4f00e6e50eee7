//! Tests of the conditions, one file per subject. Here: the builders that they share.

mod accepted;
mod availability;
mod kstatus;
mod new_leader;
mod ready;
mod sidecars;
mod transitions;
mod up_to_date;

use jiff::Timestamp;
use tributary_crds::conditions::{ConditionType, SidecarCondition, SidecarStatus};

use super::*;
use crate::finding::Problem;
use crate::observe::{Pod, Rollout, RolloutDecision, SidecarAnswer};
use crate::status::function_status::{recorded, status};

/// A function with one sidecar, which stores events.
fn fine() -> Observed {
    Observed {
        refusal: None,
        audited: None,
        paused: false,
        held_back: false,
        stopped: false,
        problem: None,
        service_is_taken: false,
        enforcement_only_warns: false,
        stores_dead_letters: false,
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
    Pod {
        name: name.to_owned(),
        ready,
        outdated: false,
        problem: None,
        due_in: None,
        answer: SidecarAnswer::Status(Box::new(status)),
    }
}

/// The pod, with this report of a condition.
fn reporting(mut pod: Pod, r#type: ConditionType, status: ConditionStatus, reason: Reason) -> Pod {
    let SidecarAnswer::Status(reported) = &mut pod.answer else { panic!("the pod has no status") };
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

/// Which of kstatus's conditions is True, and why.
fn reconciling_or_stalled(observed: &Observed) -> Option<(ConditionType, Reason)> {
    let all = conditions(observed);
    let kstatus = [ConditionType::Reconciling, ConditionType::Stalled];
    let mut holding =
        all.iter().filter(|finding| kstatus.contains(&finding.r#type) && finding.status == ConditionStatus::True);
    let first = holding.next().map(|finding| (finding.r#type, finding.reason));
    assert_eq!(holding.next(), None, "kstatus takes the first");
    first
}

/// The conditions that a status written from `observed` records.
fn recorded_of(observed: &Observed) -> Vec<Finding> {
    recorded(&status(observed, Some(1), String::new(), None, Timestamp::UNIX_EPOCH), Some(1))
}
