//! Time, passed in: whatever lives for longer than a request asks it here, so that a day can be
//! tested in a minute.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

use aws_smithy_async::time::TimeSource;
use futures_util::future::BoxFuture;

/// What tells the time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The wall clock, which may be wrong and may jump. For signatures, stamps and people.
    fn now(&self) -> SystemTime;

    /// Time since some fixed moment, which never jumps. For lifetimes.
    fn monotonic(&self) -> Duration;

    /// Ends after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct MachineClock {
    start: Instant,
}

impl MachineClock {
    /// A clock whose [`Clock::monotonic`] begins now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for MachineClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MachineClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A [`Clock`] as the AWS SDK asks for one, for the dates in its signatures.
#[derive(Clone, Debug)]
pub(crate) struct SdkTime(pub(crate) std::sync::Arc<dyn Clock>);

impl TimeSource for SdkTime {
    fn now(&self) -> SystemTime {
        self.0.now()
    }
}

/// A moment as people and Kubernetes write it: RFC 3339, UTC, whole seconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}
