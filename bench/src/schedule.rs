//! The schedule of an open loop: when requests are due, however long the answers to earlier ones take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Requests at equal intervals, which connections take one by one.
pub struct Schedule {
    start: Instant,
    /// Time between two requests.
    interval: Duration,
    /// Total number of requests.
    requests: u64,
    /// The number of the next request, from 0.
    next: AtomicU64,
}

impl Schedule {
    /// A schedule that starts now.
    pub fn start(interval: Duration, requests: u64) -> Schedule {
        Schedule { start: Instant::now(), interval, requests, next: AtomicU64::new(0) }
    }

    /// Takes the next request, and returns when it is due; `None` if none is left.
    pub fn next(&self) -> Option<Instant> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.requests).then(|| self.start + self.interval.mul_f64(number as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_equal_intervals() {
        let schedule = Schedule::start(Duration::from_millis(500), 4);
        let due: Vec<_> = std::iter::from_fn(|| schedule.next()).map(|due| due - schedule.start).collect();
        assert_eq!(due, [0, 500, 1000, 1500].map(Duration::from_millis));
    }
}
