//! Whether clients should be sent to this sidecar: what `/readyz` answers.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether clients should be sent here: from the first session that traffic may use, and the first
/// certificate, whatever fails later (a 503 with a reason helps them more than a refused
/// connection), until the end.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    begun: AtomicBool,
    ending: AtomicBool,
}

impl Readiness {
    /// Latches when `begun` ends: a session can be used, and clients can be shown a certificate if there is to be one.
    pub(crate) async fn begin_with(&self, begun: impl Future<Output = ()>) {
        begun.await;
        self.begun.store(true, Ordering::Release);
    }

    /// The process ends: clients are to be sent elsewhere.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }
    /// Whether the end has begun.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Whether it has latched.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }
}
