//! Whether everything that requests are let in with can be read: the condition IngestConfigured.

use std::sync::Arc;

use tributary_crds::conditions::{ConditionType, Truth};

use super::access::Access;
use crate::conditions::{Blocker, Conditions};
use crate::http::Tls;

/// Keeps the condition true, for ever.
pub(crate) async fn watch(mut access: Access, mut tls: Option<Tls>, conditions: Arc<Conditions>) {
    loop {
        match access.blocker().or_else(|| tls.as_ref().and_then(Tls::blocker)) {
            Some(Blocker { reason, message }) => {
                conditions.set(ConditionType::IngestConfigured, Truth::False, reason, message);
            }
            None => conditions.holds(ConditionType::IngestConfigured, "all that spec.ingest names can be read"),
        }
        tokio::select! {
            () = access.changed() => {}
            () = Tls::changed(tls.as_mut()) => {}
        }
    }
}
