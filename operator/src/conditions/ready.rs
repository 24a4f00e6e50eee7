//! Ready: nothing forbids traffic.

use tributary_crds::conditions::{ConditionType, Reason, Truth};

use super::{Finding, Observed};

/// Ready, of all the others in their order: the first that is False, else the first that is Unknown,
/// of those that forbid traffic.
pub fn condition(others: &[Finding], observed: &Observed) -> Finding {
    let mut forbidding = others.iter().filter(|finding| forbids(finding, observed));
    let first = |status| move |finding: &&Finding| finding.status == status;
    let cause = forbidding.clone().find(first(Truth::False)).or_else(|| forbidding.find(first(Truth::Unknown)));
    match cause {
        Some(Finding { status, reason, message, .. }) => {
            Finding::new(ConditionType::Ready, *status, *reason, message.as_str())
        }
        None => {
            let message = format!("events sent to {} are stored", observed.url);
            Finding::new(ConditionType::Ready, Truth::True, Reason::Ok, message)
        }
    }
}

fn forbids(finding: &Finding, observed: &Observed) -> bool {
    match (finding.r#type, finding.status) {
        (_, Truth::True) => false,
        (ConditionType::ExternalIdEnforced, _) => !observed.enforcement_only_warns,
        // Until the first event nobody can know, and to wait for it would be to wait for ever.
        (ConditionType::BucketWritable, Truth::Unknown) => finding.reason != Reason::NotYetWritten,
        _ => true,
    }
}
