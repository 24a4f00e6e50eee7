//! `floor: batch`: compresses events into a batch as they arrive, and answers them when S3 has stored it.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::sleep;

use super::compress::Encoder;
use super::put::Bucket;
use super::{Envelope, Floor, events};
use crate::content::Content;
use crate::workload::BATCH_AGE;

/// Size before compression at which a batch is uploaded: the sidecar's default.
const FULL_BATCH_BYTES: usize = 5 << 20;

#[derive(Clone)]
pub(super) struct BatchFloor(Arc<BatchWriter>);

struct BatchWriter {
    bucket: Bucket,
    content: Content,
    /// Whether a request has many events.
    many: bool,
    state: Mutex<BatchState>,
}

#[derive(Default)]
struct BatchState {
    open: Option<OpenBatch>,
    /// Batches opened so far.
    count: u64,
}

/// A batch that accepts events.
struct OpenBatch {
    number: u64,
    encoder: Encoder,
    bytes: usize,
    stored: watch::Sender<bool>,
}

impl BatchFloor {
    pub(super) fn new(bucket: Bucket, content: Content, many: bool) -> BatchFloor {
        BatchFloor(Arc::new(BatchWriter { bucket, content, many, state: Mutex::default() }))
    }
}

impl Floor for BatchFloor {
    async fn handle(&self, body: Bytes) -> Result<()> {
        let events = events(&body, self.0.many)?;
        events.iter().try_for_each(|event| Envelope::parse(event).map(drop))?;
        for mut stored in self.0.add(&events)? {
            stored.wait_for(|stored| *stored).await.context("S3 did not store the batch")?;
        }
        Ok(())
    }
}

impl BatchWriter {
    /// Puts events into batches. Returns a receiver per batch, which becomes true when the batch is stored.
    fn add(self: &Arc<Self>, events: &[&[u8]]) -> Result<Vec<watch::Receiver<bool>>> {
        let mut batches = Vec::new();
        let mut last = None;
        let mut state = self.state();
        for event in events {
            let BatchState { open, count } = &mut *state;
            let batch = match open {
                Some(batch) => batch,
                None => open.insert(self.open(count)?),
            };
            batch.encoder.write_line(event)?;
            batch.bytes += event.len() + 1;
            if last.replace(batch.number) != Some(batch.number) {
                batches.push(batch.stored.subscribe());
            }
            if batch.bytes >= FULL_BATCH_BYTES {
                tokio::spawn(Arc::clone(self).upload(open.take()));
            }
        }
        Ok(batches)
    }

    fn open(self: &Arc<Self>, count: &mut u64) -> Result<OpenBatch> {
        let encoder = Encoder::new(self.content)?;
        *count += 1;
        let number = *count;
        let writer = Arc::clone(self);
        tokio::spawn(async move {
            sleep(BATCH_AGE).await;
            // `None` if the batch was full, and therefore uploaded, before.
            let due = writer.state().open.take_if(|open| open.number == number);
            writer.upload(due).await;
        });
        Ok(OpenBatch { number, encoder, bytes: 0, stored: watch::Sender::new(false) })
    }

    /// Uploads a batch. A failure drops its sender, so its requests stop waiting and get an error.
    async fn upload(self: Arc<Self>, batch: Option<OpenBatch>) {
        let Some(OpenBatch { number, encoder, stored, .. }) = batch else { return };
        let Ok(body) = encoder.finish() else { return };
        match self.bucket.put(&format!("{number}.ndjson"), Bytes::from(body)).await {
            Ok(()) => drop(stored.send_replace(true)),
            Err(error) => eprintln!("floor: batch: {error:#}"),
        }
    }

    fn state(&self) -> MutexGuard<'_, BatchState> {
        self.state.lock()
    }
}
