//! `floor: batch`: compresses events into a batch as they arrive, and answers them when S3 has stored it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::sleep;

use super::put::Bucket;
use super::{Envelope, Floor};
use crate::target::BATCH_AGE;

/// The sidecar's gzip level, and its default size of a full batch before compression: with other values this would be
/// no floor.
const GZIP_LEVEL: u32 = 2;
const FULL: usize = 5 << 20;

#[derive(Clone)]
struct Batch(Arc<Shared>);

struct Shared {
    bucket: Bucket,
    /// Whether a request has many events.
    many: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// Batches opened so far.
    count: u64,
}

/// A batch that accepts events.
struct Open {
    number: u64,
    encoder: GzEncoder<Vec<u8>>,
    bytes: usize,
    stored: watch::Sender<bool>,
}

/// The body of a request with many events.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    batch: Vec<&'a RawValue>,
}

/// Serves the floor, with S3 at `s3` and this many events per request.
pub fn run(s3: SocketAddr, events: usize) -> Result<()> {
    let shared = Shared { bucket: Bucket::at(s3), many: events > 1, state: Mutex::default() };
    super::serve(Batch(Arc::new(shared)))
}

impl Floor for Batch {
    async fn take(&self, body: Bytes) -> Result<()> {
        let events: Vec<&[u8]> = if self.0.many {
            let body: Body<'_> = serde_json::from_slice(&body)?;
            body.batch.into_iter().map(|event| event.get().as_bytes()).collect()
        } else {
            vec![&body]
        };
        events.iter().try_for_each(|event| Envelope::of(event).map(drop))?;
        for mut stored in self.0.add(&events)? {
            stored.wait_for(|stored| *stored).await.context("S3 did not take the batch")?;
        }
        Ok(())
    }
}

impl Shared {
    /// Puts events into batches. Returns a receiver per batch, which becomes true when the batch is stored.
    fn add(self: &Arc<Self>, events: &[&[u8]]) -> Result<Vec<watch::Receiver<bool>>> {
        let mut batches = Vec::new();
        let mut last = None;
        let mut state = self.state();
        for event in events {
            let State { open, count } = &mut *state;
            let batch = open.get_or_insert_with(|| self.open(count));
            batch.encoder.write_all(event)?;
            batch.encoder.write_all(b"\n")?;
            batch.bytes += event.len() + 1;
            if last.replace(batch.number) != Some(batch.number) {
                batches.push(batch.stored.subscribe());
            }
            if batch.bytes >= FULL {
                tokio::spawn(Arc::clone(self).upload(open.take()));
            }
        }
        Ok(batches)
    }

    fn open(self: &Arc<Self>, count: &mut u64) -> Open {
        *count += 1;
        let number = *count;
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            sleep(BATCH_AGE).await;
            // Unless it was full, and so uploaded, before.
            let due = shared.state().open.take_if(|open| open.number == number);
            shared.upload(due).await;
        });
        let encoder = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
        Open { number, encoder, bytes: 0, stored: watch::Sender::new(false) }
    }

    /// Uploads a batch. A failure drops its sender, which ends the wait of its requests with an error.
    async fn upload(self: Arc<Self>, batch: Option<Open>) {
        let Some(Open { number, encoder, stored, .. }) = batch else { return };
        let Ok(body) = encoder.finish() else { return };
        match self.bucket.put(&format!("{number}.ndjson.gz"), Bytes::from(body)).await {
            Ok(()) => drop(stored.send_replace(true)),
            Err(error) => eprintln!("floor: batch: {error:#}"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
