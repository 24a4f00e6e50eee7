//! Measures a PUT, and counts it once however it ends.

use std::time::{Duration, Instant};

use tributary_crds::conditions::Reason;

use super::Metrics;
use super::labels::code_label;

/// `code` of a PUT that timed out.
pub(crate) const TIMEOUT: &str = "timeout";

/// `code` of a PUT whose future was dropped before it ended.
const CANCELLED: &str = "cancelled";

/// `code` of a PUT that S3 answered 412, which alone does not prove that the object exists.
pub(crate) const PRECONDITION_FAILED: &str = "PreconditionFailed";

/// Every `code` of a failed PUT; `reasons` are those of S3's errors.
pub(super) fn upload_error_codes(reasons: &[Reason]) -> impl Iterator<Item = String> {
    let reasons = reasons.iter().map(ToString::to_string);
    reasons.chain([PRECONDITION_FAILED, TIMEOUT, CANCELLED].map(str::to_owned))
}

/// A PUT in progress. If it is dropped without an outcome, it counts as cancelled.
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

    /// The time since the PUT began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Records that S3 stored the object of `bytes` bytes.
    pub(crate) fn stored(mut self, bytes: usize) {
        self.metrics.objects_stored.inc();
        self.metrics.stored_bytes.inc_by(bytes as u64);
        self.outcome = AttemptOutcome::Stored;
    }

    /// Records that S3 had the object already.
    pub(crate) fn existed(mut self) {
        self.outcome = AttemptOutcome::Existed;
    }

    /// Records a failure with this `code`.
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
