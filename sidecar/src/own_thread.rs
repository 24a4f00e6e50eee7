//! A server on a thread of its own.
//!
//! Whatever the worker threads are busy with, the kubelet and the operator are answered: a sidecar that
//! is overloaded is not one to be restarted.

use std::future::Future;
use std::io;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running server; [`end`](Self::end) stops it.
#[derive(Debug)]
pub(crate) struct OwnThread {
    end: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl OwnThread {
    /// Runs what `serve` makes of the listener.
    ///
    /// # Errors
    /// When the system gives no thread, or nothing to wait for sockets with.
    pub(crate) fn start<F: Future<Output = ()>>(
        listener: TcpListener,
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Each runtime waits for sockets of its own.
        let listener = listener.into_std()?;
        let (end, told_to_end) = oneshot::channel();
        let (tell_ended, ended) = oneshot::channel();
        std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = serve(listener) => {}
                    _ = told_to_end => {}
                }
            });
            drop(runtime);
            let _ = tell_ended.send(());
        })?;
        Ok(Self { end, ended })
    }

    /// Ends the server, and waits until its listener is free.
    pub(crate) async fn end(self) {
        drop(self.end);
        let _ = self.ended.await;
    }
}
