//! Stores accepted events as objects in S3.
//!
//! An event counts as stored once S3 has answered 200 to the PUT of the object that holds it, or a 412 that proves
//! that the event's own key has its object already ([`precondition`]). There is no queue beyond a request's deadline:
//! after a 429 or 503 the client sends the events again.
//!
//! The modes differ in what an object holds: one event ([`objects`]) or a batch of them ([`batches`]). Both use the
//! same upload ([`upload`]), and share the state of the bucket ([`health`]). Whether a failed PUT is retried is decided in
//! [`failure`], and after which delay in [`retry`].

mod batches;
mod bucket_check;
mod circuit_breaker;
mod failure;
mod health;
mod key;
mod objects;
mod precondition;
mod response_check;
mod retry;
mod s3;
mod upload;

use std::sync::Arc;
use std::time::Instant;

use tributary_crds::function::{DeliveryMode, DestinationFunctionSpec};

use crate::blocker::Blocker;
use crate::clock::Clock;
use crate::event::Event;
use crate::memory::Reservation;
use crate::status::metrics::Metrics;
use crate::uncancelled::Uncancelled;

pub(crate) use bucket_check::watch as watch_bucket;
pub(crate) use failure::REASONS;
pub(crate) use s3::{Bucket, S3Endpoint};
pub(crate) use upload::Uploads;

use batches::Batches;
use objects::Objects;

/// Stores events in one function's bucket, by the function's delivery mode.
#[derive(Debug)]
pub(crate) struct Delivery {
    mode: Mode,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
enum Mode {
    Object(Objects),
    Batch(Batches),
}

impl Delivery {
    pub(crate) fn new(
        spec: &DestinationFunctionSpec,
        uploads: Arc<Uploads>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let mode = match spec.delivery.mode {
            DeliveryMode::Object => Mode::Object(Objects::new(spec, uploads, Arc::clone(&metrics))),
            DeliveryMode::Batch => Mode::Batch(Batches::new(spec, uploads, clock, Arc::clone(&metrics))),
        };
        Self { mode, metrics }
    }

    /// Stores events, or returns by `deadline` why it could not. `reservation` covers the memory of the events. It
    /// runs to its end even if the caller is dropped: a client that hangs up cancels no upload, and every outcome is
    /// counted.
    pub(crate) async fn store(
        self: &Arc<Self>,
        events: Vec<Event>,
        reservation: Reservation,
        deadline: Instant,
    ) -> Result<(), NotStored> {
        let delivery = Arc::clone(self);
        let flight = self.metrics.flight(events.len());
        let stored = async move {
            let _flight = flight;
            match &delivery.mode {
                Mode::Object(objects) => {
                    let mut reservation = reservation;
                    if !reservation.grow(Objects::memory_bytes(events.len())) {
                        return Err(NotStored::OutOfMemory);
                    }
                    objects.store(&events, deadline).await
                }
                Mode::Batch(batches) => batches.store(events, reservation, deadline).await,
            }
        };
        Uncancelled::new(stored).await
    }
}

/// Why events could not be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotStored {
    /// A fault of STS or S3; answered 503.
    Blocker(Blocker),
    /// All upload slots were busy until the deadline, while other objects were stored; answered 429.
    Full,
    /// The memory budget has no room for the batch; answered 429.
    OutOfMemory,
}

impl From<Blocker> for NotStored {
    fn from(blocker: Blocker) -> Self {
        Self::Blocker(blocker)
    }
}
