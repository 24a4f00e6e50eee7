//! What bodies may take whose sender has shown no credential yet.
//!
//! A write key may be in the body, as browsers send it, and a webhook's signature covers the body: such
//! a body has to be read before it is known who sent it. It is read out of a budget of its own, and only
//! so many are read at once, so that clients without a credential leave memory and connections to the
//! clients that show one in their headers. Whoever proves itself in the body shares what is here with
//! whoever can't.

use tokio::sync::{Semaphore, SemaphorePermit};
use tributary_crds::function::DestinationFunctionSpec;

use super::{MAX_BODY_BYTES, MAX_WEBHOOK_BODY_BYTES};
use crate::memory::Budget;

/// Bytes for bodies on `/v1/*`: four, each of them as large as it may be.
const API_BYTES: usize = 4 * MAX_BODY_BYTES;

/// Bytes where bodies may be signed: the largest webhook, as sent and decompressed.
const WEBHOOK_BYTES: usize = 2 * MAX_WEBHOOK_BODY_BYTES;

/// The part of a sidecar's connections on which such bodies are read at once: one in so many. The
/// others are idle as soon as they are answered, and make room.
const CONNECTIONS_PER_BODY: usize = 4;

/// The budget, and how many more bodies may be read.
#[derive(Debug)]
pub(super) struct Unproven {
    budget: Budget,
    slots: Semaphore,
}

impl Unproven {
    /// What a function's clients get before they have shown a credential.
    pub(super) fn new(spec: &DestinationFunctionSpec) -> Self {
        let signed = spec.ingest.as_ref().is_some_and(|ingest| ingest.signature_secret_ref.is_some());
        Self {
            budget: Budget::new(if signed { WEBHOOK_BYTES } else { API_BYTES }),
            slots: Semaphore::new(spec.max_connections() / CONNECTIONS_PER_BODY),
        }
    }

    /// The place of one more body, unless too many are being read.
    pub(super) fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.slots.try_acquire().ok()
    }

    /// The memory that they share.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }
}
