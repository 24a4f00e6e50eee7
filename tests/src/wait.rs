//! Polls for a result, with a deadline.

use std::time::{Duration, Instant};

/// The pause between two polls of [`until`].
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A timeout for what normally takes less than a second, with room for a slow machine.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// Polls every 20 ms until `poll` returns a value, and returns it.
///
/// # Panics
/// If it has returned none after `within`; the message contains `what`.
pub async fn until<T>(what: &str, within: Duration, poll: impl AsyncFnMut() -> Option<T>) -> T {
    poll_every(POLL_INTERVAL, what, within, poll).await
}

/// As [`until`], with this pause between two polls.
///
/// # Panics
/// If `poll` has returned none after `within`; the message contains `what`.
pub async fn poll_every<T>(
    pause: Duration,
    what: &str,
    within: Duration,
    mut poll: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = poll().await {
            return found;
        }
        assert!(start.elapsed() < within, "timed out after {within:?} waiting for: {what}");
        tokio::time::sleep(pause).await;
    }
}
