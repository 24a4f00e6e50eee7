//! Counts a PUT once, whatever becomes of it.

use std::time::{Duration, Instant};

use tributary_crds::conditions::Reason;

use super::Metrics;
use super::labels::code_label;

/// `code` of a PUT that had no answer in time.
pub(crate) const TIMEOUT: &str = "timeout";

/// `code` of a PUT that was given up before its end, with the request that it was part of.
const CANCELLED: &str = "cancelled";

/// `code` of a PUT to whose condition S3 answered 412, which alone does not prove that the object is there.
pub(crate) const PRECONDITION_FAILED: &str = "PreconditionFailed";

/// Every `code` of a PUT that failed, of which S3's refusals come to `reasons`.
pub(super) fn upload_error_codes(reasons: &[Reason]) -> impl Iterator<Item = String> {
    let reasons = reasons.iter().map(ToString::to_string);
    reasons.chain([PRECONDITION_FAILED, TIMEOUT, CANCELLED].map(str::to_owned))
}

/// A PUT under way. Dropped before its end, it counts as cancelled.
pub(crate) struct Attempt<'a> {
    metrics: &'a Metrics,
    start: Instant,
    outcome: AttemptOutcome,
}

enum AttemptOutcome {
    Stored,
    Existed,
    Failed(String),
    Cancelled,
}

impl<'a> Attempt<'a> {
    pub(super) fn begin(metrics: &'a Metrics) -> Self {
        Self { metrics, start: Instant::now(), outcome: AttemptOutcome::Cancelled }
    }

    /// How long it has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// S3 stored the object, of that many bytes.
    pub(crate) fn stored(mut self, bytes: usize) {
        self.metrics.objects_stored.inc();
        self.metrics.stored_bytes.inc_by(bytes as u64);
        self.outcome = AttemptOutcome::Stored;
    }

    /// S3 had the object already.
    pub(crate) fn existed(mut self) {
        self.outcome = AttemptOutcome::Existed;
    }

    /// It failed for this reason.
    pub(crate) fn failed(mut self, code: impl Into<String>) {
        self.outcome = AttemptOutcome::Failed(code.into());
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.metrics.upload_duration.observe(self.elapsed().as_secs_f64());
        let code = match &self.outcome {
            AttemptOutcome::Stored | AttemptOutcome::Existed => return,
            AttemptOutcome::Failed(code) => code,
            AttemptOutcome::Cancelled => CANCELLED,
        };
        self.metrics.upload_errors.get_or_create(&code_label(code)).inc();
    }
}
