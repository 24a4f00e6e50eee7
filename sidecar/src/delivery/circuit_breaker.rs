//! The circuit breaker of one scope: the whole bucket, or the keys of one event type. Pure.
//!
//! Closed, it lets every upload through. Open, it refuses uploads at once with what is wrong,
//! instead of letting each find out for itself. Half-open, every [`PROBE_EVERY`], it lets one upload
//! through as a probe; whatever is stored closes it.
//!
//! Its invariant: it never refuses while something was stored in its scope within [`WINDOW`]. One
//! key that S3 denies says nothing about the keys that it takes.

use std::time::{Duration, Instant};

use crate::blocker::Blocker;

/// How often an open breaker lets a probe through.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(2);

/// How far back a stored object keeps the breaker closed; also how long faults must be absent before
/// a scope in which some uploads fail and others are stored counts as free of faults.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// After this long without another failure, a fault no longer counts once other scopes store.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(300);

/// What a failure says about the other uploads of its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// All of them fail: there is no such bucket, or S3 does not answer.
    Conclusive,
    /// This key is refused, and perhaps no other: only a run of failures, with nothing stored for
    /// [`WINDOW`], speaks for the scope.
    OneKey,
    /// It may pass by itself: people are told, and the breaker stays as it is.
    Passing,
}

/// One scope's breaker.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    last_stored: Option<Instant>,
    fault: Option<Fault>,
}

/// Failures that are not over.
#[derive(Debug)]
struct Fault {
    /// The latest.
    blocker: Blocker,
    /// When the run of failures began that has had no gap of [`WINDOW`].
    first: Instant,
    last: Instant,
    /// Whether uploads of the scope were stored shortly before one failed. Then an upload that is
    /// stored does not show that the fault is over.
    mixed: bool,
    /// When the next probe may pass; none while the breaker is closed.
    next_probe: Option<Instant>,
}

impl CircuitBreaker {
    /// What is wrong, if an upload is refused now.
    pub(super) fn refusal(&self, now: Instant) -> Option<&Blocker> {
        let fault = self.fault.as_ref()?;
        fault.next_probe.filter(|probe| now < *probe).map(|_| &fault.blocker)
    }

    /// An upload passes: through an open breaker as the probe.
    pub(super) fn pass(&mut self, now: Instant) {
        if let Some(probe) = self.fault.as_mut().and_then(|fault| fault.next_probe.as_mut()) {
            *probe = now + PROBE_EVERY;
        }
    }

    /// Whether uploads are refused, but for probes.
    pub(super) fn is_open(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.next_probe.is_some())
    }

    /// What is wrong, whether the breaker is open or not.
    pub(super) fn blocker(&self) -> Option<&Blocker> {
        self.fault.as_ref().map(|fault| &fault.blocker)
    }

    /// Whether something was stored in the scope at `since` or later.
    pub(super) fn stored_since(&self, since: Instant) -> bool {
        self.last_stored.is_some_and(|last| last >= since)
    }

    /// An upload failed.
    pub(super) fn failed(&mut self, blocker: Blocker, evidence: Evidence, now: Instant) {
        let stored_lately = self.last_stored.is_some_and(|last| now.saturating_duration_since(last) < WINDOW);
        let old = self.fault.take();
        let run = old.as_ref().filter(|old| now.saturating_duration_since(old.last) < WINDOW);
        let first = run.map_or(now, |old| old.first);
        let opens = match evidence {
            Evidence::Conclusive => !stored_lately,
            Evidence::OneKey => !stored_lately && now.saturating_duration_since(first) >= WINDOW,
            Evidence::Passing => false,
        };
        // Uploads begun before it opened do not put the probe off.
        let next_probe = old.as_ref().and_then(|old| old.next_probe).or_else(|| opens.then(|| now + PROBE_EVERY));
        self.fault = Some(Fault {
            blocker,
            first,
            last: now,
            mixed: stored_lately || run.is_some_and(|old| old.mixed),
            next_probe,
        });
    }

    /// An upload of the scope was stored.
    pub(super) fn stored(&mut self, now: Instant) {
        self.last_stored = Some(now);
        let over = |fault: &mut Fault| {
            fault.next_probe.is_some() || !fault.mixed || now.saturating_duration_since(fault.last) >= WINDOW
        };
        self.fault.take_if(over);
    }

    /// Time has passed: a fault is over once none was seen for [`WINDOW`] and something was stored after it.
    pub(super) fn settle(&mut self, now: Instant) {
        let stored_after = self.stored_after_fault();
        self.fault.take_if(|fault| stored_after && now.saturating_duration_since(fault.last) >= WINDOW);
    }

    /// Whether something was stored after the last failure.
    pub(super) fn stored_after_fault(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| self.stored_since(fault.last))
    }

    /// An upload of another scope was stored: a fault that was seen long ago no longer counts.
    pub(super) fn forget_old(&mut self, now: Instant) {
        self.fault.take_if(|fault| now.saturating_duration_since(fault.last) >= FORGET_AFTER);
    }

    /// The fault was seen to be over by other means than an upload.
    pub(super) fn reset(&mut self) {
        self.fault = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tributary_crds::conditions::Reason;

    use super::*;

    fn blocker() -> Blocker {
        Blocker { reason: Reason::AccessDenied, message: "no".to_owned() }
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn an_open_breaker_lets_one_probe_through_every_two_seconds_until_something_is_stored() {
        let mut breaker = CircuitBreaker::default();
        let start = Instant::now();
        assert_eq!(breaker.refusal(start), None);
        breaker.failed(blocker(), Evidence::Conclusive, start);
        assert_eq!(breaker.refusal(start), Some(&blocker()));
        let later = start + PROBE_EVERY;
        assert_eq!(breaker.refusal(later), None);
        breaker.pass(later);
        assert_eq!(breaker.refusal(later), Some(&blocker()));
        breaker.stored(later);
        assert!(breaker.refusal(later).is_none() && breaker.blocker().is_none());
    }

    #[test]
    fn a_fault_among_stored_uploads_is_over_in_time_and_without_another_upload() {
        let mut breaker = CircuitBreaker::default();
        let start = Instant::now();
        let at = |second| start + seconds(second);
        breaker.stored(start);
        breaker.failed(blocker(), Evidence::OneKey, at(1.0));
        breaker.settle(at(20.0));
        assert!(breaker.blocker().is_some(), "nothing was stored since");
        breaker.failed(blocker(), Evidence::OneKey, at(21.0));
        breaker.stored(at(22.0));
        breaker.settle(at(30.0));
        breaker.failed(blocker(), Evidence::OneKey, at(30.0));
        breaker.stored(at(30.5));
        breaker.settle(at(39.0));
        assert!(breaker.blocker().is_some(), "a fault was seen a moment ago");
        breaker.settle(at(40.0));
        assert!(breaker.blocker().is_none());
    }

    #[test]
    fn refused_keys_open_it_only_after_a_run_of_failures_with_nothing_stored() {
        let mut breaker = CircuitBreaker::default();
        let start = Instant::now();
        let at = |second| start + seconds(second);
        for second in 0..10 {
            breaker.failed(blocker(), Evidence::OneKey, at(f64::from(second)));
            assert!(!breaker.is_open(), "{second}");
        }
        breaker.failed(blocker(), Evidence::OneKey, at(10.0));
        assert!(breaker.is_open());
        // Rare failures are no run.
        let mut rare = CircuitBreaker::default();
        for second in [0.0, 15.0, 30.0] {
            rare.failed(blocker(), Evidence::OneKey, at(second));
        }
        assert!(!rare.is_open() && rare.blocker().is_some());
    }

    #[test]
    fn what_may_pass_by_itself_neither_opens_nor_closes_it() {
        let (mut breaker, now) = (CircuitBreaker::default(), Instant::now());
        breaker.failed(blocker(), Evidence::Passing, now);
        assert!(!breaker.is_open() && breaker.blocker().is_some());
        breaker.failed(blocker(), Evidence::Conclusive, now);
        breaker.failed(blocker(), Evidence::Passing, now);
        assert!(breaker.is_open());
    }

    #[test]
    fn a_fault_among_stored_uploads_is_over_after_a_window_without_it() {
        let (mut breaker, start) = (CircuitBreaker::default(), Instant::now());
        let at = |second| start + seconds(second);
        breaker.stored(at(0.0));
        breaker.failed(blocker(), Evidence::OneKey, at(1.0));
        for second in 2..11 {
            breaker.stored(at(f64::from(second)));
            assert!(breaker.blocker().is_some(), "{second}");
        }
        breaker.stored(at(11.0));
        assert_eq!(breaker.blocker(), None);
        // Where nothing was stored before, the first stored upload shows that it is over.
        let mut fresh = CircuitBreaker::default();
        fresh.failed(blocker(), Evidence::OneKey, at(0.0));
        fresh.stored(at(0.1));
        assert_eq!(fresh.blocker(), None);
    }

    #[test]
    fn an_old_fault_is_forgotten() {
        let (mut breaker, start) = (CircuitBreaker::default(), Instant::now());
        breaker.failed(blocker(), Evidence::Conclusive, start);
        breaker.forget_old(start + FORGET_AFTER - seconds(1.0));
        assert!(breaker.is_open());
        breaker.forget_old(start + FORGET_AFTER);
        assert_eq!(breaker.blocker(), None);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Stored,
        Failed(Evidence),
        Asked,
    }

    fn step() -> impl Strategy<Value = (u64, Step)> {
        let steps = prop::sample::select(vec![
            Step::Stored,
            Step::Failed(Evidence::Conclusive),
            Step::Failed(Evidence::OneKey),
            Step::Failed(Evidence::Passing),
            Step::Asked,
            Step::Asked,
        ]);
        (0..4_000_u64, steps)
    }

    proptest! {
        #[test]
        fn it_never_refuses_shortly_after_something_was_stored(steps in prop::collection::vec(step(), 1..300)) {
            let mut breaker = CircuitBreaker::default();
            let (mut now, mut stored) = (Instant::now(), None);
            let mut passed: Option<Instant> = None;
            for (gap, step) in steps {
                now += Duration::from_millis(gap);
                match step {
                    Step::Stored => {
                        breaker.stored(now);
                        (stored, passed) = (Some(now), None);
                    }
                    Step::Failed(evidence) => breaker.failed(blocker(), evidence, now),
                    Step::Asked if breaker.refusal(now).is_some() => {
                        prop_assert!(stored.is_none_or(|stored| now - stored >= WINDOW));
                    }
                    Step::Asked => {
                        // Through an open breaker, at most one in each period.
                        if breaker.is_open() {
                            prop_assert!(passed.is_none_or(|passed| now - passed >= PROBE_EVERY));
                            passed = Some(now);
                        }
                        breaker.pass(now);
                    }
                }
            }
        }
    }
}
