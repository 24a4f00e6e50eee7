//! An object an event.
//!
//! The event's key is made of what its client sent: sent again, it is the same object.

use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tributary_crds::function::DestinationFunctionSpec;
use tributary_crds::values::KeyTemplate;

use super::NotStored;
use super::key::Keys;
use super::s3::Object;
use super::upload::{Stored, Uploads};
use crate::event::Event;
use crate::metrics::Metrics;

/// Events of one request that are stored at once: enough for a full batch in time, and not so many
/// that other requests have to wait for it.
const AT_ONCE: usize = 128;

/// Stores each event as its own object.
#[derive(Debug)]
pub(super) struct Objects {
    keys: Keys,
    uploads: Arc<Uploads>,
    metrics: Arc<Metrics>,
}

impl Objects {
    pub(super) fn new(spec: &DestinationFunctionSpec, uploads: Arc<Uploads>, metrics: Arc<Metrics>) -> Self {
        let template = spec.delivery.key.clone().unwrap_or_else(KeyTemplate::object_default);
        Self { keys: Keys::new(spec.s3.prefix.as_ref(), &template), uploads, metrics }
    }

    /// Stores events, many at once. One that can't be stored fails them all: what is stored already
    /// stays one object when it is sent again.
    pub(super) async fn store(&self, events: &[Event], deadline: Instant) -> Result<(), NotStored> {
        let mut waiting = events.iter().map(|event| self.store_one(event, deadline));
        // While nothing can be stored, one at a time may try: the others would be refused at once, and
        // the request answered before the one that tries has an answer.
        if self.uploads.gate.is_closed()
            && let Some(first) = waiting.next()
        {
            first.await?;
        }
        let mut stores: FuturesUnordered<_> = waiting.by_ref().take(AT_ONCE).collect();
        while let Some(stored) = stores.next().await {
            stored?;
            stores.extend(waiting.next());
        }
        Ok(())
    }

    async fn store_one(&self, event: &Event, deadline: Instant) -> Result<(), NotStored> {
        self.uploads.admit(deadline).await?;
        let object = Object {
            key: self.keys.of_event(event),
            is_new: false,
            body: event.body.clone(),
            content_type: "application/json",
        };
        let stored = self.uploads.upload(&object, deadline).await?;
        self.metrics.stored(&event.event_type, stored == Stored::Already);
        Ok(())
    }
}
