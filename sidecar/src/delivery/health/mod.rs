//! Tracks the health of the bucket by its uploads, and reports it.
//!
//! It holds the circuit breakers of the bucket and its parts, and how the store treats conditional PUTs. It reports
//! both in the condition BucketWritable and the metrics. All of it changes under one lock, so the report always matches
//! the state.

mod parts;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};

use super::circuit_breaker::{CircuitBreaker, Evidence, FORGET_AFTER};
use super::precondition::{Meaning, Preconditions, Support};
use crate::blocker::Blocker;
use crate::status::conditions::Conditions;
use crate::status::metrics::Metrics;

pub(in crate::delivery) use parts::{KeyPart, KeyParts};

/// The scope of an upload's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Extent {
    /// The whole bucket.
    Bucket,
    /// Keys of this part of its key space, for one of which S3 has answered; `None` if keys don't contain the type.
    Keys(Option<KeyPart>),
    /// Uploads into this part that failed without an answer of S3 about a key. Other parts may still be stored: S3 may
    /// treat prefixes differently.
    Attempts(Option<KeyPart>),
}

/// The health of one function's bucket, shared by all its uploads.
#[derive(Debug)]
pub(in crate::delivery) struct BucketHealth {
    name: String,
    state: Mutex<State>,
    conditions: Arc<Conditions>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    bucket: CircuitBreaker,
    parts: [CircuitBreaker; KeyPart::COUNT],
    preconditions: Preconditions,
    evidence: UploadEvidence,
    /// The current report of BucketWritable; `None` until the first report.
    reported: Option<(ConditionStatus, Reason, String)>,
    /// Whether BucketWritable is True with the reason Ok: then a stored object does not change the report, which
    /// keeps the usual upload cheap.
    is_healthy: bool,
}

/// What is known about uploads if no fault is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum UploadEvidence {
    /// Nothing.
    #[default]
    None,
    /// A fault that HeadBucket found is over, and nothing was stored since.
    BucketFound,
    /// The role or the bucket has changed since an upload failed, and nothing was stored since.
    AwsChanged,
    /// An upload was stored.
    Stored,
}

impl State {
    /// All parts with their breakers.
    fn parts(&self) -> impl Iterator<Item = (KeyPart, &CircuitBreaker)> {
        KeyPart::all().zip(&self.parts)
    }

    fn breakers(&mut self, parts: KeyParts) -> impl Iterator<Item = &mut CircuitBreaker> {
        let of_parts = KeyPart::all().zip(&mut self.parts).filter(move |(part, _)| parts.contains(*part));
        std::iter::once(&mut self.bucket).chain(of_parts.map(|(_, breaker)| breaker))
    }

    /// The known fault; that of the bucket before that of a part.
    fn blocker(&self) -> Option<&Blocker> {
        self.bucket.blocker().or_else(|| self.parts.iter().find_map(CircuitBreaker::blocker))
    }

    /// Whether another part has stored an object within [`FORGET_AFTER`], so a fault of `part` affects only that part.
    fn others_store(&self, part: KeyPart, now: Instant) -> bool {
        let since = now.checked_sub(FORGET_AFTER).unwrap_or(now);
        self.parts().any(|(other, breaker)| other != part && breaker.stored_since(since))
    }
}

impl BucketHealth {
    pub(in crate::delivery) fn new(name: &str, conditions: Arc<Conditions>, metrics: Arc<Metrics>) -> Self {
        Self { name: name.to_owned(), state: Mutex::default(), conditions, metrics }
    }

    /// Checks the breakers for uploads into `parts`. If one refuses, none of the others lets its probe pass.
    pub(in crate::delivery) fn admit(&self, parts: KeyParts, now: Instant) -> Result<(), Blocker> {
        let mut state = self.lock();
        if let Some(blocker) = state.breakers(parts).find_map(|breaker| breaker.refusal(now).cloned()) {
            return Err(blocker);
        }
        state.breakers(parts).for_each(|breaker| breaker.pass(now));
        Ok(())
    }

    /// Whether uploads into the part are refused, except probes.
    pub(in crate::delivery) fn is_open(&self, part: Option<KeyPart>) -> bool {
        let state = self.lock();
        state.bucket.is_open() || part.is_some_and(|part| state.parts[part.0].is_open())
    }

    /// Whether any breaker is open.
    pub(in crate::delivery) fn any_open(&self) -> bool {
        let state = self.lock();
        state.bucket.is_open() || state.parts.iter().any(CircuitBreaker::is_open)
    }

    /// The fault of the bucket as a whole, if there is one.
    pub(in crate::delivery) fn bucket_blocker(&self) -> Option<Blocker> {
        self.lock().bucket.blocker().cloned()
    }

    /// Whether an object of the part was stored at `since` or later; without a part, any object.
    pub(in crate::delivery) fn stored_since(&self, part: Option<KeyPart>, since: Instant) -> bool {
        let state = self.lock();
        part.map_or(&state.bucket, |part| &state.parts[part.0]).stored_since(since)
    }

    /// Records a stored object, by this PUT or an earlier one; `accepted_condition` if S3 answered 200 to
    /// `If-None-Match`.
    pub(in crate::delivery) fn stored(&self, part: Option<KeyPart>, accepted_condition: bool, now: Instant) {
        let mut state = self.lock();
        state.evidence = UploadEvidence::Stored;
        if accepted_condition {
            state.preconditions.accepted();
        }
        state.bucket.stored(now);
        if state.is_healthy {
            if let Some(part) = part {
                state.parts[part.0].stored(now);
            }
            return;
        }
        for (other, breaker) in KeyPart::all().zip(&mut state.parts) {
            if Some(other) == part {
                breaker.stored(now);
            } else {
                breaker.forget_old(now);
            }
        }
        self.report(&mut state);
    }

    /// Records a failed upload. Returns the blocker for its client, whose message names the part if only one part
    /// is affected.
    pub(in crate::delivery) fn failed(
        &self,
        extent: Extent,
        evidence: Evidence,
        blocker: Blocker,
        now: Instant,
    ) -> Blocker {
        let mut state = self.lock();
        let blocker = match extent {
            Extent::Keys(Some(part)) | Extent::Attempts(Some(part)) => {
                if let Extent::Keys(_) = extent {
                    // S3 answered for a key, so the bucket exists and is reachable.
                    state.bucket.reset();
                }
                let blocker = if state.others_store(part, now) { only(part, blocker) } else { blocker };
                state.parts[part.0].failed(blocker.clone(), evidence, now);
                blocker
            }
            Extent::Bucket | Extent::Keys(None) | Extent::Attempts(None) => {
                state.bucket.failed(blocker.clone(), evidence, now);
                blocker
            }
        };
        self.report(&mut state);
        blocker
    }

    /// Records a 412 to a conditional PUT, and returns its meaning.
    pub(in crate::delivery) fn precondition_failed(&self, key: &str, may_exist: bool) -> Meaning {
        let mut state = self.lock();
        let meaning = state.preconditions.refused(key, may_exist);
        self.report(&mut state);
        meaning
    }

    /// Records that HeadBucket found the bucket. That proves nothing about uploads: only an upload since the fault
    /// counts as stored.
    pub(in crate::delivery) fn found(&self) {
        let mut state = self.lock();
        let is_stored = state.bucket.stored_after_fault();
        state.evidence = if is_stored { UploadEvidence::Stored } else { UploadEvidence::BucketFound };
        state.bucket.reset();
        self.report(&mut state);
    }

    /// Records that the role or the bucket has changed. Clears the faults whose end only an upload shows, so the next
    /// upload is tried immediately; `is_checked` tells which reasons HeadBucket shows.
    pub(in crate::delivery) fn aws_changed(&self, is_checked: impl Fn(Reason) -> bool) {
        let mut state = self.lock();
        let State { bucket, parts, .. } = &mut *state;
        let mut changed = false;
        for breaker in std::iter::once(bucket).chain(parts) {
            if breaker.blocker().is_some_and(|blocker| !is_checked(blocker.reason)) {
                breaker.reset();
                changed = true;
            }
        }
        if changed {
            state.evidence = UploadEvidence::AwsChanged;
            self.report(&mut state);
        }
    }

    /// Clears faults that have ended by time alone, and reports it.
    pub(in crate::delivery) fn settle(&self, now: Instant) {
        let mut state = self.lock();
        if state.blocker().is_some() {
            state.bucket.settle(now);
            state.parts.iter_mut().for_each(|breaker| breaker.settle(now));
            self.report(&mut state);
        }
    }

    /// Updates the condition and the metrics from the state.
    fn report(&self, state: &mut State) {
        self.metrics.circuit_breaker("bucket", state.bucket.is_open());
        for (part, breaker) in state.parts() {
            self.metrics.circuit_breaker(part.label(), breaker.is_open());
        }
        let (truth, reason, message) = match (state.blocker(), state.evidence) {
            (Some(Blocker { reason, message }), _) => (ConditionStatus::False, *reason, message.clone()),
            (None, UploadEvidence::None) if state.reported.is_none() => return,
            (None, UploadEvidence::None | UploadEvidence::BucketFound) => {
                let message = "the bucket exists in its region; this sidecar has uploaded nothing since the fault, and the \
                               next event shows whether uploads are stored";
                (ConditionStatus::Unknown, Reason::NotYetWritten, message.to_owned())
            }
            (None, UploadEvidence::AwsChanged) => {
                let message = "the role or the bucket may have changed since an upload failed; the next event shows whether \
                               uploads are stored now";
                (ConditionStatus::Unknown, Reason::Pending, message.to_owned())
            }
            (None, UploadEvidence::Stored) => self.stored_report(state.preconditions.support()),
        };
        let new = Some((truth, reason, message));
        if state.reported != new {
            if let Some((truth, reason, message)) = &new {
                self.conditions.set(ConditionType::BucketWritable, *truth, *reason, message.clone());
            }
            state.reported = new;
        }
        state.is_healthy = matches!(state.reported, Some((ConditionStatus::True, Reason::Ok, _)));
    }

    /// The report while uploads are stored.
    fn stored_report(&self, conditions: Support) -> (ConditionStatus, Reason, String) {
        let name = &self.name;
        let (has_refused, advice) = match conditions {
            Support::Assumed => {
                return (ConditionStatus::True, Reason::Ok, format!("the last upload to {name} was stored"));
            }
            Support::Doubtful => {
                ("has answered 412 to every If-None-Match so far", "if not all of these events were sent before, ")
            }
            Support::None => ("answers 412 to every If-None-Match", ""),
        };
        let message = format!(
            "uploads to {name} are stored, but the store {has_refused}, so each object is put twice; {advice}set \
             spec.s3.conditionalWrites: false"
        );
        (ConditionStatus::True, Reason::ConditionalWritesUnsupported, message)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// The blocker of a fault that affects only this part.
fn only(part: KeyPart, blocker: Blocker) -> Blocker {
    let Blocker { reason, message } = blocker;
    Blocker { reason, message: format!("{} only: {message}", part.description()) }
}
