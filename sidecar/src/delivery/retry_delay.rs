//! The delay between two attempts of an upload, and the timeout of each attempt. Pure.
//!
//! [`failure`](super::failure) decides whether there is another attempt.

use std::time::Duration;

/// Delay before the second attempt, with the full jitter; doubled for each further one.
const INITIAL_RETRY_DELAY: Duration = Duration::from_millis(50);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Maximum timeout of an attempt: it pays to give up a slow request, since a new connection is often faster.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-design-patterns.html>
const MAX_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Minimum timeout of an attempt, unless less time is left: S3 needs about 76 ms for a small object, and sometimes
/// several times that.
const MIN_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(500);

/// The exponential backoff of one upload.
#[derive(Debug)]
pub(super) struct Backoff {
    delay: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { delay: INITIAL_RETRY_DELAY }
    }
}

impl Backoff {
    /// The delay before the next attempt. Half of it is jitter: `random`, from 0 to 1, is the part of that half.
    pub(super) fn next_delay(&mut self, random: f64) -> Duration {
        let delay = self.delay.mul_f64(0.5 + 0.5 * random);
        self.delay = (self.delay * 2).min(MAX_RETRY_DELAY);
        delay
    }
}

/// Timeout of the next attempt: half of the time left, so a connection that hangs leaves time for another,
/// within [`MIN_ATTEMPT_TIMEOUT`] and [`MAX_ATTEMPT_TIMEOUT`].
pub(super) fn attempt_timeout(left: Duration) -> Duration {
    (left / 2).max(MIN_ATTEMPT_TIMEOUT).min(left).min(MAX_ATTEMPT_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_leaves_time_for_another() {
        for (left, time) in [(30_000, 5_000), (8_500, 4_250), (3_500, 1_750), (800, 500), (300, 300), (0, 0)] {
            assert_eq!(attempt_timeout(Duration::from_millis(left)), Duration::from_millis(time), "{left}");
        }
    }

    #[test]
    fn delays_double_up_to_a_second_and_half_of_each_is_jitter() {
        let delays = |random| {
            let mut backoff = Backoff::default();
            std::array::from_fn(|_| u64::try_from(backoff.next_delay(random).as_millis()).unwrap())
        };
        assert_eq!(delays(1.0), [50, 100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(delays(0.0), [25, 50, 100, 200, 400, 500, 500]);
    }
}
