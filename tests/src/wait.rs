//! Waiting for something, with a deadline.

use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// What a slow machine may need for something that takes no time.
pub const SOON: Duration = Duration::from_secs(20);

/// Looks again and again until there is something to see.
///
/// # Panics
/// At the deadline.
pub async fn until<T>(what: &str, within: Duration, look: impl AsyncFnMut() -> Option<T>) -> T {
    every(PAUSE, what, within, look).await
}

/// The same, with a pause of its own between two looks.
///
/// # Panics
/// At the deadline.
pub async fn every<T>(pause: Duration, what: &str, within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        tokio::time::sleep(pause).await;
    }
}
