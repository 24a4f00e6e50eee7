//! Limits memory and concurrency of bodies whose client has not proved its credential yet.
//!
//! A write key may be in the body, as browsers send it, and a webhook's signature covers the body, so such a body must
//! be read before the client is authorized. Such bodies have a separate memory budget, and only a limited number is read
//! concurrently, so clients without a credential leave memory and connections to clients with one in their headers. Clients
//! whose credential is in the body share these limits with clients that have none.

use tokio::sync::{Semaphore, SemaphorePermit};
use tributary_crds::function::DestinationFunctionSpec;
use tributary_crds::memory::unproven_bytes;

use crate::memory::{self, Budget};

/// The share of connections on which unproven bodies are read concurrently: one in four. On the others such a request is
/// refused, so they become idle and can be closed for new ones.
const CONNECTIONS_PER_BODY: usize = 4;

/// The memory budget of unproven bodies, and a semaphore for the number that is read concurrently.
#[derive(Debug)]
pub(super) struct Unproven {
    budget: Budget,
    slots: Semaphore,
}

impl Unproven {
    /// The limits for a function's unproven bodies.
    pub(super) fn new(spec: &DestinationFunctionSpec) -> Self {
        Self {
            budget: Budget::new(memory::size(unproven_bytes(spec))),
            slots: Semaphore::new(spec.max_connections() / CONNECTIONS_PER_BODY),
        }
    }

    /// A permit to read one more body; `None` if too many are being read.
    pub(super) fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.slots.try_acquire().ok()
    }

    /// The memory budget that all unproven bodies share.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }
}
