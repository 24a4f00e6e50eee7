//! Ready: nothing forbids traffic.

use tributary_crds::conditions::{ConditionType, Reason, Truth};

use super::{Finding, Observed};

/// Ready, of all the others in their order: the first that is False, else the first that is Unknown,
/// of those that forbid traffic. Of sidecars that can't be asked nothing else is known, so that
/// comes before what is unknown because of it.
pub fn condition(others: &[Finding], observed: &Observed) -> Finding {
    let forbidding = others.iter().filter(|finding| forbids(finding, observed));
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
        None => ready(others, observed),
    }
}

/// Ready is True: with the reason of the first condition that will not hold for long, if there is one.
fn ready(others: &[Finding], observed: &Observed) -> Finding {
    let warning = others.iter().find(|finding| finding.status == Truth::True && finding.reason.is_warning());
    let (reason, message) = match warning {
        Some(finding) => (finding.reason, finding.message.clone()),
        None => (Reason::Ok, format!("events sent to {} are stored", observed.url)),
    };
    Finding::new(ConditionType::Ready, Truth::True, reason, message)
}

fn forbids(finding: &Finding, observed: &Observed) -> bool {
    match (finding.r#type, finding.status) {
        (_, Truth::True) | (ConditionType::UpToDate, _) => false,
        (ConditionType::ExternalIdEnforced, _) => !observed.enforcement_only_warns,
        // Until the first event nobody can know, and to wait for it would be to wait for ever.
        (ConditionType::BucketWritable, Truth::Unknown) => finding.reason != Reason::NotYetWritten,
        _ => true,
    }
}
