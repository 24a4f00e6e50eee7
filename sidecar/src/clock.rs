//! An injectable clock for everything that outlives a request: with it, a test runs through a day in a minute.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

use aws_smithy_async::time::TimeSource;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

/// A time of the wall clock as a timestamp. A time that no timestamp can represent becomes 1970.
pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A source of time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The wall clock, which may be wrong and may jump. For signatures, timestamps and messages.
    fn now(&self) -> SystemTime;

    /// Time since a fixed but arbitrary moment, unaffected by changes of the wall clock. For deadlines and lifetimes.
    fn monotonic(&self) -> Duration;

    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The system's clock.
#[derive(Clone, Copy, Debug)]
pub struct MachineClock {
    start: Instant,
}

impl MachineClock {
    /// A clock whose [`Clock::monotonic`] starts at zero now.
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

/// Adapts a [`Clock`] to the AWS SDK's time source, from which it takes the dates in signatures.
#[derive(Clone, Debug)]
pub(crate) struct SdkTime(pub(crate) std::sync::Arc<dyn Clock>);

impl TimeSource for SdkTime {
    fn now(&self) -> SystemTime {
        self.0.now()
    }
}

/// Formats a time as Kubernetes does: RFC 3339, UTC, whole seconds. Times before 1970 become 1970.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}
