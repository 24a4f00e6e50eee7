//! How long a connection may wait for its client, and when it gets too old. Pure.

use std::time::{Duration, Instant};

/// Time limit for the rest of a request's head, from when its first bytes were read. hyper's own limit
/// (`header_read_timeout`) begins when the connection becomes idle, so it would also end idle connections.
/// <https://github.com/hyperium/hyper/issues/3828>
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long connections are kept between requests.
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive {
    /// Maximum time that a connection may wait for a request.
    pub idle: Duration,
    /// Age from which an answer asks the client to close its connection, so that clients reach new replicas. Each
    /// connection's own is shorter by up to a tenth, so that clients that connected together do not reconnect together.
    /// `None`: no limit.
    pub max_age: Option<Duration>,
}

impl KeepAlive {
    /// For ports of few clients, without load balancers.
    pub const SHORT: Self = Self { idle: Duration::from_secs(30), max_age: None };

    /// When a connection that opens at `now` reaches its age. `random` is from 0 to 1.
    pub(super) fn retires_at(&self, now: Instant, random: f64) -> Option<Instant> {
        self.max_age.map(|age| now + age.mul_f64(1.0 - 0.1 * random))
    }
}

/// What a connection waits for from its client.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// A TLS handshake or a request, since this time.
    Request(Instant),
    /// The rest of a request's head, since this time.
    RestOfHead(Instant),
    /// Nothing that is limited here: a request is being read or answered.
    Nothing,
}

impl Wait {
    /// Records that bytes arrived at `now`.
    pub(super) fn received(&mut self, now: impl FnOnce() -> Instant) {
        if let Self::Request(_) = self {
            *self = Self::RestOfHead(now());
        }
    }

    /// When the connection has waited too long; `None` if it waits for nothing.
    pub(super) fn expires_at(self, idle: Duration) -> Option<Instant> {
        match self {
            Self::Request(since) => Some(since + idle),
            Self::RestOfHead(since) => Some(since + HEAD_TIMEOUT),
            Self::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_limited_from_its_first_bytes_and_not_prolonged_by_more() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let idle = 650 * second;
        let mut wait = Wait::Request(start);
        assert_eq!(wait.expires_at(idle), Some(start + idle));
        for arrival in [600, 610, 620] {
            wait.received(|| start + arrival * second);
            assert_eq!(wait.expires_at(idle), Some(start + 600 * second + HEAD_TIMEOUT));
        }
        let mut wait = Wait::Nothing;
        wait.received(|| start);
        assert_eq!(wait.expires_at(idle), None, "the bytes belong to a body");
    }

    #[test]
    fn ages_are_spread_over_a_tenth() {
        let start = Instant::now();
        let age = |random| {
            let keep_alive = KeepAlive { idle: Duration::ZERO, max_age: Some(Duration::from_secs(600)) };
            keep_alive.retires_at(start, random).unwrap() - start
        };
        assert_eq!((age(0.0), age(1.0)), (Duration::from_secs(600), Duration::from_secs(540)));
        assert_eq!(KeepAlive::SHORT.retires_at(start, 0.5), None);
    }
}
