//! Batch mode: collects events in batches, and stores each batch as one object of newline-delimited JSON.
//!
//! An event goes into the open batch of its partition ([`partitions`]: one per type and event time, if keys contain
//! them). A batch is sealed when it is full ([`batch_builder`]) or due ([`seal_time`]). It gets its key then, and keeps it
//! over all retries: a batch never becomes two objects. A request is answered once S3 has stored the batches of its
//! events. After a 503 the client sends it again, into other batches: readers recognize such duplicates by their
//! `messageId`.
//!
//! A batch has its own task, from its first event to its outcome. The task lives no longer than the requests that
//! wait for it, so once a draining server has answered every request, everything it acknowledged is stored.
//!
//! A batch's lines are collected under a lock that all requests share, and compressed without it: whenever there is a
//! piece of them, its task compresses it ([`compressed`]). All memory of a batch is reserved.

mod batch_builder;
mod compressed;
mod compressor;
mod event_time;
#[cfg(feature = "internals")]
mod internals;
mod partitions;
mod seal_time;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout_at};
use tributary_crds::conditions::Reason;
use tributary_crds::function::{Compression, DestinationFunctionSpec};
use tributary_crds::memory::{max_batch_bytes, max_partitions};
use tributary_crds::values::{BatchAge, EventAge, KeyTemplate};
use uuid::Uuid;

#[cfg(feature = "internals")]
pub use self::internals::{Pieces, batch};

use self::batch_builder::{BatchBuilder, BatchLimits};
use self::compressed::{CompressedBody, OutOfMemory, Piece};
use self::compressor::{Compressors, extension};
use self::event_time::EventTimes;
use self::partitions::{Now, Partition, PartitionState, Partitions};
use super::NotStored;
use super::key::Keys;
use super::s3::Object;
use super::upload::Uploads;
use crate::blocker::Blocker;
use crate::clock::{Clock, timestamp};
use crate::event::Event;
use crate::memory::{self, Reservation};
use crate::status::metrics::Metrics;

/// Limits at which a batch is sealed, where `spec.delivery.batch` does not set them.
const DEFAULT_MAX_EVENTS: u32 = 10_000;
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(1);

/// How old an event with its own partition may be, where `spec.delivery.batch` does not set it.
const DEFAULT_MAX_EVENT_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Minimum time reserved for a batch's upload before the deadline of its requests.
const MIN_UPLOAD_TIME: Duration = Duration::from_secs(3);

/// Maximum batches that one request waits for at a time: its other events are added as those are stored. More than there
/// are partitions, because batches that are not full are stored one `maxAge` later.
const MAX_BATCHES_PER_REQUEST: usize = 512;

/// Bytes of events that are added to batches before the lock is released: less than a tenth of a millisecond of work.
const MAX_LOCKED_BYTES: usize = 256 << 10;

/// Bytes per batch in addition to its content: its task, its key and the channels to its requests.
const BATCH_OVERHEAD_BYTES: usize = 4 << 10;

/// The outcome of a batch; `None` until it is known.
type Outcome = Option<Result<(), NotStored>>;

/// Puts events into batches, and uploads the batches as objects.
#[derive(Debug)]
pub(super) struct Batches(Arc<Batcher>);

/// The state that requests and the tasks of batches share.
#[derive(Debug)]
struct Batcher {
    keys: Keys,
    limits: BatchLimits,
    age: Duration,
    compression: Compression,
    uploads: Arc<Uploads>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    compressors: Compressors,
    partitions: Mutex<Partitions<OpenBatch>>,
}

/// A batch that still accepts events.
struct OpenBatch {
    id: Uuid,
    content: Content,
    /// Sends the content to the batch's task. What it holds is bounded by the memory budget.
    lines_tx: mpsc::UnboundedSender<Lines>,
    outcome: watch::Receiver<Outcome>,
}

impl std::fmt::Debug for OpenBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenBatch").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The content of an open batch, without the pieces that its task has, with its times and its memory.
struct Content {
    builder: BatchBuilder,
    opened: Instant,
    /// The earliest deadline of the requests with events in it.
    deadline: Instant,
    /// Covers the memory of the builder.
    reservation: Reservation,
}

/// What the task of a batch receives, in this order.
enum Lines {
    /// A full piece of lines, any number of times.
    Piece(Piece),
    /// The rest: the batch is sealed.
    Sealed(Content),
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
        let event_age = batch.and_then(|batch| batch.max_event_age.as_ref());
        let event_times = EventTimes::new(
            template.event_time_fields(),
            event_age.map_or(DEFAULT_MAX_EVENT_AGE, EventAge::duration),
            memory::size(max_partitions(spec)),
        );
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
            compressors: Compressors::new(compression),
            partitions: Mutex::new(Partitions::new(keys.have_type(), event_times, age)),
            keys,
        }))
    }

    /// Stores events, or returns by `deadline` why it could not. `reservation` covers their memory until they are in
    /// batches.
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
                    // The events' memory is freed too: the iterator would hold it while the batches are waited for.
                    (events, reservation) = (Vec::new().into_iter(), None);
                } else if waiting.len() < MAX_BATCHES_PER_REQUEST {
                    continue;
                }
            }
            let Some(mut batch) = waiting.pop_front() else { return Ok(()) };
            let known = timeout_at(deadline.into(), batch.outcome.wait_for(Option::is_some)).await;
            let known = known.map(|outcome| outcome.ok().and_then(|outcome| outcome.clone()));
            // A batch's task reports its outcome in time, unless the process ends.
            known.ok().flatten().unwrap_or_else(|| Err(not_in_time().into()))?;
        }
    }
}

impl Batcher {
    /// Adds some of the events to batches, and those batches to the ones that the request waits for.
    fn add_some(
        self: &Arc<Self>,
        events: &mut vec::IntoIter<Event>,
        reservation: &Reservation,
        deadline: Instant,
        waiting: &mut VecDeque<Waiting>,
    ) -> Result<(), NotStored> {
        let wall = timestamp(self.clock.now());
        let mut partitions = self.partitions();
        let mut bytes = 0;
        while bytes < MAX_LOCKED_BYTES && waiting.len() < MAX_BATCHES_PER_REQUEST {
            let Some(event) = events.next() else { break };
            bytes += event.body.len();
            let now = Now { instant: Instant::now(), wall };
            let (batch, unpartitioned) = partitions.with(&event.event_type, event.occurred_at, now, |state| {
                self.add(&event, state, reservation, deadline, now.instant)
            });
            let batch = batch?;
            unpartitioned.inspect(|reason| self.metrics.unpartitioned(*reason));
            // Searched from the end: most likely it is the last one.
            if waiting.iter().rev().all(|other| other.id != batch.id) {
                waiting.push_back(batch);
            }
        }
        Ok(())
    }

    /// Adds an event to the open batch of its partition, and returns that batch.
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
        if let Some(lines) = builder.take_full_piece(event) {
            let reservation = reservation.split(lines.capacity());
            // This can't fail: the task keeps the receiver until the batch is sealed.
            let _ = open.lines_tx.send(Lines::Piece(Piece { lines, reservation }));
        }
        if !builder.add(event, reservation) {
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

    /// Opens a batch and spawns its task. The batch's memory is from the same budget as `reservation`.
    fn open(
        self: &Arc<Self>,
        partition: Partition,
        last_sealed: Option<Instant>,
        reservation: &Reservation,
        deadline: Instant,
        now: Instant,
    ) -> Result<OpenBatch, NotStored> {
        let mut of_task = reservation.another();
        if !of_task.grow(BATCH_OVERHEAD_BYTES) {
            return Err(NotStored::OutOfMemory);
        }
        let id = Uuid::new_v4();
        let builder = BatchBuilder::new(self.compression, self.limits);
        let body = CompressedBody::new(self.compression, self.limits.bytes, of_task);
        let (lines_tx, lines_rx) = mpsc::unbounded_channel();
        let (outcome_tx, outcome) = watch::channel(None);
        // A request that waited long for a session may have less time left than a batch may wait.
        let due = seal_time::due(now, last_sealed, self.age).min(deadline - MIN_UPLOAD_TIME);
        tokio::spawn(Arc::clone(self).run_batch(id, partition, due, body, lines_rx, outcome_tx));
        let content = Content { builder, opened: now, deadline, reservation: reservation.another() };
        Ok(OpenBatch { id, content, lines_tx, outcome })
    }

    /// The task of a batch: compresses its pieces until it is sealed, seals it when it is due, then uploads it.
    async fn run_batch(
        self: Arc<Self>,
        id: Uuid,
        partition: Partition,
        due: Instant,
        mut body: CompressedBody,
        mut lines_rx: mpsc::UnboundedReceiver<Lines>,
        outcome_tx: watch::Sender<Outcome>,
    ) {
        let mut compressed = Ok(());
        let mut is_due = false;
        let content = loop {
            tokio::select! {
                lines = lines_rx.recv() => match lines {
                    Some(Lines::Piece(piece)) if compressed.is_ok() => {
                        compressed = body.append(piece, &self.compressors).await;
                    }
                    // A batch that lacks a piece is not uploaded.
                    Some(Lines::Piece(_)) => {}
                    Some(Lines::Sealed(content)) => break content,
                    // The batch was dropped before its first event.
                    None => return,
                },
                () = sleep_until(due.into()), if !is_due => {
                    is_due = true;
                    self.seal_due(&partition, id);
                }
            }
        };
        let outcome = match compressed {
            Ok(()) => self.upload(id, &partition, content, body).await,
            Err(OutOfMemory) => Err(NotStored::OutOfMemory),
        };
        outcome_tx.send_replace(Some(outcome));
    }

    async fn upload(
        &self,
        id: Uuid,
        partition: &Partition,
        content: Content,
        mut body: CompressedBody,
    ) -> Result<(), NotStored> {
        let Content { builder, opened, deadline, reservation } = content;
        let sealed_at = timestamp(self.clock.now());
        let age = opened.elapsed();
        let (lines, size) = builder.seal();
        let appended = body.append(Piece { lines, reservation }, &self.compressors).await;
        appended.map_err(|OutOfMemory| NotStored::OutOfMemory)?;
        let (body, _reservation) = body.finish();
        self.metrics.batch(size.bytes, age);
        let object = Object {
            key: self.keys.of_batch(partition.event_type.as_ref(), partition.period, sealed_at, id),
            is_new: true,
            part: partition.event_type.as_ref().and_then(|event_type| self.keys.part(event_type)),
            body: Bytes::from(body),
            content_type: "application/x-ndjson",
        };
        self.uploads.upload(&object, deadline).await?;
        self.metrics.stored_together(&size.types);
        Ok(())
    }

    /// Seals a batch of this partition, unless it is sealed already.
    fn seal_due(&self, partition: &Partition, id: Uuid) {
        let mut partitions = self.partitions();
        let state = partitions.get(partition);
        if let Some(state) = state.filter(|state| state.open.as_ref().is_some_and(|open| open.id == id)) {
            state.seal(Instant::now());
        }
    }

    fn partitions(&self) -> MutexGuard<'_, Partitions<OpenBatch>> {
        self.partitions.lock()
    }
}

impl PartitionState<OpenBatch> {
    /// Seals the open batch by sending the rest of its content to its task.
    fn seal(&mut self, now: Instant) {
        if let Some(OpenBatch { content, lines_tx, .. }) = self.open.take() {
            self.last_sealed = Some(now);
            // This can't fail: the task keeps the receiver until the rest comes.
            let _ = lines_tx.send(Lines::Sealed(content));
        }
    }
}

fn not_in_time() -> Blocker {
    let message = "the batch was not stored in time; send the events again".to_owned();
    Blocker { reason: Reason::S3Unreachable, message }
}
