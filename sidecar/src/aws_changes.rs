//! Tells a sidecar that its role or bucket is known to have changed. Without it, the sidecar detects a change at the
//! next renewal, probe, check or upload.

use tokio::sync::watch;

/// The sender of the message; clones reach the same sidecar.
#[derive(Clone, Debug, Default)]
pub struct AwsChanges(watch::Sender<()>);

impl AwsChanges {
    /// Makes the sidecar request a new session, probe the role and check the bucket immediately.
    pub fn notify(&self) {
        self.0.send_replace(());
    }

    /// A receiver of later messages. It may miss all but the latest.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
