//! Objects of many events: newline-delimited JSON, compressed.
//!
//! Events are put into the open batch of their type, if keys differ by type, else of all types. A
//! batch is sealed when it is full ([`filling`]) or due ([`pace`]), gets its key then, and keeps it
//! however often it is tried: a batch never becomes two objects. Its events are answered when S3 has
//! it. A request that got a 503 is sent again by its client, into another batch: readers know such
//! an event by its `messageId`.
//!
//! A batch has a task of its own, from its first event to its outcome. It lives no longer than the
//! requests that wait for it, so that a server that answers what was begun has stored what it
//! answered.

mod compress;
mod filling;
mod pace;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep_until, timeout_at};
use tributary_crds::conditions::Reason;
use tributary_crds::function::{Compression, DestinationFunctionSpec};
use tributary_crds::values::{BatchAge, BatchBytes, KeyTemplate};
use uuid::Uuid;

use self::compress::extension;
use self::filling::{Filling, Limits, Partition};
use super::NotStored;
use super::key::Keys;
use super::s3::Object;
use super::upload::Uploads;
use crate::clock::Clock;
use crate::conditions::Blocker;
use crate::event::Event;
use crate::http::Reservation;
use crate::metrics::Metrics;

/// The limits of `spec.delivery.batch`, where it does not say otherwise.
const BYTES: usize = 5 << 20;
const EVENTS: u32 = 10_000;
const AGE: Duration = Duration::from_secs(1);

/// What an upload is left of a request's time, at least.
const UPLOAD: Duration = Duration::from_secs(3);

/// Batches open at once. Webhooks send types of any name: one more seals the oldest.
const OPEN: usize = 8;

/// What came of a batch, once that is known.
type Outcome = Option<Result<(), NotStored>>;

/// Puts events into batches, and batches into objects.
#[derive(Debug)]
pub(super) struct Batches(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    keys: Keys,
    limits: Limits,
    age: Duration,
    compression: Compression,
    uploads: Arc<Uploads>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    partitions: Mutex<Vec<PartitionState>>,
}

/// Where the events of a partition are put.
#[derive(Debug)]
struct PartitionState {
    partition: Partition,
    open: Option<Open>,
    /// When its last batch was sealed.
    sealed: Option<Instant>,
}

/// A batch that takes events.
struct Open {
    id: Uuid,
    content: Content,
    /// To its task, when it takes no more.
    seal: oneshot::Sender<Content>,
    outcome: watch::Receiver<Outcome>,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What is in a batch.
struct Content {
    filling: Filling,
    /// By when the first of its requests must be answered.
    deadline: Instant,
    /// The memory that it takes.
    reservation: Reservation,
}

impl Batches {
    pub(super) fn new(
        spec: &DestinationFunctionSpec,
        uploads: Arc<Uploads>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let batch = spec.delivery.batch.as_ref();
        let compression = batch.map(|batch| batch.compression).unwrap_or_default();
        let template = spec.delivery.key.clone();
        let template = template.unwrap_or_else(|| KeyTemplate::batch_default(extension(compression)));
        let events = batch.and_then(|batch| batch.max_events).unwrap_or(EVENTS);
        Self(Arc::new(Shared {
            keys: Keys::new(spec.s3.prefix.as_ref(), &template),
            limits: Limits {
                bytes: batch.and_then(|batch| batch.max_bytes.as_ref()).map_or(BYTES, BatchBytes::bytes),
                events: usize::try_from(events).unwrap_or(usize::MAX),
            },
            age: batch.and_then(|batch| batch.max_age.as_ref()).map_or(AGE, BatchAge::duration),
            compression,
            uploads,
            clock,
            metrics,
            partitions: Mutex::default(),
        }))
    }

    /// Bytes that batches may hold: one that fills and one that is uploaded, should nothing compress.
    pub(super) fn memory(&self) -> usize {
        2 * self.0.limits.bytes
    }

    /// Stores events, or says by `deadline` why it could not.
    pub(super) async fn store(
        &self,
        events: Vec<Event>,
        reservation: Reservation,
        deadline: Instant,
    ) -> Result<(), NotStored> {
        self.0.uploads.admit(deadline).await?;
        for mut outcome in self.0.add(events, reservation, deadline) {
            let known = timeout_at(deadline.into(), outcome.wait_for(Option::is_some)).await;
            let known = known.map(|told| told.ok().and_then(|outcome| outcome.clone()));
            // A batch's task tells its outcome in time, unless the process ends.
            known.ok().flatten().unwrap_or_else(|| Err(not_in_time().into()))?;
        }
        Ok(())
    }
}

impl Shared {
    /// Puts events into batches. Returns the outcomes to wait for.
    fn add(
        self: &Arc<Self>,
        events: Vec<Event>,
        mut reservation: Reservation,
        deadline: Instant,
    ) -> Vec<watch::Receiver<Outcome>> {
        let mut outcomes: Vec<(Uuid, watch::Receiver<Outcome>)> = Vec::new();
        let mut partitions = self.partitions();
        for event in events {
            let state = find(&mut partitions, &event, self.keys.have_type());
            if state.open.as_ref().is_some_and(|open| !open.content.filling.has_room(&event, self.limits)) {
                state.seal();
            }
            let (partition, sealed) = (&state.partition, state.sealed);
            let open =
                state.open.get_or_insert_with(|| self.open(partition.clone(), sealed, &mut reservation, deadline));
            let grown = open.content.filling.add(&event).expect("memory takes what is written");
            open.content.reservation.join(reservation.split(grown));
            open.content.deadline = open.content.deadline.min(deadline);
            if outcomes.iter().all(|(id, _)| *id != open.id) {
                outcomes.push((open.id, open.outcome.clone()));
            }
            if open.content.filling.is_full(self.limits) {
                state.seal();
            }
        }
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Opens a batch, with its task.
    fn open(
        self: &Arc<Self>,
        partition: Partition,
        sealed: Option<Instant>,
        reservation: &mut Reservation,
        deadline: Instant,
    ) -> Open {
        let id = Uuid::new_v4();
        let filling = Filling::new(self.compression).expect("memory takes what is written");
        let (seal, full) = oneshot::channel();
        let (told, outcome) = watch::channel(None);
        // Whoever waited long for a session has less time left than a batch may wait.
        let due = pace::due(Instant::now(), sealed, self.age).min(deadline - UPLOAD);
        tokio::spawn(Arc::clone(self).tend(id, partition, due, full, told));
        Open { id, content: Content { filling, deadline, reservation: reservation.split(0) }, seal, outcome }
    }

    /// A batch's life after it was opened.
    async fn tend(
        self: Arc<Self>,
        id: Uuid,
        partition: Partition,
        due: Instant,
        mut full: oneshot::Receiver<Content>,
        told: watch::Sender<Outcome>,
    ) {
        let content = tokio::select! {
            content = &mut full => content,
            () = sleep_until(due.into()) => {
                self.seal_due(id);
                full.await
            }
        };
        if let Ok(content) = content {
            let outcome = self.upload(id, &partition, content).await;
            told.send_replace(Some(outcome));
        }
    }

    async fn upload(&self, id: Uuid, partition: &Partition, content: Content) -> Result<(), NotStored> {
        let Content { filling, deadline, reservation: _held } = content;
        let sealed = Timestamp::try_from(self.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
        let batch = filling.seal().expect("memory takes what is written");
        let object = Object {
            key: self.keys.of_batch(partition.event_type(), sealed, id),
            is_new: true,
            body: Bytes::from(batch.body),
            content_type: "application/x-ndjson",
        };
        self.uploads.upload(&object, deadline).await?;
        self.metrics.stored_together(&batch.types);
        Ok(())
    }

    /// Seals a batch, unless that was done.
    fn seal_due(&self, id: Uuid) {
        let mut partitions = self.partitions();
        let state = partitions.iter_mut().find(|state| state.open.as_ref().is_some_and(|open| open.id == id));
        if let Some(state) = state {
            state.seal();
        }
    }

    fn partitions(&self) -> MutexGuard<'_, Vec<PartitionState>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartitionState {
    /// Hands the open batch to its task.
    fn seal(&mut self) {
        if let Some(Open { content, seal, .. }) = self.open.take() {
            self.sealed = Some(Instant::now());
            // The task waits for it until it comes.
            let _ = seal.send(content);
        }
    }
}

/// The partition of an event; a new one may take the place of an old one.
fn find<'a>(partitions: &'a mut Vec<PartitionState>, event: &Event, by_type: bool) -> &'a mut PartitionState {
    let at = match partitions.iter().position(|state| state.partition.takes(event)) {
        Some(at) => at,
        None => {
            if partitions.len() >= OPEN {
                let idle = partitions.iter().position(|state| state.open.is_none());
                partitions.remove(idle.unwrap_or_default()).seal();
            }
            let partition = if by_type { Partition::Type(event.event_type.clone()) } else { Partition::All };
            partitions.push(PartitionState { partition, open: None, sealed: None });
            partitions.len() - 1
        }
    };
    &mut partitions[at]
}

fn not_in_time() -> Blocker {
    let message = "the batch was not stored in time; send the events again".to_owned();
    Blocker { reason: Reason::S3Unreachable, message }
}
