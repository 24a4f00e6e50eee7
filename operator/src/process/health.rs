//! Liveness and readiness of the process: whether its watches are alive, and whether its caches are complete.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::client::WatchActivity;
use crate::leader::Leadership;

/// The inputs of liveness and readiness.
#[derive(Debug)]
pub struct Health {
    leadership: Leadership,
    activity: WatchActivity,
    /// A watch that receives nothing for this long is broken.
    silence: Duration,
    /// Whether each scope's caches are complete; empty while this process stands by.
    synced: Mutex<Vec<watch::Receiver<bool>>>,
}

impl Health {
    /// The health of a process that stands by. `watch_timeout` is how long a watch lasts at most, in seconds; its
    /// restart counts as activity.
    pub fn new(leadership: Leadership, activity: WatchActivity, watch_timeout: u32) -> Arc<Self> {
        // The excess leaves time to give up a connection that was dropped silently, and for pauses between retries.
        let silence = Duration::from_secs(u64::from(watch_timeout)) * 3 / 2 + Duration::from_secs(10);
        Arc::new(Self { leadership, activity, silence, synced: Mutex::default() })
    }

    /// Records that this process leads. Each receiver holds whether the caches of one scope are complete.
    pub fn leads(&self, synced: Vec<watch::Receiver<bool>>) {
        *self.lock() = synced;
    }

    /// Records that this process stands by: its watches have ended.
    pub fn stands_by(&self) {
        self.lock().clear();
        self.activity.forget();
    }

    /// Liveness. While this process holds the Lease, the API server answers it; a watch that is silent nevertheless is
    /// broken, and a restart of the process fixes it.
    ///
    /// # Errors
    /// Which watches are silent, and for how long.
    pub fn alive(&self) -> Result<(), String> {
        if !self.leadership.holds() {
            return Ok(());
        }
        let silent = self.activity.silent(self.silence);
        if silent.is_empty() {
            return Ok(());
        }
        Err(format!("no data for {:?} on the watches of {}", self.silence, silent.join(", ")))
    }

    /// Readiness: the caches are complete, or the process stands by.
    ///
    /// # Errors
    /// That a cache is not complete yet.
    pub fn ready(&self) -> Result<(), String> {
        if self.lock().iter().all(|synced| *synced.borrow()) {
            return Ok(());
        }
        Err("the caches are not complete yet: see the log for watches that fail".to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<watch::Receiver<bool>>> {
        self.synced.lock()
    }
}
