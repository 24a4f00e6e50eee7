//! The circuit breaker of one scope: the whole bucket, or the keys of one event type. Pure.
//!
//! Closed, it lets every upload pass. Open, it refuses uploads immediately with the known fault, without a request to
//! S3. Half-open, once per [`PROBE_INTERVAL`], it lets one upload pass as a probe. Any stored object closes it.
//!
//! Its invariant: it never refuses an upload within [`RECENT_STORE_WINDOW`] of a stored object in its scope. A denied key
//! does not imply that S3 denies other keys.

use std::time::{Duration, Instant};

use crate::blocker::Blocker;

/// Interval at which an open breaker lets a probe pass.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// How long a stored object keeps the breaker closed. Also how long a scope in which some uploads fail and others are
/// stored must be without a failure before its fault counts as over.
pub(super) const RECENT_STORE_WINDOW: Duration = Duration::from_secs(10);

/// Time without another failure after which a refused key no longer counts once other scopes store objects: without
/// another upload of that key, nothing else would show that its policy was fixed.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(300);

/// The same time for failures without a refusal by S3, which end by themselves, for example with an outage.
const FORGET_OUTAGE_AFTER: Duration = Duration::from_secs(30);

/// The evidence that a failure gives about the other uploads of its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// All of them fail: for example, the bucket does not exist, or S3 does not answer.
    Conclusive,
    /// This key is refused, and perhaps no other: the breaker opens only after a run of failures as long as
    /// [`RECENT_STORE_WINDOW`], with nothing stored within that time.
    OneKey,
    /// The failure may pass by itself: it is reported, and the breaker does not change.
    Transient,
}

/// The breaker of one scope, with the times that decide its state.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    last_stored: Option<Instant>,
    fault: Option<Fault>,
}

/// A run of failures that is not known to be over.
#[derive(Debug)]
struct Fault {
    /// Of the latest failure.
    blocker: Blocker,
    /// Start of the current run of failures, in which no gap is as long as [`RECENT_STORE_WINDOW`].
    first: Instant,
    /// Time of the latest failure.
    last: Instant,
    /// Whether uploads of the scope were stored shortly before one failed. Then a stored upload does not show that
    /// the fault is over.
    mixed: bool,
    /// When the next probe may pass; `None` while the breaker is closed.
    next_probe: Option<Instant>,
    /// After this time without another failure it no longer counts once other scopes store.
    forget_after: Duration,
}

impl CircuitBreaker {
    /// The known fault, if an upload is refused now.
    pub(super) fn refusal(&self, now: Instant) -> Option<&Blocker> {
        let fault = self.fault.as_ref()?;
        fault.next_probe.filter(|probe| now < *probe).map(|_| &fault.blocker)
    }

    /// Records that an upload passes; if the breaker is open, as its probe.
    pub(super) fn pass(&mut self, now: Instant) {
        if let Some(probe) = self.fault.as_mut().and_then(|fault| fault.next_probe.as_mut()) {
            *probe = now + PROBE_INTERVAL;
        }
    }

    /// Whether uploads are refused, except probes.
    pub(super) fn is_open(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.next_probe.is_some())
    }

    /// The known fault, whether the breaker is open or not.
    pub(super) fn blocker(&self) -> Option<&Blocker> {
        self.fault.as_ref().map(|fault| &fault.blocker)
    }

    /// Whether an object was stored in the scope at `since` or later.
    pub(super) fn stored_since(&self, since: Instant) -> bool {
        self.last_stored.is_some_and(|last| last >= since)
    }

    /// Records a failed upload of the scope, which opens the breaker if the evidence suffices.
    pub(super) fn failed(&mut self, blocker: Blocker, evidence: Evidence, now: Instant) {
        let stored_lately =
            self.last_stored.is_some_and(|last| now.saturating_duration_since(last) < RECENT_STORE_WINDOW);
        let old = self.fault.take();
        let run = old.as_ref().filter(|old| now.saturating_duration_since(old.last) < RECENT_STORE_WINDOW);
        let first = run.map_or(now, |old| old.first);
        let opens = match evidence {
            Evidence::Conclusive => !stored_lately,
            Evidence::OneKey => !stored_lately && now.saturating_duration_since(first) >= RECENT_STORE_WINDOW,
            Evidence::Transient => false,
        };
        // Failures of uploads that started before it opened do not postpone the probe.
        let next_probe = old.as_ref().and_then(|old| old.next_probe).or_else(|| opens.then(|| now + PROBE_INTERVAL));
        self.fault = Some(Fault {
            blocker,
            first,
            last: now,
            mixed: stored_lately || run.is_some_and(|old| old.mixed),
            next_probe,
            forget_after: if evidence == Evidence::OneKey { FORGET_AFTER } else { FORGET_OUTAGE_AFTER },
        });
    }

    /// Records a stored upload of the scope, which closes an open breaker. While the breaker is closed, a fault of a
    /// mixed scope stays until [`RECENT_STORE_WINDOW`] has passed without a failure.
    pub(super) fn stored(&mut self, now: Instant) {
        self.last_stored = Some(now);
        let over = |fault: &mut Fault| {
            fault.next_probe.is_some()
                || !fault.mixed
                || now.saturating_duration_since(fault.last) >= RECENT_STORE_WINDOW
        };
        self.fault.take_if(over);
    }

    /// Clears a fault if an object was stored after it, and [`RECENT_STORE_WINDOW`] has passed without another failure.
    pub(super) fn settle(&mut self, now: Instant) {
        let stored_after = self.stored_after_fault();
        self.fault.take_if(|fault| stored_after && now.saturating_duration_since(fault.last) >= RECENT_STORE_WINDOW);
    }

    /// Whether an object was stored since the last failure.
    pub(super) fn stored_after_fault(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| self.stored_since(fault.last))
    }

    /// Clears a fault whose last failure is long ago. Called when another scope stores an object.
    pub(super) fn forget_old(&mut self, now: Instant) {
        self.fault.take_if(|fault| now.saturating_duration_since(fault.last) >= fault.forget_after);
    }

    /// Clears a fault that is known to be over by other means than a stored upload.
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
    fn an_open_breaker_passes_one_probe_per_interval_until_an_object_is_stored() {
        let mut breaker = CircuitBreaker::default();
        let start = Instant::now();
        assert_eq!(breaker.refusal(start), None);
        breaker.failed(blocker(), Evidence::Conclusive, start);
        assert_eq!(breaker.refusal(start), Some(&blocker()));
        let later = start + PROBE_INTERVAL;
        assert_eq!(breaker.refusal(later), None);
        breaker.pass(later);
        assert_eq!(breaker.refusal(later), Some(&blocker()));
        breaker.stored(later);
        assert!(breaker.refusal(later).is_none() && breaker.blocker().is_none());
    }

    #[test]
    fn a_fault_among_stored_uploads_ends_by_time_alone() {
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
    fn refused_keys_open_the_breaker_only_after_a_run_of_failures_without_a_stored_object() {
        let mut breaker = CircuitBreaker::default();
        let start = Instant::now();
        let at = |second| start + seconds(second);
        for second in 0..10 {
            breaker.failed(blocker(), Evidence::OneKey, at(f64::from(second)));
            assert!(!breaker.is_open(), "{second}");
        }
        breaker.failed(blocker(), Evidence::OneKey, at(10.0));
        assert!(breaker.is_open());
        // Failures with gaps longer than the window are no run.
        let mut rare = CircuitBreaker::default();
        for second in [0.0, 15.0, 30.0] {
            rare.failed(blocker(), Evidence::OneKey, at(second));
        }
        assert!(!rare.is_open() && rare.blocker().is_some());
    }

    #[test]
    fn transient_failures_neither_open_nor_close_the_breaker() {
        let (mut breaker, now) = (CircuitBreaker::default(), Instant::now());
        breaker.failed(blocker(), Evidence::Transient, now);
        assert!(!breaker.is_open() && breaker.blocker().is_some());
        breaker.failed(blocker(), Evidence::Conclusive, now);
        breaker.failed(blocker(), Evidence::Transient, now);
        assert!(breaker.is_open());
    }

    #[test]
    fn a_fault_among_stored_uploads_ends_after_a_window_without_failures() {
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
        // If nothing was stored before, the first stored upload shows that the fault is over.
        let mut fresh = CircuitBreaker::default();
        fresh.failed(blocker(), Evidence::OneKey, at(0.0));
        fresh.stored(at(0.1));
        assert_eq!(fresh.blocker(), None);
    }

    #[test]
    fn an_old_fault_is_forgotten() {
        for (evidence, after) in [(Evidence::Conclusive, FORGET_OUTAGE_AFTER), (Evidence::OneKey, FORGET_AFTER)] {
            let (mut breaker, start) = (CircuitBreaker::default(), Instant::now());
            breaker.failed(blocker(), evidence, start);
            breaker.forget_old(start + after - seconds(1.0));
            assert_ne!(breaker.blocker(), None);
            breaker.forget_old(start + after);
            assert_eq!(breaker.blocker(), None);
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Stored,
        Failed(Evidence),
        Upload,
    }

    fn step() -> impl Strategy<Value = (u64, Step)> {
        let steps = prop::sample::select(vec![
            Step::Stored,
            Step::Failed(Evidence::Conclusive),
            Step::Failed(Evidence::OneKey),
            Step::Failed(Evidence::Transient),
            Step::Upload,
            Step::Upload,
        ]);
        (0..4_000_u64, steps)
    }

    proptest! {
        #[test]
        fn it_never_refuses_within_the_window_after_a_stored_object(steps in prop::collection::vec(step(), 1..300)) {
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
                    Step::Upload if breaker.refusal(now).is_some() => {
                        prop_assert!(stored.is_none_or(|stored| now - stored >= RECENT_STORE_WINDOW));
                    }
                    Step::Upload => {
                        // An open breaker lets at most one probe pass per interval.
                        if breaker.is_open() {
                            prop_assert!(passed.is_none_or(|passed| now - passed >= PROBE_INTERVAL));
                            passed = Some(now);
                        }
                        breaker.pass(now);
                    }
                }
            }
        }
    }
}
