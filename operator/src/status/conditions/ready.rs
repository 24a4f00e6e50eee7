//! Ready: events are taken and stored now. Whether the sidecars that do so are those that are asked for is
//! [UpToDate](super::up_to_date)'s.

use tributary_crds::conditions::{ConditionType, Reason, Truth};

use super::sidecars;
use crate::finding::Finding;
use crate::observe::{Observed, Pod, SidecarAnswer};

/// Ready, of all the others in their order: the first that is False, else the first that is Unknown,
/// of those that keep events from being stored. Of sidecars that can't be asked nothing else is known, so that
/// comes before what is unknown because of it.
pub fn condition(others: &[Finding], observed: &Observed) -> Finding {
    let serving = observed.serving();
    let awaited = serving.iter().any(|pod| matches!(pod.answer, SidecarAnswer::Awaited));
    let all = if awaited { of_kubernetes(others) } else { of_serving(others, &serving) };
    let forbidding = all.iter().filter(|finding| forbids(finding, &all, observed));
    let cause = forbidding.min_by_key(|finding| {
        (
            finding.status == Truth::Unknown,
            finding.status == Truth::Unknown && finding.r#type != ConditionType::SidecarAvailable,
        )
    });
    match cause {
        Some(Finding { status, reason, message, .. }) => {
            Finding::new(ConditionType::Ready, *status, *reason, message.as_str())
        }
        // An operator that has just begun to lead has not asked them yet.
        None if awaited => of(&observed.recorded, ConditionType::Ready).cloned().unwrap_or_else(|| {
            Finding::new(ConditionType::Ready, Truth::Unknown, Reason::Pending, "no sidecar has said anything yet")
        }),
        None => ready(&all, observed),
    }
}

/// Those that are no sidecar's to say.
fn of_kubernetes(others: &[Finding]) -> Vec<Finding> {
    let types = [ConditionType::Accepted, ConditionType::SidecarAvailable];
    others.iter().filter(|finding| types.contains(&finding.r#type)).cloned().collect()
}

/// All conditions as those sidecars have them that take events: one that starts says nothing against them, nor does
/// one that fails to.
fn of_serving(others: &[Finding], serving: &[&Pod]) -> Vec<Finding> {
    let said = |finding: &Finding| {
        let statuses = serving.iter().filter_map(|pod| pod.status());
        sidecars::worst(finding.r#type, statuses).unwrap_or_else(|| finding.clone())
    };
    others.iter().map(said).collect()
}

/// Ready is True: with the reason of the first condition that will not hold for long, or that its owner wants, if
/// there is one.
fn ready(serving: &[Finding], observed: &Observed) -> Finding {
    let stored = format!("events sent to {} are stored", observed.url);
    let is = |reason, message| Finding::new(ConditionType::Ready, Truth::True, reason, message);
    if let Some(missing) = of(serving, ConditionType::ExternalIdAvailable).filter(|found| found.status == Truth::False)
    {
        return is(missing.reason, format!("{stored} until {}: {}", session_end(observed), missing.message));
    }
    let holds = |finding: &&Finding| finding.status == Truth::True && finding.r#type != ConditionType::UpToDate;
    let mut noted = serving.iter().filter(holds).filter(|finding| finding.reason != Reason::Ok);
    let first = noted.clone().find(|finding| finding.reason.warns(finding.status)).or_else(|| noted.next());
    match first {
        Some(Finding { reason: reason @ Reason::Paused, message, .. }) => is(*reason, format!("{stored}; {message}")),
        Some(Finding { reason, message, .. }) => is(*reason, message.clone()),
        None => is(Reason::Ok, stored),
    }
}

/// When the first session ends of those that events are stored with.
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
        (_, Truth::True) | (ConditionType::UpToDate, _) => false,
        // What is asked for is not taken up, and what was asked for before goes on.
        (ConditionType::Accepted, _) if finding.reason == Reason::ResourcesOutOfBounds => observed.serving().is_empty(),
        // Its session lives on without it.
        (ConditionType::ExternalIdAvailable, _) => {
            of(all, ConditionType::RoleAssumed).is_none_or(|session| session.status != Truth::True)
        }
        (ConditionType::ExternalIdEnforced, _) => !observed.enforcement_only_warns,
        // Until the first event nobody can know, and to wait for it would be to wait for ever.
        (ConditionType::BucketWritable, Truth::Unknown) => finding.reason != Reason::NotYetWritten,
        _ => true,
    }
}
