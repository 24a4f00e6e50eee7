//! Enforces a minimum rate at which a body must arrive. Pure.
//!
//! A client that stalls holds a connection and the memory of the bytes it has sent, so it is given up long before the
//! time limit of the whole body. Only time in which the sidecar waits for the client counts, and the rate is never
//! checked while data of the client is waiting to be read.

use std::time::Duration;

/// Minimum rate in bytes per second, on average over a [`WINDOW`]: Apache's default
/// (<https://httpd.apache.org/docs/2.4/mod/mod_reqtimeout.html>). A large body needs a much higher rate to arrive
/// within its time limit: 1 MiB in 30 s.
pub(super) const MIN_BYTES_PER_SECOND: usize = 500;

/// The period over which the rate is averaged. The first window of a body is exempt, like Kestrel's grace period: a
/// small body may arrive late.
const WINDOW: Duration = Duration::from_secs(5);

/// Minimum number of bytes that must arrive in a window.
const MIN_WINDOW_BYTES: usize = MIN_BYTES_PER_SECOND * WINDOW.as_secs() as usize;

/// Minimum wait for the next piece: hyper needs a moment to read data that has arrived already.
const MIN_WAIT: Duration = Duration::from_millis(100);

/// Measures the rate of one body, window by window.
#[derive(Debug)]
pub(super) struct BodyRate {
    /// Time that the sidecar has waited for the client in this window.
    waited: Duration,
    /// Bytes that have arrived in this window.
    bytes: usize,
    /// Whether this is the first window, which is exempt.
    first: bool,
}

impl BodyRate {
    /// Starts to measure a body of which nothing has arrived yet.
    pub(super) fn new() -> Self {
        Self { waited: Duration::ZERO, bytes: 0, first: true }
    }

    /// How long to wait for the next piece before the window ends.
    pub(super) fn time_left(&self) -> Duration {
        WINDOW.saturating_sub(self.waited).max(MIN_WAIT)
    }

    /// Records a piece of `bytes` that arrived after a wait of `waited`. Returns whether the client is fast enough so
    /// far.
    pub(super) fn record(&mut self, bytes: usize, waited: Duration) -> bool {
        self.bytes += bytes;
        // A client that takes longer runs into the timeout, so the excess is the sidecar's own delay.
        self.waited += waited.min(self.time_left());
        // Checked only after a wait beyond the window: pieces that have arrived already are counted first.
        self.waited < WINDOW + MIN_WAIT || self.window_ended()
    }

    /// Ends the window and starts the next. Returns whether the client was fast enough.
    pub(super) fn window_ended(&mut self) -> bool {
        let fast_enough = self.first || self.bytes >= MIN_WINDOW_BYTES;
        *self = Self { waited: Duration::ZERO, bytes: 0, first: false };
        fast_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second in which a client times out that sends `first` bytes immediately and then `bytes` every `every`; `None`
    /// if it does not within 30 s.
    fn timed_out(bytes: usize, every: Duration, first: usize) -> Option<u64> {
        let mut rate = BodyRate::new();
        let (mut now, mut next) = (Duration::ZERO, every);
        assert!(rate.record(first, Duration::ZERO));
        while now < Duration::from_secs(30) {
            let until_next = next - now;
            if until_next <= rate.time_left() {
                now = next;
                next += every;
                if !rate.record(bytes, until_next) {
                    return Some(now.as_secs());
                }
            } else {
                now += rate.time_left();
                if !rate.window_ended() {
                    return Some(now.as_secs());
                }
            }
        }
        None
    }

    #[test]
    fn a_stalled_client_times_out_and_a_fast_enough_one_does_not() {
        let second = Duration::from_secs(1);
        for (bytes, every, first, expected) in [
            // Sends nothing after its first bytes.
            (0, second, 0, Some(10)),
            (0, second, 65_536, Some(10)),
            (0, 40 * second, 1_000_000, Some(10)),
            // Sends too little, in few or many pieces.
            (499, second, 0, Some(10)),
            (49, second / 10, 0, Some(10)),
            (1, second / 333, 0, Some(10)),
            // Sends enough: regularly, in bursts, and fast.
            (600, second, 0, None),
            (60, second / 10, 0, None),
            (2_500, 4 * second, 0, None),
            (65_536, second / 100, 0, None),
        ] {
            assert_eq!(timed_out(bytes, every, first), expected, "{bytes} bytes every {every:?} after {first}");
        }
    }

    #[test]
    fn the_rate_is_not_checked_while_data_may_be_waiting() {
        let mut rate = BodyRate::new();
        assert!(rate.window_ended());
        // The sidecar polled late and found a little: more may be waiting behind it.
        assert!(rate.record(10, Duration::from_secs(60)));
        assert_eq!(rate.time_left(), MIN_WAIT);
        assert!(rate.record(MIN_WINDOW_BYTES, Duration::ZERO));
        assert!(rate.window_ended());
        assert_eq!(rate.time_left(), WINDOW);
    }
}
