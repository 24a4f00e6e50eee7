//! HTTP/1.1 on a listener, with the timeouts that hyper leaves to its users, and an end that
//! answers whatever was begun.

mod answer;
mod body;
mod encoding;
mod framing;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::Either;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

pub(crate) use answer::{Answer, AnswerBody, RejectedEvent};
pub(crate) use body::{BodyError, Limits, ReadBody, read};
pub(crate) use tls::Tls;

/// A request's head must be there this soon after the last answer: hyper's only limit on idle
/// connections too, and kept only with a timer. Longer than the 10 s after which libraries send what
/// they have gathered, or every second request of theirs would find its connection closed.
const HEAD: Duration = Duration::from_secs(30);

/// A client that takes nothing of its answer for so long is gone. hyper has no such limit.
const WRITE: Duration = Duration::from_secs(30);

/// A TLS handshake takes no longer.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Bytes of a request's head, and of a body read at once.
const BUFFER: usize = 64 << 10;

/// Connections at once; more wait in the listener's backlog. Their buffers are part of the memory
/// that a pod is given.
const CONNECTIONS: usize = 1024;

/// How a server ends.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// How long it goes on accepting, so that those who still send here can learn not to.
    pub delay: Duration,
    /// How long after that what was begun may take.
    pub grace: Duration,
}

/// Answers requests on `listener`, over TLS if there is to be any, until `shutdown`; then drains.
pub(crate) async fn serve<H, F>(
    listener: TcpListener,
    tls: Option<Tls>,
    handler: Arc<H>,
    drain: Drain,
    shutdown: impl Future<Output = ()>,
) where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    let server = Server {
        handler,
        tls,
        slots: Arc::new(Semaphore::new(CONNECTIONS)),
        draining: Arc::new(AtomicBool::new(false)),
        open: GracefulShutdown::new(),
    };
    tokio::select! {
        () = server.accept(&listener) => {}
        () = shutdown => {}
    }
    server.draining.store(true, Ordering::Release);
    // The endpoints of a Service still lead here for a while.
    let _ = tokio::time::timeout(drain.delay, server.accept(&listener)).await;
    drop(listener);
    if tokio::time::timeout(drain.grace, server.open.shutdown()).await.is_err() {
        warn!("requests were still being answered when the grace period ended");
    }
}

struct Server<H> {
    handler: Arc<H>,
    tls: Option<Tls>,
    /// One for each connection that may be open.
    slots: Arc<Semaphore>,
    /// Whether clients are told not to come back on the same connection.
    draining: Arc<AtomicBool>,
    open: GracefulShutdown,
}

impl<H, F> Server<H>
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    /// Accepts connections for as long as it is polled.
    async fn accept(&self, listener: &TcpListener) {
        // The semaphore is never closed.
        while let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => self.begin(stream, slot),
                // Out of file descriptors, most likely: others must close first.
                Err(error) => {
                    warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Answers a connection's requests, one after the other, in a task of its own.
    fn begin(&self, stream: TcpStream, slot: OwnedSemaphorePermit) {
        // Answers are small and wait for nothing.
        let _ = stream.set_nodelay(true);
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream.as_mut().set_write_timeout_pinned(Some(WRITE));
        let (handler, draining) = (Arc::clone(&self.handler), Arc::clone(&self.draining));
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = match framing::refuse(request.headers()) {
                Some(refused) => Either::Left(std::future::ready(refused)),
                None => Either::Right(handler(request)),
            };
            let draining = Arc::clone(&draining);
            async move {
                let mut answer = answer.await;
                if draining.load(Ordering::Acquire) {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let (tls, watcher) = (self.tls.clone(), self.open.watcher());
        tokio::spawn(async move {
            match tls {
                None => answer(stream, service, watcher).await,
                Some(tls) => {
                    if let Some(stream) = shake_hands(stream, &tls).await {
                        answer(stream, service, watcher).await;
                    }
                }
            }
            drop(slot);
        });
    }
}

/// Answers what comes on a connection.
async fn answer<I, S>(stream: I, service: S, watcher: Watcher)
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: HttpService<Incoming, ResBody = AnswerBody, Error = Infallible>,
{
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        debug!(%error, "a connection broke");
    }
}

/// Nothing, if there is no certificate yet or the client does not go on.
async fn shake_hands<I>(stream: I, tls: &Tls) -> Option<TlsStream<I>>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let accepting = TlsAcceptor::from(tls.current()?).accept(stream);
    match tokio::time::timeout(HANDSHAKE, accepting).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}
