//! What is known of the bucket: the circuit breakers of its scopes, how it treats conditions, and
//! what the condition BucketWritable and the metrics say of both. All of it changes under one lock,
//! so that what is said is what is.

mod parts;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use tributary_crds::conditions::{ConditionType, Reason, Truth};

use super::circuit_breaker::{CircuitBreaker, Evidence, FORGET_AFTER};
use super::precondition::{Meaning, Preconditions};
use crate::blocker::Blocker;
use crate::status::conditions::Conditions;
use crate::status::metrics::{Metrics, TYPES};

pub(in crate::delivery) use parts::{Part, Parts};

/// What an upload's failure speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Extent {
    /// The whole bucket.
    Bucket,
    /// This part of its keys; without a part, keys have no type.
    Keys(Option<Part>),
}

/// What is known of one function's bucket.
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
    parts: [CircuitBreaker; TYPES.len()],
    preconditions: Preconditions,
    /// Whether an upload was stored since the bucket was last reset.
    written: bool,
    /// What BucketWritable says; nothing before the first upload.
    said: Option<(Truth, Reason, String)>,
    /// Whether nothing is wrong, and that is said: then a stored object changes nothing of it, which
    /// keeps the usual upload cheap.
    calm: bool,
}

impl State {
    /// Part breakers and their parts.
    fn parts(&self) -> impl Iterator<Item = (Part, &CircuitBreaker)> {
        Part::all().zip(&self.parts)
    }

    fn breakers(&mut self, parts: Parts) -> impl Iterator<Item = &mut CircuitBreaker> {
        let of_parts = Part::all().zip(&mut self.parts).filter(move |(part, _)| parts.contains(*part));
        std::iter::once(&mut self.bucket).chain(of_parts.map(|(_, breaker)| breaker))
    }

    /// What is wrong, the bucket's before a part's.
    fn blocker(&self) -> Option<&Blocker> {
        self.bucket.blocker().or_else(|| self.parts.iter().find_map(CircuitBreaker::blocker))
    }

    /// Whether another part stores, so that a fault of `part` is its own.
    fn others_store(&self, part: Part, now: Instant) -> bool {
        let since = now.checked_sub(FORGET_AFTER).unwrap_or(now);
        self.parts().any(|(other, breaker)| other != part && breaker.stored_since(since))
    }
}

impl BucketHealth {
    pub(in crate::delivery) fn new(name: &str, conditions: Arc<Conditions>, metrics: Arc<Metrics>) -> Self {
        Self { name: name.to_owned(), state: Mutex::default(), conditions, metrics }
    }

    /// Whether uploads into `parts` are worth trying now: all of them, or else none is let through.
    pub(in crate::delivery) fn admit(&self, parts: Parts, now: Instant) -> Result<(), Blocker> {
        let mut state = self.lock();
        if let Some(blocker) = state.breakers(parts).find_map(|breaker| breaker.refusal(now).cloned()) {
            return Err(blocker);
        }
        state.breakers(parts).for_each(|breaker| breaker.pass(now));
        Ok(())
    }

    /// Whether uploads into the part are refused, but for probes.
    pub(in crate::delivery) fn is_open(&self, part: Option<Part>) -> bool {
        let state = self.lock();
        state.bucket.is_open() || part.is_some_and(|part| state.parts[part.0].is_open())
    }

    /// Whether some uploads are refused.
    pub(in crate::delivery) fn any_open(&self) -> bool {
        let state = self.lock();
        state.bucket.is_open() || state.parts.iter().any(CircuitBreaker::is_open)
    }

    /// What is wrong with the bucket as a whole.
    pub(in crate::delivery) fn bucket_blocker(&self) -> Option<Blocker> {
        self.lock().bucket.blocker().cloned()
    }

    /// Whether any object was stored at `since` or later.
    pub(in crate::delivery) fn stored_since(&self, since: Instant) -> bool {
        self.lock().bucket.stored_since(since)
    }

    /// An object was stored, now or earlier; `accepted_condition` if S3 answered 200 to
    /// `If-None-Match`.
    pub(in crate::delivery) fn stored(&self, part: Option<Part>, accepted_condition: bool, now: Instant) {
        let mut state = self.lock();
        state.written = true;
        if accepted_condition {
            state.preconditions.accepted();
        }
        state.bucket.stored(now);
        if state.calm {
            if let Some(part) = part {
                state.parts[part.0].stored(now);
            }
            return;
        }
        for (other, breaker) in Part::all().zip(&mut state.parts) {
            if Some(other) == part {
                breaker.stored(now);
            } else {
                breaker.forget_old(now);
            }
        }
        self.say(&mut state);
    }

    /// An upload failed. Returns what to tell its client: where only one part is affected, the
    /// sentence says so.
    pub(in crate::delivery) fn failed(
        &self,
        extent: Extent,
        evidence: Evidence,
        blocker: Blocker,
        now: Instant,
    ) -> Blocker {
        let mut state = self.lock();
        let blocker = match extent {
            Extent::Keys(Some(part)) => {
                // S3 has answered for a key: the bucket is there, and within reach.
                state.bucket.reset();
                let blocker = if state.others_store(part, now) { only(part, blocker) } else { blocker };
                state.parts[part.0].failed(blocker.clone(), evidence, now);
                blocker
            }
            Extent::Bucket | Extent::Keys(None) => {
                state.bucket.failed(blocker.clone(), evidence, now);
                blocker
            }
        };
        self.say(&mut state);
        blocker
    }

    /// S3 answered 412 to a conditional PUT.
    pub(in crate::delivery) fn precondition_failed(&self, may_exist: bool) -> Meaning {
        let mut state = self.lock();
        let meaning = state.preconditions.refused(may_exist);
        self.say(&mut state);
        meaning
    }

    /// The bucket was seen to be where it should be, which says nothing of uploads: none is known to be
    /// stored, unless one was after the fault.
    pub(in crate::delivery) fn found(&self) {
        let mut state = self.lock();
        state.written = state.bucket.stored_after_fault();
        state.bucket.reset();
        self.say(&mut state);
    }

    /// Time has passed: says so where faults are over by it.
    pub(in crate::delivery) fn settle(&self, now: Instant) {
        let mut state = self.lock();
        if state.blocker().is_some() {
            state.bucket.settle(now);
            state.parts.iter_mut().for_each(|breaker| breaker.settle(now));
            self.say(&mut state);
        }
    }

    /// Brings the condition and the metrics up to date.
    fn say(&self, state: &mut State) {
        self.metrics.circuit_breaker("bucket", state.bucket.is_open());
        for (part, breaker) in state.parts() {
            self.metrics.circuit_breaker(part.label(), breaker.is_open());
        }
        let (truth, reason, message) = match state.blocker() {
            Some(Blocker { reason, message }) => (Truth::False, *reason, message.clone()),
            None if !state.written && state.said.is_none() => return,
            None if !state.written => {
                let message = "the bucket is where it should be; nothing was uploaded yet".to_owned();
                (Truth::Unknown, Reason::NotYetWritten, message)
            }
            None if state.preconditions.are_unsupported() => {
                let message = format!(
                    "uploads to {} are stored, but the store answers 412 to every If-None-Match, so each object is \
                     put twice; set spec.s3.conditionalWrites: false",
                    self.name
                );
                (Truth::True, Reason::ConditionalWritesUnsupported, message)
            }
            None => (Truth::True, Reason::Ok, format!("the last upload to {} was stored", self.name)),
        };
        let new = Some((truth, reason, message));
        if state.said != new {
            if let Some((truth, reason, message)) = &new {
                self.conditions.set(ConditionType::BucketWritable, *truth, *reason, message.clone());
            }
            state.said = new;
        }
        state.calm = matches!(state.said, Some((Truth::True, Reason::Ok, _)));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// A fault that other parts don't have.
fn only(part: Part, blocker: Blocker) -> Blocker {
    let Blocker { reason, message } = blocker;
    Blocker { reason, message: format!("events of type {} only: {message}", part.label()) }
}
