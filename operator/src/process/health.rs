//! Whether the process is well.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::client::WatchActivity;
use crate::leader::Leadership;

/// What is known of the process.
#[derive(Debug)]
pub struct Health {
    leadership: Leadership,
    activity: WatchActivity,
    /// A watch on which nothing was heard for so long is deaf.
    silence: Duration,
    /// Whether each scope's caches are complete; nothing while another process leads.
    synced: Mutex<Vec<watch::Receiver<bool>>>,
}

impl Health {
    /// Of a process that doesn't lead yet. `watch_timeout` is how long a watch lasts at most, in
    /// seconds: then a new one begins, and is heard of.
    pub fn new(leadership: Leadership, activity: WatchActivity, watch_timeout: u32) -> Arc<Self> {
        // Half again for a connection that was dropped in silence to be given up, and for pauses.
        let silence = Duration::from_secs(u64::from(watch_timeout)) * 3 / 2 + Duration::from_secs(10);
        Arc::new(Self { leadership, activity, silence, synced: Mutex::default() })
    }

    /// The process leads, and these scopes are looked after.
    pub fn looks_after(&self, synced: Vec<watch::Receiver<bool>>) {
        *self.lock() = synced;
    }

    /// The process leads no more.
    pub fn stands_by(&self) {
        self.lock().clear();
        self.activity.forget();
    }

    /// Whether it is alive; if not, why. While the Lease is kept the API server answers: a watch that is
    /// silent all the same is one to start anew for.
    ///
    /// # Errors
    /// What is wrong.
    pub fn alive(&self) -> Result<(), String> {
        if !self.leadership.holds() {
            return Ok(());
        }
        let silent = self.activity.silent(self.silence);
        if silent.is_empty() {
            return Ok(());
        }
        Err(format!("nothing was heard for {:?} on the watches of {}", self.silence, silent.join(", ")))
    }

    /// Whether it does what it is for: a process that stands by does.
    ///
    /// # Errors
    /// What is still missing.
    pub fn ready(&self) -> Result<(), String> {
        if self.lock().iter().all(|synced| *synced.borrow()) {
            return Ok(());
        }
        Err("not all that there is is known yet: see the log for watches that fail".to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<watch::Receiver<bool>>> {
        self.synced.lock()
    }
}
