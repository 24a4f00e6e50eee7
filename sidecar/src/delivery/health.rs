//! What is known of the bucket: the circuit breakers of its scopes, how it treats conditions, and
//! what the condition BucketWritable and the metrics say of both. All of it changes under one lock,
//! so that what is said is what is.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use tributary_crds::conditions::{ConditionType, Reason, Truth};

use super::circuit_breaker::{CircuitBreaker, Evidence, FORGET_AFTER};
use super::precondition::{Meaning, Preconditions};
use crate::blocker::Blocker;
use crate::event::EventType;
use crate::status::conditions::Conditions;
use crate::status::metrics::{Metrics, TYPES, place};

/// The part of the key space that holds the events of one type, as the metrics label it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part(usize);

impl Part {
    pub(super) fn of(event_type: &EventType) -> Self {
        Self(place(event_type))
    }

    fn label(self) -> &'static str {
        TYPES[self.0]
    }

    fn all() -> impl Iterator<Item = Self> {
        (0..TYPES.len()).map(Self)
    }
}

/// A set of parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts(u8);

impl FromIterator<Part> for Parts {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        Self(parts.into_iter().fold(0, |set, part| set | 1 << part.0))
    }
}

impl Parts {
    fn contains(self, part: Part) -> bool {
        self.0 & 1 << part.0 != 0
    }
}

/// What an upload's failure speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// The whole bucket.
    Bucket,
    /// This part of its keys; without a part, keys have no type.
    Keys(Option<Part>),
}

/// What is known of one function's bucket.
#[derive(Debug)]
pub(super) struct BucketHealth {
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
    pub(super) fn new(name: &str, conditions: Arc<Conditions>, metrics: Arc<Metrics>) -> Self {
        Self { name: name.to_owned(), state: Mutex::default(), conditions, metrics }
    }

    /// Whether uploads into `parts` are worth trying now: all of them, or else none is let through.
    pub(super) fn admit(&self, parts: Parts, now: Instant) -> Result<(), Blocker> {
        let mut state = self.lock();
        if let Some(blocker) = state.breakers(parts).find_map(|breaker| breaker.refusal(now).cloned()) {
            return Err(blocker);
        }
        state.breakers(parts).for_each(|breaker| breaker.pass(now));
        Ok(())
    }

    /// Whether uploads into the part are refused, but for probes.
    pub(super) fn is_open(&self, part: Option<Part>) -> bool {
        let state = self.lock();
        state.bucket.is_open() || part.is_some_and(|part| state.parts[part.0].is_open())
    }

    /// Whether some uploads are refused.
    pub(super) fn any_open(&self) -> bool {
        let state = self.lock();
        state.bucket.is_open() || state.parts.iter().any(CircuitBreaker::is_open)
    }

    /// What is wrong with the bucket as a whole.
    pub(super) fn bucket_blocker(&self) -> Option<Blocker> {
        self.lock().bucket.blocker().cloned()
    }

    /// Whether any object was stored at `since` or later.
    pub(super) fn stored_since(&self, since: Instant) -> bool {
        self.lock().bucket.stored_since(since)
    }

    /// An object was stored, now or earlier; `accepted_condition` if S3 answered 200 to
    /// `If-None-Match`.
    pub(super) fn stored(&self, part: Option<Part>, accepted_condition: bool, now: Instant) {
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
    pub(super) fn failed(&self, extent: Extent, evidence: Evidence, blocker: Blocker, now: Instant) -> Blocker {
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
    pub(super) fn precondition_failed(&self, may_exist: bool) -> Meaning {
        let mut state = self.lock();
        let meaning = state.preconditions.refused(may_exist);
        self.say(&mut state);
        meaning
    }

    /// The bucket was seen to be where it should be, which says nothing of uploads: none is known to be
    /// stored, unless one was after the fault.
    pub(super) fn found(&self) {
        let mut state = self.lock();
        state.written = state.bucket.stored_after_fault();
        state.bucket.reset();
        self.say(&mut state);
    }

    /// Time has passed: says so where faults are over by it.
    pub(super) fn settle(&self, now: Instant) {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::circuit_breaker::WINDOW;
    use super::*;
    use crate::clock::MachineClock;
    use crate::memory::Budget;
    use crate::status::metrics::Series;

    fn health() -> BucketHealth {
        let conditions = Arc::new(Conditions::new(Arc::new(MachineClock::new())));
        BucketHealth::new("lake", conditions, Metrics::new(Budget::new(0), &Series::default()))
    }

    fn part(name: &str) -> Part {
        Part::of(&EventType::parse(name).unwrap())
    }

    fn one(part: Part) -> Parts {
        std::iter::once(part).collect()
    }

    fn denied() -> Blocker {
        Blocker { reason: Reason::AccessDenied, message: "denied".to_owned() }
    }

    fn gone() -> Blocker {
        Blocker { reason: Reason::NoSuchBucket, message: "gone".to_owned() }
    }

    fn said(health: &BucketHealth) -> (Truth, Reason, String) {
        let condition = health.conditions.get(ConditionType::BucketWritable).unwrap();
        (condition.status, condition.reason, condition.message)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_part_that_is_refused_leaves_the_others_alone_and_is_named() {
        let (health, start) = (health(), Instant::now());
        let (track, identify) = (part("track"), part("identify"));
        for second in 0..=10 {
            health.stored(Some(track), true, start + seconds(second));
            health.failed(Extent::Keys(Some(identify)), Evidence::OneKey, denied(), start + seconds(second));
        }
        let now = start + seconds(10);
        let refusal = health.admit(one(identify), now).unwrap_err();
        assert_eq!(refusal.message, "events of type identify only: denied");
        assert_eq!(health.admit(one(track), now), Ok(()));
        // A request with events of both is refused, and takes no probe away.
        assert!(health.admit([track, identify].into_iter().collect(), now).is_err());
        assert_eq!(said(&health), (Truth::False, Reason::AccessDenied, refusal.message));
        health.stored(Some(identify), true, now + seconds(2));
        assert_eq!(said(&health).1, Reason::Ok);
    }

    #[test]
    fn a_part_that_is_not_used_any_more_is_forgotten_once_others_store() {
        let (health, start) = (health(), Instant::now());
        health.failed(Extent::Keys(Some(part("identify"))), Evidence::OneKey, denied(), start);
        health.stored(Some(part("track")), true, start + FORGET_AFTER - seconds(1));
        assert_eq!(said(&health).0, Truth::False);
        health.stored(Some(part("track")), true, start + FORGET_AFTER);
        assert_eq!(said(&health).0, Truth::True);
    }

    #[test]
    fn a_fault_of_the_bucket_is_over_once_anything_is_stored_or_s3_answers_for_a_key() {
        let (health, now) = (health(), Instant::now());
        let everything: Parts = Part::all().collect();
        health.failed(Extent::Bucket, Evidence::Conclusive, gone(), now);
        assert_eq!(health.admit(everything, now), Err(gone()));
        health.stored(Some(part("page")), true, now);
        assert_eq!(health.admit(everything, now), Ok(()));
        let later = now + WINDOW;
        health.failed(Extent::Bucket, Evidence::Conclusive, gone(), later);
        assert!(health.admit(one(part("page")), later).is_err());
        health.failed(Extent::Keys(Some(part("identify"))), Evidence::OneKey, denied(), later);
        assert_eq!(health.admit(one(part("page")), later), Ok(()));
        assert_eq!(said(&health).1, Reason::AccessDenied);
    }

    #[test]
    fn a_key_that_fails_among_others_does_not_make_the_condition_flap() {
        let (health, start) = (health(), Instant::now());
        let track = Some(part("track"));
        let mut turns = 0;
        let mut last = said(&health).0;
        for tick in 0..600_u64 {
            let now = start + Duration::from_millis(100 * tick);
            health.stored(track, true, now);
            if tick % 25 == 3 {
                health.failed(Extent::Keys(track), Evidence::OneKey, denied(), now);
            }
            assert_eq!(health.admit(one(part("track")), now), Ok(()));
            let truth = said(&health).0;
            turns += usize::from(truth != last);
            last = truth;
        }
        // True with the first object, False with the first failure.
        assert_eq!((turns, last), (2, Truth::False));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Stored(usize),
        Failed(Option<usize>, Evidence),
        Asked(usize),
    }

    fn step() -> impl Strategy<Value = (u64, Step)> {
        let evidence = prop::sample::select(vec![Evidence::Conclusive, Evidence::OneKey, Evidence::Passing]);
        let step = prop_oneof![
            (0..3_usize).prop_map(Step::Stored),
            (prop::option::of(0..3_usize), evidence).prop_map(|(part, evidence)| Step::Failed(part, evidence)),
            (0..3_usize).prop_map(Step::Asked),
        ];
        (0..3_000_u64, step)
    }

    proptest! {
        #[test]
        fn no_part_is_refused_shortly_after_something_of_it_was_stored(steps in prop::collection::vec(step(), 1..200)) {
            let health = health();
            let mut now = Instant::now();
            let mut stored = [None; 3];
            for (gap, step) in steps {
                now += Duration::from_millis(gap);
                match step {
                    Step::Stored(index) => {
                        health.stored(Some(Part(index)), true, now);
                        stored[index] = Some(now);
                    }
                    Step::Failed(None, evidence) => {
                        health.failed(Extent::Bucket, evidence, gone(), now);
                    }
                    Step::Failed(Some(index), evidence) => {
                        health.failed(Extent::Keys(Some(Part(index))), evidence, denied(), now);
                    }
                    Step::Asked(index) => {
                        let lately = stored[index].is_some_and(|stored| now - stored < WINDOW);
                        let refused = health.admit(one(Part(index)), now).is_err();
                        prop_assert!(!(lately && refused));
                    }
                }
                // What is said is what is.
                let wrong = said(&health).0 == Truth::False;
                prop_assert_eq!(wrong, health.lock().blocker().is_some());
            }
        }
    }
}
