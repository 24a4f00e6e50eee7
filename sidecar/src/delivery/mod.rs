//! Stores accepted events as objects in S3.
//!
//! An event counts as stored once S3 has answered 200 to the PUT of the object that holds it, or a 412 that proves
//! that the event's own key has its object already ([`precondition`]). There is no queue beyond a request's deadline:
//! after a 429 or 503 the client sends the events again.
//!
//! The modes differ in what an object holds: one event ([`objects`]) or a batch of them ([`batches`]). Rejected events may
//! be stored too ([`dead_letters`]). All use the same upload ([`upload`]), and share the state of the bucket ([`health`]).
//! Whether a failed PUT is retried is decided in [`failure`], and after which delay in [`retry_delay`].

mod batches;
mod bucket_check;
mod circuit_breaker;
mod concurrent;
mod dead_letters;
mod failure;
mod health;
#[cfg(feature = "internals")]
pub mod internals;
mod key;
mod objects;
mod precondition;
mod response_check;
mod retry_delay;
mod s3;
mod s3_answer;
mod upload;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tributary_crds::function::{DeliveryMode, DestinationFunctionSpec};

use crate::blocker::Blocker;
use crate::clock::Clock;
use crate::event::{Event, Rejected};
use crate::memory::Reservation;
use crate::status::conditions::Conditions;
use crate::status::metrics::Metrics;
use crate::uncancelled::Uncancelled;

pub(crate) use bucket_check::watch as watch_bucket;
pub(crate) use dead_letters::Letters;
pub(crate) use failure::REASONS;
pub(crate) use s3::{Bucket, S3Endpoint};
pub(crate) use upload::Uploads;

use batches::Batches;
use dead_letters::DeadLetters;
use objects::Objects;

/// Interval at which the condition about rejected events forgets old ones.
const SETTLE_INTERVAL: Duration = Duration::from_secs(10);

/// Stores events in one function's bucket, by the function's delivery mode.
#[derive(Debug)]
pub(crate) struct Delivery {
    mode: Mode,
    /// `None` if the function does not store its rejected events.
    dead_letters: Option<DeadLetters>,
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
        conditions: Arc<Conditions>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let dead_letters = DeadLetters::new(spec, Arc::clone(&uploads), conditions, Arc::clone(&metrics));
        let mode = match spec.delivery.mode {
            DeliveryMode::Object => Mode::Object(Objects::new(spec, uploads, Arc::clone(&metrics))),
            DeliveryMode::Batch => Mode::Batch(Batches::new(spec, uploads, clock, Arc::clone(&metrics))),
        };
        Self { mode, dead_letters, metrics }
    }

    /// The dead letters of a request's rejected events, as [`store`](Self::store) stores them; `None` if there is
    /// nothing to store. `path` is the label of the request's path. Their memory is reserved from the budget of
    /// `reservation`.
    ///
    /// # Errors
    /// [`NotStored::OutOfMemory`]
    pub(crate) fn dead_letters(
        &self,
        rejected: &[Rejected<'_>],
        path: &'static str,
        rejected_at: Timestamp,
        reservation: &Reservation,
    ) -> Result<Option<Letters>, NotStored> {
        // An empty body, as of a probe, has no event.
        let any = rejected.iter().any(|one| !one.original.trim_ascii().is_empty());
        let Some(dead_letters) = self.dead_letters.as_ref().filter(|_| any) else { return Ok(None) };
        let letters = dead_letters.letters(rejected, path, rejected_at, reservation);
        letters.map(Some).ok_or(NotStored::OutOfMemory)
    }

    /// Stores events and dead letters, or returns by `deadline` why it could not. `reservation` covers the memory of the
    /// events. It runs to its end even if the caller is dropped: a client that hangs up cancels no upload, and every
    /// outcome is counted.
    ///
    /// Dead letters are stored first: if the events were stored and a dead letter were not, the client would send the
    /// events again, and in Batch mode they would be stored twice.
    pub(crate) async fn store(
        self: &Arc<Self>,
        events: Vec<Event>,
        letters: Option<Letters>,
        reservation: Reservation,
        deadline: Instant,
    ) -> Result<(), NotStored> {
        let delivery = Arc::clone(self);
        let flight = self.metrics.flight(events.len());
        let stored = async move {
            let _flight = flight;
            if let (Some(dead_letters), Some(letters)) = (&delivery.dead_letters, letters) {
                // Boxed: the usual request has none, and is smaller without them.
                Box::pin(dead_letters.store(letters, deadline)).await?;
            }
            if events.is_empty() {
                return Ok(());
            }
            match &delivery.mode {
                Mode::Object(objects) => {
                    let mut reservation = reservation;
                    if !reservation.grow(concurrent::memory_bytes(events.len())) {
                        return Err(NotStored::OutOfMemory);
                    }
                    objects.store(&events, deadline).await
                }
                Mode::Batch(batches) => batches.store(events, reservation, deadline).await,
            }
        };
        Uncancelled::new(stored).await
    }

    /// Keeps the condition about rejected events current until this task is the last to hold the delivery.
    pub(crate) fn keep_reports(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let delivery = Arc::downgrade(self);
        async move {
            while let Some(delivery) = delivery.upgrade() {
                let Some(dead_letters) = &delivery.dead_letters else { return };
                dead_letters.settle();
                drop(delivery);
                tokio::time::sleep(SETTLE_INTERVAL).await;
            }
        }
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
