//! Runs a server on a separate thread and Tokio runtime.
//!
//! The admin port runs this way: it answers the kubelet and the operator even while all worker threads are busy, so
//! an overloaded sidecar is not restarted.

use std::future::Future;
use std::io;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A server that runs on a separate thread; [`end`](Self::end) stops it.
#[derive(Debug)]
pub(crate) struct OwnThread {
    end: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl OwnThread {
    /// Runs the future that `serve` returns for the listener.
    ///
    /// # Errors
    /// When the system can't create the thread or the runtime's I/O driver.
    pub(crate) fn start<F: Future<Output = ()>>(
        listener: TcpListener,
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // A Tokio listener is bound to the runtime that created it, so the new runtime registers it again.
        let listener = listener.into_std()?;
        let (end, end_requested) = oneshot::channel();
        let (report_ended, ended) = oneshot::channel();
        std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = serve(listener) => {}
                    _ = end_requested => {}
                }
            });
            drop(runtime);
            let _ = report_ended.send(());
        })?;
        Ok(Self { end, ended })
    }

    /// Stops the server and waits until its listener is closed.
    pub(crate) async fn end(self) {
        drop(self.end);
        let _ = self.ended.await;
    }
}
