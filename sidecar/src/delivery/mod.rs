//! From accepted events to objects in S3.
//!
//! An event is stored when S3 has answered 200 for the object that holds it, or a 412 that proves
//! that the event's own key has its object already ([`precondition`]). Nothing is kept after the
//! request was answered; what was answered 503 is the client's to send again.
//!
//! The two modes differ in what becomes an object ([`objects`], [`batches`]); how an object gets
//! into S3 is the same ([`upload`]). What the uploads find out about the bucket is shared by all of
//! them ([`health`]).

mod batches;
mod bucket_check;
mod circuit_breaker;
mod failure;
mod health;
mod key;
mod objects;
mod precondition;
mod response_check;
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

pub(crate) use bucket_check::watch as watch_bucket;
pub(crate) use failure::REASONS;
pub(crate) use s3::{Bucket, S3Endpoint};
pub(crate) use upload::Uploads;

use batches::Batches;
use objects::Objects;

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
    /// take. Once begun, it is carried on whether or not somebody waits: a client that hangs up ends
    /// no upload halfway, and all is counted.
    pub(crate) async fn store(
        self: &Arc<Self>,
        events: Vec<Event>,
        reservation: Reservation,
        deadline: Instant,
    ) -> Result<(), NotStored> {
        let delivery = Arc::clone(self);
        let flight = self.metrics.flight(events.len());
        let task = tokio::spawn(async move {
            let _flight = flight;
            match &delivery.mode {
                Mode::Object(objects) => {
                    let _held = reservation;
                    objects.store(&events, deadline).await
                }
                Mode::Batch(batches) => batches.store(events, reservation, deadline).await,
            }
        });
        // Nobody ends the task: what it can't finish is a panic, which goes on here.
        task.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
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
