//! How much is logged while the process runs.
//!
//! The operator says with each question for `/status` ([`LOG_LEVEL_HEADER`]) what `spec.logLevel` wants,
//! so that a level can be changed without a restart. The port has no credentials, so a stranger in the
//! cluster could say it too. Therefore the level never goes below the configured one, whoever asks, it
//! falls back to it when nobody asks any more, and no level logs a secret or personal data. A header
//! rather than a query: no page and no redirect can make another program send it.
//!
//! [`LOG_LEVEL_HEADER`]: tributary_crds::sidecar_config::LOG_LEVEL_HEADER

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::info;
use tributary_crds::function::LogLevel;

use crate::clock::Clock;

/// How long a level stays that nobody asks for again: the operator asks every 5 s, and may be away
/// while another one takes the lead.
const LAPSE: Duration = Duration::from_secs(60);

/// Sets the level that is asked for, within what the configured one allows, until there is nobody left
/// to ask.
pub(crate) async fn follow(
    mut asked: watch::Receiver<LogLevel>,
    configured: LogLevel,
    clock: Arc<dyn Clock>,
    set: impl Fn(LogLevel),
) {
    let mut level = configured;
    loop {
        let next = tokio::select! {
            changed = asked.changed() => match changed {
                Ok(()) => configured.max(*asked.borrow_and_update()),
                Err(_) => return,
            },
            () = clock.sleep(LAPSE), if level != configured => configured,
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

    /// A clock on which a minute is 60 ms.
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

    async fn levels(configured: LogLevel, asks: &[LogLevel]) -> Vec<LogLevel> {
        let (ask, asked) = watch::channel(configured);
        let (sets, mut set) = mpsc::unbounded_channel();
        let following = tokio::spawn(follow(asked, configured, Arc::new(Fast), move |level| sets.send(level).unwrap()));
        for level in asks {
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
    async fn a_level_is_raised_while_it_is_asked_for_and_never_lowered() {
        use LogLevel::{Debug, Error, Info, Trace, Warn};
        for (configured, asks, expected) in [
            (Info, &[Debug, Debug][..], &[Debug, Info][..]),
            (Info, &[Trace, Debug, Info], &[Trace, Debug, Info]),
            (Info, &[Error, Warn, Info], &[]),
            (Info, &[Debug, Error], &[Debug, Info]),
            (Warn, &[Warn, Trace], &[Trace, Warn]),
            (Trace, &[Debug], &[]),
        ] {
            assert_eq!(levels(configured, asks).await, expected, "{configured:?} {asks:?}");
        }
    }
}
