//! Whether everything that requests are let in with can be read: the condition IngestConfigured.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tributary_crds::conditions::{ConditionType, Truth};

use super::access::Access;
use crate::blocker::Blocker;
use crate::clock::Clock;
use crate::secret::certificate::Tls;
use crate::status::conditions::Conditions;
use crate::status::metrics::Metrics;

/// How often the certificate's dates are compared with the clock, which may jump.
const INTERVAL: Duration = Duration::from_secs(60);

/// Something that `spec.ingest` names and that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    blocker: Blocker,
    /// Which requests are taken all the same; nothing, if none are.
    goes_on: Option<&'static str>,
}

/// Until it ends, the last good certificate stays in use.
fn certificate_fault(tls: &Tls, now: SystemTime) -> Option<Fault> {
    let goes_on = tls.serves(now).then_some("the certificate that was read before is still shown");
    Some(Fault { blocker: tls.blocker(now)?, goes_on })
}

/// The one of two faults that keeps more requests out; the first, if they keep out as many.
fn worse(first: Option<Fault>, second: Option<Fault>) -> Option<Fault> {
    first.into_iter().chain(second).min_by_key(|fault| fault.goes_on.is_some())
}

/// Keeps the condition and the certificate's metric true, for ever.
pub(crate) async fn watch(
    mut access: Access,
    mut tls: Option<Tls>,
    clock: Arc<dyn Clock>,
    conditions: Arc<Conditions>,
    metrics: Arc<Metrics>,
) {
    loop {
        metrics.certificate_expiry(tls.as_ref().and_then(Tls::expiry));
        let unreadable = access.blocker().map(|blocker| Fault { blocker, goes_on: access.goes_on() });
        let uncertified = tls.as_ref().and_then(|tls| certificate_fault(tls, clock.now()));
        match worse(unreadable, uncertified) {
            Some(Fault { blocker: Blocker { reason, message }, goes_on: Some(goes_on) }) => {
                let message = format!("{goes_on}: {message}");
                conditions.set(ConditionType::IngestConfigured, Truth::True, reason, message);
            }
            Some(Fault { blocker: Blocker { reason, message }, goes_on: None }) => {
                conditions.set(ConditionType::IngestConfigured, Truth::False, reason, message);
            }
            None => conditions.holds(ConditionType::IngestConfigured, "all that spec.ingest names can be read"),
        }
        tokio::select! {
            () = access.changed() => {}
            () = Tls::changed(tls.as_mut()) => {}
            () = clock.sleep(INTERVAL) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tributary_crds::conditions::Reason;

    use super::*;

    #[test]
    fn what_keeps_all_requests_out_is_told_first() {
        let fault = |reason, goes_on| {
            let blocker = Blocker { reason, message: "m".to_owned() };
            Some(Fault { blocker, goes_on })
        };
        let (part, all) = (fault(Reason::SignatureNotFound, Some("some")), fault(Reason::WriteKeyNotFound, None));
        let (expired, expiring) = (fault(Reason::TlsInvalid, None), fault(Reason::TlsInvalid, Some("some")));
        for (unreadable, uncertified, told) in [
            (&None, &None, &None),
            (&part, &None, &part),
            (&None, &expiring, &expiring),
            (&part, &expiring, &part),
            (&part, &expired, &expired),
            (&all, &expired, &all),
            (&all, &expiring, &all),
        ] {
            assert_eq!(&worse(unreadable.clone(), uncertified.clone()), told, "{unreadable:?} {uncertified:?}");
        }
    }
}
