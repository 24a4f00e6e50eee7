//! Objects of many events: newline-delimited JSON, compressed.
//!
//! An event is put into the open batch of its partition ([`partitions`]: its type, where keys have it). A
//! batch is sealed when it is full ([`batch_builder`]) or due ([`seal_time`]). It gets its key then, and keeps
//! it however often it is tried: a batch never becomes two objects. Its events are answered when S3 has
//! it. A request that got a 503 is sent again by its client, into another batch: readers know such an
//! event by its `messageId`.
//!
//! A batch has a task of its own, from its first event to its outcome. It lives no longer than the
//! requests that wait for it, so once a draining server has answered every request, everything that it
//! acknowledged is stored.
//!
//! All that a batch takes is reserved, from its task to its compressor; the compressor's part ends when
//! the batch is sealed.

mod batch_builder;
mod compress;
mod one_shot_compressor;
mod partitions;
mod seal_time;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec;

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep_until, timeout_at};
use tributary_crds::conditions::Reason;
use tributary_crds::function::{Compression, DestinationFunctionSpec};
use tributary_crds::memory::max_batch_bytes;
use tributary_crds::values::{BatchAge, KeyTemplate};
use uuid::Uuid;

use self::batch_builder::{BatchBuilder, BatchLimits};
use self::compress::extension;
use self::one_shot_compressor::OneShotCompressors;
use self::partitions::{Partition, PartitionState, Partitions};
use super::NotStored;
use super::key::Keys;
use super::s3::Object;
use super::upload::Uploads;
use crate::blocker::Blocker;
use crate::clock::Clock;
use crate::event::Event;
use crate::memory::{self, Reservation};
use crate::status::metrics::Metrics;

/// When a batch is sealed, where `spec.delivery.batch` does not say otherwise.
const DEFAULT_MAX_EVENTS: u32 = 10_000;
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(1);

/// Time of a request that is reserved for the upload of its batch.
const MIN_UPLOAD_TIME: Duration = Duration::from_secs(3);

/// Batches that one request waits for at a time: its other events are put into batches after those.
const MAX_BATCHES_PER_REQUEST: usize = 128;

/// Bytes of events that are put into batches while the lock is held: about a millisecond's work.
const MAX_LOCKED_BYTES: usize = 64 << 10;

/// Bytes that a batch takes in addition to its content: its task, its key, what its requests wait with.
const BATCH_OVERHEAD_BYTES: usize = 4 << 10;

/// What came of a batch, once that is known.
type Outcome = Option<Result<(), NotStored>>;

/// Puts events into batches, and batches into objects.
#[derive(Debug)]
pub(super) struct Batches(Arc<Batcher>);

#[derive(Debug)]
struct Batcher {
    keys: Keys,
    limits: BatchLimits,
    age: Duration,
    compression: Compression,
    uploads: Arc<Uploads>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    compressors: OneShotCompressors,
    partitions: Mutex<Partitions<OpenBatch>>,
}

/// A batch that takes events.
struct OpenBatch {
    id: Uuid,
    content: Content,
    /// To its task, when it takes no more.
    seal_tx: oneshot::Sender<Content>,
    outcome: watch::Receiver<Outcome>,
}

impl std::fmt::Debug for OpenBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenBatch").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What is in a batch.
struct Content {
    builder: BatchBuilder,
    opened: Instant,
    /// By when the first of its requests must be answered.
    deadline: Instant,
    /// The memory that it takes.
    reservation: Reservation,
}

/// A batch that a request waits for.
struct Waiting {
    id: Uuid,
    outcome: watch::Receiver<Outcome>,
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
        let keys = Keys::new(spec.s3.prefix.as_ref(), &template);
        let events = batch.and_then(|batch| batch.max_events).unwrap_or(DEFAULT_MAX_EVENTS);
        let age = batch.and_then(|batch| batch.max_age.as_ref()).map_or(DEFAULT_MAX_AGE, BatchAge::duration);
        Self(Arc::new(Batcher {
            limits: BatchLimits {
                bytes: memory::size(max_batch_bytes(spec).unwrap_or_default()),
                events: usize::try_from(events).unwrap_or(usize::MAX),
            },
            age,
            compression,
            uploads,
            clock,
            metrics,
            compressors: OneShotCompressors::new(compression),
            partitions: Mutex::new(Partitions::new(keys.have_type(), age)),
            keys,
        }))
    }

    /// Stores events, or says by `deadline` why it could not. `reservation` is of the memory that they
    /// take, until they are in batches.
    pub(super) async fn store(
        &self,
        events: Vec<Event>,
        reservation: Reservation,
        deadline: Instant,
    ) -> Result<(), NotStored> {
        let parts = events.iter().filter_map(|event| self.0.keys.part(&event.event_type)).collect();
        self.0.uploads.admit(parts, deadline).await?;
        let (mut events, mut reservation) = (events.into_iter(), Some(reservation));
        let mut waiting = VecDeque::new();
        loop {
            if let Some(held) = &reservation {
                self.0.add_some(&mut events, held, deadline, &mut waiting)?;
                if events.as_slice().is_empty() {
                    // The memory itself, too: the iterator would keep it while the batches are waited for.
                    (events, reservation) = (Vec::new().into_iter(), None);
                } else if waiting.len() < MAX_BATCHES_PER_REQUEST {
                    continue;
                }
            }
            let Some(mut batch) = waiting.pop_front() else { return Ok(()) };
            let known = timeout_at(deadline.into(), batch.outcome.wait_for(Option::is_some)).await;
            let known = known.map(|outcome| outcome.ok().and_then(|outcome| outcome.clone()));
            // A batch's task says its outcome in time, unless the process ends.
            known.ok().flatten().unwrap_or_else(|| Err(not_in_time().into()))?;
        }
    }
}

impl Batcher {
    /// Puts some of the events into batches, and adds those to what the request waits for.
    fn add_some(
        self: &Arc<Self>,
        events: &mut vec::IntoIter<Event>,
        reservation: &Reservation,
        deadline: Instant,
        waiting: &mut VecDeque<Waiting>,
    ) -> Result<(), NotStored> {
        let mut partitions = self.partitions();
        let mut bytes = 0;
        while bytes < MAX_LOCKED_BYTES && waiting.len() < MAX_BATCHES_PER_REQUEST {
            let Some(event) = events.next() else { break };
            bytes += event.body.len();
            let now = Instant::now();
            let state = partitions.of(&event.event_type, now);
            let batch = self.add(&event, state, reservation, deadline, now)?;
            // Most likely it is the last one.
            if waiting.iter().rev().all(|other| other.id != batch.id) {
                waiting.push_back(batch);
            }
        }
        Ok(())
    }

    /// Puts an event into its partition's open batch. Returns which that is.
    fn add(
        self: &Arc<Self>,
        event: &Event,
        state: &mut PartitionState<OpenBatch>,
        reservation: &Reservation,
        deadline: Instant,
        now: Instant,
    ) -> Result<Waiting, NotStored> {
        if state.open.as_ref().is_some_and(|open| !open.content.builder.has_room(event)) {
            state.seal(now);
        }
        let open = match &mut state.open {
            Some(open) => open,
            none => none.insert(self.open(state.partition.clone(), state.last_sealed, reservation, deadline, now)?),
        };
        let Content { builder, reservation, .. } = &mut open.content;
        if !builder.add(event, reservation).expect("memory takes what is written") {
            if builder.is_empty() {
                state.open = None;
            }
            return Err(NotStored::OutOfMemory);
        }
        open.content.deadline = open.content.deadline.min(deadline);
        let batch = Waiting { id: open.id, outcome: open.outcome.clone() };
        if open.content.builder.is_full() {
            state.seal(now);
        }
        Ok(batch)
    }

    /// Opens a batch, with its task. Its memory is of the budget that `reservation` is of.
    fn open(
        self: &Arc<Self>,
        partition: Partition,
        last_sealed: Option<Instant>,
        reservation: &Reservation,
        deadline: Instant,
        now: Instant,
    ) -> Result<OpenBatch, NotStored> {
        let mut reservation = reservation.another();
        if !reservation.grow(BATCH_OVERHEAD_BYTES) {
            return Err(NotStored::OutOfMemory);
        }
        let id = Uuid::new_v4();
        let builder = BatchBuilder::new(self.compression, self.limits);
        let (seal_tx, seal_rx) = oneshot::channel();
        let (outcome_tx, outcome) = watch::channel(None);
        // A request that waited long for a session has less time left than a batch may wait.
        let due = seal_time::due(now, last_sealed, self.age).min(deadline - MIN_UPLOAD_TIME);
        tokio::spawn(Arc::clone(self).run_batch(id, partition, due, seal_rx, outcome_tx));
        Ok(OpenBatch { id, content: Content { builder, opened: now, deadline, reservation }, seal_tx, outcome })
    }

    /// A batch's life after it was opened.
    async fn run_batch(
        self: Arc<Self>,
        id: Uuid,
        partition: Partition,
        due: Instant,
        mut seal_rx: oneshot::Receiver<Content>,
        outcome_tx: watch::Sender<Outcome>,
    ) {
        let content = tokio::select! {
            content = &mut seal_rx => content,
            () = sleep_until(due.into()) => {
                self.seal_due(id);
                seal_rx.await
            }
        };
        // Nothing comes of a batch that was given up before its first event.
        if let Ok(content) = content {
            let outcome = self.upload(id, &partition, content).await;
            outcome_tx.send_replace(Some(outcome));
        }
    }

    async fn upload(&self, id: Uuid, partition: &Partition, content: Content) -> Result<(), NotStored> {
        let Content { builder, opened, deadline, mut reservation } = content;
        let sealed_at = Timestamp::try_from(self.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
        let age = opened.elapsed();
        let batch = self.compressors.run(|compressor| builder.seal(compressor)).await;
        let batch = batch.expect("memory takes what is written");
        reservation.keep(batch.body.capacity() + BATCH_OVERHEAD_BYTES);
        self.metrics.batch(batch.plain_bytes, age);
        let object = Object {
            key: self.keys.of_batch(partition.event_type(), sealed_at, id),
            is_new: true,
            part: partition.event_type().and_then(|event_type| self.keys.part(event_type)),
            body: Bytes::from(batch.body),
            content_type: "application/x-ndjson",
        };
        self.uploads.upload(&object, deadline).await?;
        self.metrics.stored_together(&batch.types);
        Ok(())
    }

    /// Seals a batch, unless that was done.
    fn seal_due(&self, id: Uuid) {
        if let Some(state) = self.partitions().with_open(|open| open.id == id) {
            state.seal(Instant::now());
        }
    }

    fn partitions(&self) -> MutexGuard<'_, Partitions<OpenBatch>> {
        self.partitions.lock()
    }
}

impl PartitionState<OpenBatch> {
    /// Hands the open batch to its task.
    fn seal(&mut self, now: Instant) {
        if let Some(OpenBatch { content, seal_tx, .. }) = self.open.take() {
            self.last_sealed = Some(now);
            // The task waits for it until it comes.
            let _ = seal_tx.send(content);
        }
    }
}

fn not_in_time() -> Blocker {
    let message = "the batch was not stored in time; send the events again".to_owned();
    Blocker { reason: Reason::S3Unreachable, message }
}
