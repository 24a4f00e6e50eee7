//! Object mode: stores each event as its own S3 object.
//!
//! The key is made of values that the client sent, so an event sent again is the same object.

use std::sync::Arc;
use std::time::Instant;

use tributary_crds::function::DestinationFunctionSpec;
use tributary_crds::values::KeyTemplate;

use super::key::Keys;
use super::s3::Object;
use super::upload::{Stored, Uploads};
use super::{NotStored, concurrent};
use crate::event::Event;
use crate::status::metrics::Metrics;

/// Stores each event under its own key.
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

    /// Stores events concurrently. If one can't be stored, the request fails, and only uploads already started are
    /// finished: sent again, their events get the same keys.
    pub(super) async fn store(&self, events: &[Event], deadline: Instant) -> Result<(), NotStored> {
        if let [event] = events {
            return self.store_one(event, deadline).await;
        }
        concurrent::all(self.probe(events, deadline).await?.map(|event| self.store_one(event, deadline))).await
    }

    /// Stores first the events whose circuit breaker is open, one at a time, and returns the rest. An open breaker
    /// lets a single upload pass as its probe; if they were sent together, the others would be refused
    /// immediately, and the request answered before the probe's result.
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
