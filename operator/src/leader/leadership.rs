//! Records whether this process leads: until a deadline, which every renewal extends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Whether this process leads now. Clones share the state; only the elector changes it.
#[derive(Clone, Debug)]
pub struct Leadership(Arc<State>);

#[derive(Debug)]
struct State {
    start: Instant,
    /// Milliseconds since `start` until which this process leads.
    until: AtomicU64,
}

impl Leadership {
    /// The state of a process that does not lead yet.
    pub fn none() -> Self {
        Self(Arc::new(State { start: Instant::now(), until: AtomicU64::new(0) }))
    }

    /// Whether this process leads now. The clock keeps running while the process is frozen.
    pub fn holds(&self) -> bool {
        self.millis(Instant::now()) < self.0.until.load(Ordering::Acquire)
    }

    /// Lets this process lead until this time.
    pub(super) fn extend(&self, until: Instant) {
        self.0.until.store(self.millis(until), Ordering::Release);
    }

    /// Ends leadership immediately.
    pub(super) fn end(&self) {
        self.0.until.store(0, Ordering::Release);
    }

    /// The time until leadership ends, unless it is extended.
    pub(super) fn left(&self) -> Duration {
        let until = self.0.until.load(Ordering::Acquire);
        Duration::from_millis(until.saturating_sub(self.millis(Instant::now())))
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.0.start).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_until_its_deadline() {
        let leadership = Leadership::none();
        assert!(!leadership.holds());
        leadership.extend(Instant::now() + Duration::from_secs(60));
        assert!(leadership.holds() && leadership.left() > Duration::from_secs(50));
        leadership.extend(Instant::now());
        assert!(!leadership.holds());
        leadership.extend(Instant::now() + Duration::from_secs(60));
        leadership.end();
        assert!(!leadership.holds() && leadership.left().is_zero());
    }
}
