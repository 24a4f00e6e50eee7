//! Changes the log level while the process runs.
//!
//! The operator sends `spec.logLevel` in a header ([`LOG_LEVEL_HEADER`]) with each request for `/status`: the level
//! changes without a restart. The port is unauthenticated, so anyone in the cluster can send the header.
//! Therefore the level never goes below the configured one, returns to it when no request repeats the header, and no
//! level logs secrets or personal data. It is a header and not a query parameter, since no web page and no redirect can
//! make another program send it.
//!
//! [`LOG_LEVEL_HEADER`]: tributary_crds::sidecar_config::LOG_LEVEL_HEADER

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::info;
use tributary_crds::function::LogLevel;

use crate::clock::Clock;

/// How long a raised level lasts after the last request: the operator polls every 5 s, with a gap while another replica
/// takes the lead.
const RAISED_LEVEL_DURATION: Duration = Duration::from_secs(60);

/// Applies the requested log levels, but never one below the configured level, to which it returns when requests stop.
/// Ends when the sender of `requested` is dropped.
pub(crate) async fn follow(
    mut requested: watch::Receiver<LogLevel>,
    configured: LogLevel,
    clock: Arc<dyn Clock>,
    set: impl Fn(LogLevel),
) {
    let mut level = configured;
    loop {
        let next = tokio::select! {
            changed = requested.changed() => match changed {
                Ok(()) => configured.max(*requested.borrow_and_update()),
                Err(_) => return,
            },
            () = clock.sleep(RAISED_LEVEL_DURATION), if level != configured => configured,
        };
        if next != level {
            level = next;
            set(level);
            info!(level = level.as_str(), "the log level changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use futures_util::future::BoxFuture;
    use tokio::sync::mpsc;

    use super::*;

    /// A clock on which a minute takes 60 ms.
    #[derive(Debug)]
    struct Fast;

    impl Clock for Fast {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }

        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
            Box::pin(tokio::time::sleep(duration / 1000))
        }
    }

    async fn levels(configured: LogLevel, requests: &[LogLevel]) -> Vec<LogLevel> {
        let (ask, requested) = watch::channel(configured);
        let (sets, mut set) = mpsc::unbounded_channel();
        let following =
            tokio::spawn(follow(requested, configured, Arc::new(Fast), move |level| sets.send(level).unwrap()));
        for level in requests {
            ask.send_replace(*level);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(ask);
        following.await.unwrap();
        let mut levels = Vec::new();
        while let Ok(level) = set.try_recv() {
            levels.push(level);
        }
        levels
    }

    #[tokio::test]
    async fn a_level_is_raised_while_it_is_requested_and_never_lowered() {
        use LogLevel::{Debug, Error, Info, Trace, Warn};
        for (configured, requests, expected) in [
            (Info, &[Debug, Debug][..], &[Debug, Info][..]),
            (Info, &[Trace, Debug, Info], &[Trace, Debug, Info]),
            (Info, &[Error, Warn, Info], &[]),
            (Info, &[Debug, Error], &[Debug, Info]),
            (Warn, &[Warn, Trace], &[Trace, Warn]),
            (Trace, &[Debug], &[]),
        ] {
            assert_eq!(levels(configured, requests).await, expected, "{configured:?} {requests:?}");
        }
    }
}
