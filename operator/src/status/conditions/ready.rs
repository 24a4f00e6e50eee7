//! Ready: whether events are accepted and stored now, by sidecars of any configuration. Whether these have the desired
//! configuration is [UpToDate](super::up_to_date). Every other condition counts, with the exceptions in [`forbids`].

use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};

use super::sidecars;
use crate::finding::Finding;
use crate::observe::{Observed, Pod, SidecarAnswer};

/// Ready, from the other conditions in their order: of those that keep events from being stored, the first that is
/// False, otherwise the first that is Unknown. SidecarAvailable goes before the others that are Unknown, since sidecars
/// that can't be polled leave them Unknown too.
pub fn condition(others: &[Finding], observed: &Observed) -> Finding {
    let serving = observed.serving();
    let awaited = serving.iter().any(|pod| matches!(pod.answer, SidecarAnswer::Awaited));
    let all = if awaited { of_kubernetes(others) } else { of_serving(others, &serving) };
    let forbidding = all.iter().filter(|finding| forbids(finding, &all, observed));
    let cause = forbidding.min_by_key(|finding| {
        (
            finding.status == ConditionStatus::Unknown,
            finding.status == ConditionStatus::Unknown && finding.r#type != ConditionType::SidecarAvailable,
        )
    });
    match cause {
        Some(Finding { status, reason, message, .. }) => {
            Finding::new(ConditionType::Ready, *status, *reason, message.as_str())
        }
        // A new leader has not polled them yet: keep the recorded condition.
        None if awaited => of(&observed.recorded, ConditionType::Ready).cloned().unwrap_or_else(|| {
            Finding::new(
                ConditionType::Ready,
                ConditionStatus::Unknown,
                Reason::Pending,
                "no sidecar of the current configuration has reported yet",
            )
        }),
        None => ready(&all, observed),
    }
}

/// The conditions that don't depend on the sidecars' answers.
fn of_kubernetes(others: &[Finding]) -> Vec<Finding> {
    let types = [ConditionType::Accepted, ConditionType::SidecarAvailable];
    others.iter().filter(|finding| types.contains(&finding.r#type)).cloned().collect()
}

/// All conditions as the ready sidecars report them. A sidecar that is starting, or fails to start, does not count
/// against these.
fn of_serving(others: &[Finding], serving: &[&Pod]) -> Vec<Finding> {
    let reported = |finding: &Finding| {
        let statuses = serving.iter().filter_map(|pod| pod.status());
        sidecars::worst(finding.r#type, statuses).unwrap_or_else(|| finding.clone())
    };
    others.iter().map(reported).collect()
}

/// Ready as True, with the reason of the first condition that needs a person or, if there is none, of the first with
/// another reason than Ok.
fn ready(serving: &[Finding], observed: &Observed) -> Finding {
    let stored = format!("events sent to {} are stored", observed.url);
    let is = |reason, message| Finding::new(ConditionType::Ready, ConditionStatus::True, reason, message);
    if let Some(missing) =
        of(serving, ConditionType::ExternalIdAvailable).filter(|found| found.status == ConditionStatus::False)
    {
        return is(missing.reason, format!("{stored} until {}: {}", session_end(observed), missing.message));
    }
    let holds =
        |finding: &&Finding| finding.status == ConditionStatus::True && finding.r#type != ConditionType::UpToDate;
    let mut noted = serving.iter().filter(holds).filter(|finding| finding.reason != Reason::Ok);
    let first = noted.clone().find(|finding| finding.reason.warns(finding.status)).or_else(|| noted.next());
    match first {
        Some(Finding { reason: reason @ Reason::Paused, message, .. }) => is(*reason, format!("{stored}; {message}")),
        Some(Finding { reason, message, .. }) => is(*reason, message.clone()),
        None => is(Reason::Ok, stored),
    }
}

/// When the first of the ready sidecars' sessions ends.
fn session_end(observed: &Observed) -> String {
    let serving = observed.serving();
    let sessions = serving.iter().filter_map(|pod| pod.status()?.session.as_ref());
    let first = sessions.map(|session| session.expiry.as_str()).min();
    first.map_or_else(|| "the session ends".to_owned(), |at| format!("{at}, when the session ends"))
}

fn of(findings: &[Finding], r#type: ConditionType) -> Option<&Finding> {
    findings.iter().find(|finding| finding.r#type == r#type)
}

fn forbids(finding: &Finding, all: &[Finding], observed: &Observed) -> bool {
    match (finding.r#type, finding.status) {
        (_, ConditionStatus::True) | (ConditionType::UpToDate, _) => false,
        (r#type, _) if r#type.is_informative() => false,
        // Sidecars that run keep running. Without the Service, events don't reach them.
        (ConditionType::Accepted, _) if finding.reason == Reason::NameClash => {
            observed.rollout.is_none() || observed.service_is_taken
        }
        // The last accepted spec stays in effect, so events are stored if its sidecars are ready.
        (ConditionType::Accepted, _) if finding.reason == Reason::ResourcesOutOfBounds => observed.serving().is_empty(),
        // A sidecar without the external ID continues until its session ends.
        (ConditionType::ExternalIdAvailable, _) => {
            of(all, ConditionType::RoleAssumed).is_none_or(|session| session.status != ConditionStatus::True)
        }
        (ConditionType::ExternalIdEnforced, _) => !observed.enforcement_only_warns,
        // Not known before the first event, which might never come if Ready waited for it.
        (ConditionType::BucketWritable, ConditionStatus::Unknown) => finding.reason != Reason::NotYetWritten,
        _ => true,
    }
}
