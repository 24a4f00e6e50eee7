//! Waits for the signals that end a process: SIGTERM and SIGINT.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT. While it exists, these signals do not end the process.
pub struct ShutdownSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl ShutdownSignals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// If the system refuses them.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal of either kind.
    pub async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Returns a future that completes at the first SIGTERM or SIGINT. From this call on these signals no longer end the
/// process.
///
/// # Errors
/// If the system refuses the handlers.
pub fn shutdown() -> io::Result<impl Future<Output = ()>> {
    let mut signals = ShutdownSignals::new()?;
    Ok(async move { signals.recv().await })
}
