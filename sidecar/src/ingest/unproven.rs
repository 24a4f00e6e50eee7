//! What bodies may take whose sender has shown no credential yet.
//!
//! A write key may be in the body, as browsers send it, and a webhook's signature covers the body: such
//! a body has to be read before it is known who sent it. It is read out of a budget of its own, and only
//! so many are read at once, so that clients without a credential leave memory and connections to the
//! clients that show one in their headers. A client that proves itself in the body shares what is here
//! with clients that can't.

use tokio::sync::{Semaphore, SemaphorePermit};
use tributary_crds::function::DestinationFunctionSpec;
use tributary_crds::memory::unproven_bytes;

use crate::memory::{self, Budget};

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
        Self {
            budget: Budget::new(memory::size(unproven_bytes(spec))),
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
