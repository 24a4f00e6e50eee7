//! One object per event.
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
use crate::status::metrics::Metrics;

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

    /// Stores events, many at once. One that can't be stored fails them all, and what is under way
    /// by then is finished: it stays one object when it is sent again.
    pub(super) async fn store(&self, events: &[Event], deadline: Instant) -> Result<(), NotStored> {
        if let [event] = events {
            return self.store_one(event, deadline).await;
        }
        let mut waiting = self.probe(events, deadline).await?.map(|event| self.store_one(event, deadline));
        let mut stores: FuturesUnordered<_> = waiting.by_ref().take(AT_ONCE).collect();
        let mut result = Ok(());
        while let Some(stored) = stores.next().await {
            result = result.and(stored);
            if result.is_ok() {
                stores.extend(waiting.next());
            }
        }
        result
    }

    /// The events that are left to store, after those that had to go first: while a circuit breaker
    /// is open one upload may pass as its probe. The others would be refused at once, and the request
    /// answered before the probe has an answer.
    async fn probe<'a>(
        &self,
        events: &'a [Event],
        deadline: Instant,
    ) -> Result<impl Iterator<Item = &'a Event> + use<'a>, NotStored> {
        let mut probes = Vec::new();
        if self.uploads.health.any_open() {
            for (index, event) in events.iter().enumerate() {
                if self.uploads.health.is_open(self.keys.part(&event.event_type)) {
                    self.store_one(event, deadline).await?;
                    probes.push(index);
                }
            }
        }
        let left = events.iter().enumerate().filter(move |(index, _)| probes.binary_search(index).is_err());
        Ok(left.map(|(_, event)| event))
    }

    async fn store_one(&self, event: &Event, deadline: Instant) -> Result<(), NotStored> {
        let part = self.keys.part(&event.event_type);
        self.uploads.admit(part.into_iter().collect(), deadline).await?;
        let object = Object {
            key: self.keys.of_event(event),
            is_new: !self.keys.are_repeatable(event),
            part,
            body: event.body.clone(),
            content_type: "application/json",
        };
        let stored = self.uploads.upload(&object, deadline).await?;
        self.metrics.stored(&event.event_type, stored == Stored::Already);
        Ok(())
    }
}
