//! Retry delays after failed reconciles: exponential per function, until it succeeds or its generation changes.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::function::FunctionRef;

const INITIAL_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(300);

/// Counts each function's consecutive failures.
#[derive(Debug, Default)]
pub struct Backoff(Mutex<HashMap<FunctionRef, Failures>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    generation: Option<i64>,
    count: u32,
}

impl Backoff {
    /// Records a failure and returns the delay before the retry: 1 s, doubled per failure up to 300 s, minus up to half.
    pub fn failed(&self, function: &FunctionRef, generation: Option<i64>) -> Duration {
        let mut all = self.lock();
        let failures = all.entry(function.clone()).or_insert(Failures { generation, count: 0 });
        if failures.generation != generation {
            *failures = Failures { generation, count: 0 };
        }
        let delay = INITIAL_DELAY.saturating_mul(2_u32.saturating_pow(failures.count)).min(MAX_DELAY);
        failures.count += 1;
        delay.mul_f64(0.5 + 0.5 * fastrand::f64())
    }

    /// Forgets a function's failures, after a success or when it is deleted.
    pub fn reset(&self, function: &FunctionRef) {
        self.lock().remove(function);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FunctionRef, Failures>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_five_minutes_and_restart_with_a_new_generation() {
        let (backoff, function) = (Backoff::default(), FunctionRef::new("shop", "orders"));
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            let delay = backoff.failed(&function, Some(1));
            let longest = Duration::from_secs(seconds);
            assert!(delay >= longest / 2 && delay <= longest, "{delay:?} is not within {longest:?}");
        }
        assert!(backoff.failed(&function, Some(2)) <= INITIAL_DELAY);
        assert!(backoff.failed(&function, Some(2)) > INITIAL_DELAY / 2);
        backoff.reset(&function);
        assert!(backoff.failed(&function, Some(2)) <= INITIAL_DELAY);
    }
}
