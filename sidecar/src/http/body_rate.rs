//! How fast a body must come. Pure.
//!
//! A client that stalls holds a connection and the memory of what it has sent: it is given up long
//! before the whole body's time is over. Only the time counts in which the sidecar waits for the
//! client; a client is never judged while there is something of its to read.

use std::time::Duration;

/// Bytes per second that must come, on average over a [`WINDOW`]: Apache's
/// (<https://httpd.apache.org/docs/2.4/mod/mod_reqtimeout.html>). A body of a mebibyte has 30 s, and so
/// comes much faster than that if it is to be taken.
pub(super) const MIN_BYTES_PER_SECOND: usize = 500;

/// The time over which the rate is an average. The first window of a body is not judged, as Kestrel's
/// grace period: a small body may come late.
const WINDOW: Duration = Duration::from_secs(5);

/// Bytes that a window must bring.
const MIN_WINDOW_BYTES: usize = MIN_BYTES_PER_SECOND * WINDOW.as_secs() as usize;

/// The shortest wait for what the client has sent already: reading it takes hyper a moment.
const MIN_WAIT: Duration = Duration::from_millis(100);

/// The rate of one body.
#[derive(Debug)]
pub(super) struct BodyRate {
    /// Time spent waiting for the client in this window.
    waited: Duration,
    /// Bytes that have come in this window.
    bytes: usize,
    /// Whether this is the first window.
    first: bool,
}

impl BodyRate {
    /// The rate of a body of which nothing has come yet.
    pub(super) fn new() -> Self {
        Self { waited: Duration::ZERO, bytes: 0, first: true }
    }

    /// How long the next piece may take before the window ends.
    pub(super) fn patience(&self) -> Duration {
        WINDOW.saturating_sub(self.waited).max(MIN_WAIT)
    }

    /// A piece of so many bytes came after so long a wait: whether the client is fast enough so far.
    pub(super) fn came(&mut self, bytes: usize, waited: Duration) -> bool {
        self.bytes += bytes;
        // Had it been longer, the wait would have ended without the piece: the sidecar was late.
        self.waited += waited.min(self.patience());
        // Pieces that were there already, which take no wait, come before the judgement.
        self.waited < WINDOW + MIN_WAIT || self.window_ended()
    }

    /// The window has ended: whether the client was fast enough and may have another one.
    pub(super) fn window_ended(&mut self) -> bool {
        let fast_enough = self.first || self.bytes >= MIN_WINDOW_BYTES;
        *self = Self { waited: Duration::ZERO, bytes: 0, first: false };
        fast_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second after which a client is given up that sends so many bytes at once and then so many
    /// every so often, if that is within 30 s.
    fn given_up(bytes: usize, every: Duration, first: usize) -> Option<u64> {
        let mut rate = BodyRate::new();
        let (mut now, mut next) = (Duration::ZERO, every);
        assert!(rate.came(first, Duration::ZERO));
        while now < Duration::from_secs(30) {
            let until_next = next - now;
            if until_next <= rate.patience() {
                now = next;
                next += every;
                if !rate.came(bytes, until_next) {
                    return Some(now.as_secs());
                }
            } else {
                now += rate.patience();
                if !rate.window_ended() {
                    return Some(now.as_secs());
                }
            }
        }
        None
    }

    #[test]
    fn a_client_that_stalls_is_given_up_and_one_that_goes_on_is_not() {
        let second = Duration::from_secs(1);
        for (bytes, every, first, expected) in [
            // Nothing, whatever came before.
            (0, second, 0, Some(10)),
            (0, second, 65_536, Some(10)),
            (0, 40 * second, 1_000_000, Some(10)),
            // Too little, in however many pieces.
            (499, second, 0, Some(10)),
            (49, second / 10, 0, Some(10)),
            (1, second / 333, 0, Some(10)),
            // Enough: regularly, in bursts, and fast.
            (600, second, 0, None),
            (60, second / 10, 0, None),
            (2_500, 4 * second, 0, None),
            (65_536, second / 100, 0, None),
        ] {
            assert_eq!(given_up(bytes, every, first), expected, "{bytes} bytes every {every:?} after {first}");
        }
    }

    #[test]
    fn a_client_is_not_judged_while_there_is_something_to_read() {
        let mut rate = BodyRate::new();
        assert!(rate.window_ended());
        // The sidecar came back to it late, and found a little: there may be more behind it.
        assert!(rate.came(10, Duration::from_secs(60)));
        assert_eq!(rate.patience(), MIN_WAIT);
        assert!(rate.came(MIN_WINDOW_BYTES, Duration::ZERO));
        assert!(rate.window_ended());
        assert_eq!(rate.patience(), WINDOW);
    }
}
