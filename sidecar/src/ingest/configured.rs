//! Whether everything that requests are let in with can be read: the condition IngestConfigured.

use std::sync::Arc;
use std::time::Duration;

use tributary_crds::conditions::{ConditionType, Truth};

use super::access::Access;
use crate::clock::Clock;
use crate::conditions::{Blocker, Conditions};
use crate::http::Tls;
use crate::metrics::Metrics;

/// How often the certificate's dates are compared with the clock, which may jump.
const INTERVAL: Duration = Duration::from_secs(60);

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
        let (unreadable, uncertified) = (access.blocker(), tls.as_ref().and_then(|tls| tls.blocker(clock.now())));
        let goes_on = unreadable.is_none() && tls.as_ref().is_some_and(|tls| tls.serves(clock.now()));
        match unreadable.or(uncertified) {
            // Until it ends the last good certificate stays in use.
            Some(Blocker { reason, message }) if goes_on => {
                let message = format!("the certificate that was read before is still shown: {message}");
                conditions.set(ConditionType::IngestConfigured, Truth::True, reason, message);
            }
            Some(Blocker { reason, message }) => {
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
