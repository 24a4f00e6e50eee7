//! Tracks readiness: whether clients should be routed to this sidecar. `/readyz` of the admin port answers it to the
//! kubelet, and health checks on the port for events (`ingest`) to load balancers.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// The readiness state. The sidecar is ready once a session is usable, the bucket was checked and, with TLS, there is a
/// certificate; until it shuts down. Later failures do not change it: a 503 with a reason helps clients more than a
/// refused connection.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    begun: watch::Sender<bool>,
    ending: AtomicBool,
}

impl Readiness {
    /// Makes the sidecar ready permanently once `begun` completes.
    pub(crate) async fn begin_with(&self, begun: impl Future<Output = ()>) {
        begun.await;
        self.begun.send_replace(true);
    }

    /// Ends readiness: the sidecar is shutting down, and clients should be sent elsewhere.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// A receiver that is notified once the sidecar has become ready.
    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.begun.subscribe()
    }

    /// Whether clients should be routed to this sidecar.
    pub(crate) fn is_ready(&self) -> bool {
        self.has_begun() && !self.is_ending()
    }

    /// Whether shutdown has begun.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Whether the sidecar has ever become ready.
    pub(super) fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }
}
