//! From accepted events to objects in S3.
//!
//! An event is stored when S3 has answered 200 for the object that holds it, or 412 on that event's
//! own key: it is there already. Until then somebody waits for it. Nothing is kept after the request
//! was answered; what was answered 503 is the client's to send again.
//!
//! The two modes differ in what becomes an object ([`objects`], [`batches`]); how an object gets
//! into S3 is the same ([`upload`]).

mod batches;
mod bucket_check;
mod failure;
mod gate;
mod key;
mod objects;
mod s3;
mod upload;

use std::sync::Arc;
use std::time::Instant;

use tributary_crds::function::{DeliveryMode, DestinationFunctionSpec};

use crate::clock::Clock;
use crate::conditions::Blocker;
use crate::event::Event;
use crate::memory::Reservation;
use crate::metrics::Metrics;

pub(crate) use bucket_check::watch as watch_bucket;
pub(crate) use s3::{Bucket, S3Endpoint};
pub(crate) use upload::Uploads;

use batches::Batches;
use objects::Objects;

/// Memory for bodies and the events made of them, beside the batches.
const REQUEST_BYTES: usize = 32 << 20;

/// Bytes that the requests and batches of a function may take together.
pub(crate) fn memory_bytes(spec: &DestinationFunctionSpec) -> usize {
    match spec.delivery.mode {
        DeliveryMode::Object => REQUEST_BYTES,
        DeliveryMode::Batch => REQUEST_BYTES + batches::memory_bytes(spec),
    }
}

/// Stores events in one function's bucket.
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

    /// Stores events, or says by `deadline` why it could not. `reservation` is of the memory that they
    /// take.
    pub(crate) async fn store(
        &self,
        events: Vec<Event>,
        reservation: Reservation,
        deadline: Instant,
    ) -> Result<(), NotStored> {
        let _flight = self.metrics.flight(events.len());
        match &self.mode {
            Mode::Object(objects) => objects.store(&events, deadline).await,
            Mode::Batch(batches) => batches.store(events, reservation, deadline).await,
        }
    }
}

/// Why an event is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotStored {
    /// STS or S3 is in the way.
    Blocker(Blocker),
    /// As many uploads are under way as may be, and none of them ended in time.
    Full,
    /// Other requests hold the memory that a batch would need.
    OutOfMemory,
}

impl From<Blocker> for NotStored {
    fn from(blocker: Blocker) -> Self {
        Self::Blocker(blocker)
    }
}
