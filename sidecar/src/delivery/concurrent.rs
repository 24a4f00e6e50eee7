//! Limits how many uploads of one request run concurrently.

use std::future::Future;

use futures_util::stream::{FuturesUnordered, StreamExt};

/// Maximum objects of one request that are uploaded concurrently: enough to store a full batch request in time, and
/// few enough that other requests get slots too.
const MAX_CONCURRENT_OBJECTS: usize = 128;

/// Bytes of memory per object that is being uploaded or waits for a slot: its task's state, its key and the timers.
const UPLOAD_STATE_BYTES: usize = 4 << 10;

/// Memory that the uploads of this many objects use in addition to the objects, in bytes.
pub(super) fn memory_bytes(objects: usize) -> usize {
    objects.min(MAX_CONCURRENT_OBJECTS) * UPLOAD_STATE_BYTES
}

/// Runs uploads concurrently. After the first failure no other one starts, and those that have started are finished.
///
/// # Errors
/// The first failure.
pub(super) async fn all<F, E>(mut uploads: impl Iterator<Item = F>) -> Result<(), E>
where
    F: Future<Output = Result<(), E>>,
{
    let mut started: FuturesUnordered<_> = uploads.by_ref().take(MAX_CONCURRENT_OBJECTS).collect();
    let mut result = Ok(());
    while let Some(ended) = started.next().await {
        result = result.and(ended);
        if result.is_ok() {
            started.extend(uploads.next());
        }
    }
    result
}
