//! Reports the condition IngestConfigured: whether write keys, signing secret and certificate can be used.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tributary_crds::conditions::{ConditionStatus, ConditionType};

use super::access::Access;
use crate::blocker::Blocker;
use crate::clock::Clock;
use crate::secret::certificate::Tls;
use crate::status::conditions::Conditions;
use crate::status::metrics::Metrics;

/// Time between two checks of the certificate's validity; the wall clock may jump.
const CERTIFICATE_CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// A problem with a Secret that `spec.ingest` names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    blocker: Blocker,
    /// The part that still works, for the message; `None` if all requests are affected.
    still_admitted: Option<&'static str>,
}

/// The certificate's problem. The last usable certificate is still served while it is valid.
fn certificate_fault(tls: &Tls, now: SystemTime) -> Option<Fault> {
    let still_admitted = tls.serves(now).then_some("the previous certificate is still in use");
    Some(Fault { blocker: tls.blocker(now)?, still_admitted })
}

/// The more severe of two faults: one that affects all requests, otherwise the first.
fn worse(first: Option<Fault>, second: Option<Fault>) -> Option<Fault> {
    first.into_iter().chain(second).min_by_key(|fault| fault.still_admitted.is_some())
}

/// Keeps the condition and the metric of the certificate's expiry up to date; never returns.
pub(crate) async fn watch(
    mut access: Access,
    mut tls: Option<Tls>,
    clock: Arc<dyn Clock>,
    conditions: Arc<Conditions>,
    metrics: Arc<Metrics>,
) {
    loop {
        metrics.certificate_expiry(tls.as_ref().and_then(Tls::expiry));
        let unreadable = access.blocker().map(|blocker| Fault { blocker, still_admitted: access.still_admitted() });
        let uncertified = tls.as_ref().and_then(|tls| certificate_fault(tls, clock.now()));
        match worse(unreadable, uncertified) {
            Some(Fault { blocker: Blocker { reason, message }, still_admitted: Some(still_admitted) }) => {
                let message = format!("{still_admitted}: {message}");
                conditions.set(ConditionType::IngestConfigured, ConditionStatus::True, reason, message);
            }
            Some(Fault { blocker: Blocker { reason, message }, still_admitted: None }) => {
                conditions.set(ConditionType::IngestConfigured, ConditionStatus::False, reason, message);
            }
            None => conditions.holds(ConditionType::IngestConfigured, "everything that spec.ingest names can be read"),
        }
        tokio::select! {
            () = access.changed() => {}
            () = Tls::changed(tls.as_mut()) => {}
            () = clock.sleep(CERTIFICATE_CHECK_INTERVAL) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tributary_crds::conditions::Reason;

    use super::*;

    #[test]
    fn a_fault_that_affects_all_requests_comes_first() {
        let fault = |reason, still_admitted| {
            let blocker = Blocker { reason, message: "m".to_owned() };
            Some(Fault { blocker, still_admitted })
        };
        let (part, all) = (fault(Reason::SignatureNotFound, Some("some")), fault(Reason::WriteKeyNotFound, None));
        let (expired, expiring) = (fault(Reason::TlsInvalid, None), fault(Reason::TlsInvalid, Some("some")));
        for (unreadable, uncertified, expected) in [
            (&None, &None, &None),
            (&part, &None, &part),
            (&None, &expiring, &expiring),
            (&part, &expiring, &part),
            (&part, &expired, &expired),
            (&all, &expired, &all),
            (&all, &expiring, &all),
        ] {
            assert_eq!(&worse(unreadable.clone(), uncertified.clone()), expected, "{unreadable:?} {uncertified:?}");
        }
    }
}
