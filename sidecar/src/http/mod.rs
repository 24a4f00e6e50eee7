//! HTTP/1.1 on a listener, with the timeouts that hyper leaves to its users, and an end that
//! answers whatever was begun.

mod answer;
mod body;
mod body_error;
mod body_rate;
mod connections;
mod encoding;
mod framing;
mod tracked;

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::Either;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

pub(crate) use answer::{Answer, AnswerBody, RejectedEvent, RejectedEvents};
pub(crate) use body::{Limits, ReadBody, discard, read};
pub(crate) use body_error::BodyError;
pub(crate) use connections::{ConnectionCounts, Connections};

use connections::Slot;
use tracked::Tracked;

/// A request's head must be there this soon after the last answer: hyper's only limit on idle
/// connections too, and kept only with a timer. Longer than the 10 s after which libraries send what
/// they have gathered, or every second request of theirs would find its connection closed.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A client that takes nothing of its answer for so long is gone. hyper has no such limit.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A TLS handshake takes no longer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head, and of a body read at once. Every connection may fill as many, whatever
/// it is let in with: a pod's memory has room for this times the connections that may be open. Browsers
/// and libraries send heads of a few KiB; servers and balancers commonly take 8 to 32 KiB.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// How long a connection that was idle and is asked to close may take to say so to its client. What
/// still takes a refused body to its end is cut then.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

/// The same when the server ends: a head that has begun to come may come to its end.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a TLS connection that begins now is to use; nothing, while there is no certificate.
pub(crate) type CurrentTlsConfig = Arc<dyn Fn() -> Option<Arc<ServerConfig>> + Send + Sync>;

/// How a server ends.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// How long it goes on accepting, so that those who still send here can learn not to.
    pub delay: Duration,
    /// How long after that what was begun may take.
    pub grace: Duration,
}

/// Answers requests on `listener`, over TLS if there is to be any, until `shutdown`; then drains.
/// `connections` are this listener's alone.
pub(crate) async fn serve<H, F>(
    listener: TcpListener,
    connections: Arc<Connections>,
    tls: Option<CurrentTlsConfig>,
    handler: Arc<H>,
    drain: Drain,
    shutdown: impl Future<Output = ()>,
) where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    let draining = Arc::new(AtomicBool::new(false));
    let server = Server { handler, tls, connections: Arc::clone(&connections), draining: Arc::clone(&draining) };
    // One for both phases: it may hold a connection that waits for room.
    let mut accepting = Box::pin(server.accept(listener));
    tokio::select! {
        () = &mut accepting => {}
        () = shutdown => {}
    }
    draining.store(true, Ordering::Release);
    // The endpoints of a Service still lead here for a while.
    let _ = tokio::time::timeout(drain.delay, &mut accepting).await;
    drop(accepting);
    if tokio::time::timeout(drain.grace, connections.end()).await.is_err() {
        warn!("requests were still being answered when the grace period ended");
    }
}

struct Server<H> {
    handler: Arc<H>,
    tls: Option<CurrentTlsConfig>,
    connections: Arc<Connections>,
    /// Whether clients are told not to come back on the same connection.
    draining: Arc<AtomicBool>,
}

impl<H, F> Server<H>
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    /// Accepts connections for as long as it is polled. While as many are open as may be and all are
    /// busy, one that was accepted waits here, and more in the listener's backlog.
    async fn accept(&self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.begin(stream, self.connections.admit().await),
                // Out of file descriptors, most likely: others must close first.
                Err(error) => {
                    warn!(%error, "accepting a connection failed");
                    self.connections.shed_one();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Answers a connection's requests, one after the other, in a task of its own.
    fn begin(&self, stream: TcpStream, slot: Arc<Slot>) {
        // Answers are small and wait for nothing.
        let _ = stream.set_nodelay(true);
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream.as_mut().set_write_timeout_pinned(Some(WRITE_TIMEOUT));
        let (handler, draining) = (Arc::clone(&self.handler), Arc::clone(&self.draining));
        let this = Arc::clone(&slot);
        let service = service_fn(move |request: Request<Incoming>| {
            let answering = this.begin();
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
                drop(answering);
                Ok::<_, Infallible>(answer)
            }
        });
        let tls = self.tls.clone();
        // Here, so that connections are idle in the order in which they came.
        slot.idle();
        tokio::spawn(async move {
            match tls {
                None => answer(stream, service, slot).await,
                Some(tls) => {
                    // A client that says nothing is closed for one that does.
                    let stream = tokio::select! {
                        stream = shake_hands(stream, &tls) => stream,
                        () = closing(&slot) => None,
                        () = slot.ending() => None,
                    };
                    if let Some(stream) = stream {
                        slot.idle();
                        answer(stream, service, slot).await;
                    }
                }
            }
        });
    }
}

/// Answers what comes on a connection, until it ends or is asked to close.
async fn answer<I, S>(stream: I, service: S, slot: Arc<Slot>)
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: HttpService<Incoming, ResBody = AnswerBody, Error = Infallible>,
{
    let stream = TokioIo::new(Tracked::new(stream, Arc::clone(&slot)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(stream, service);
    let mut connection = pin!(connection);
    // First what has come already: a request that is there is answered before the connection closes.
    let result = tokio::select! {
        biased;
        result = &mut connection => result,
        () = closing(&slot) => {
            connection.as_mut().graceful_shutdown();
            close(connection, CLOSE_TIMEOUT, || slot.is_answering() && !slot.is_blocked()).await
        }
        () = slot.ending() => {
            connection.as_mut().graceful_shutdown();
            close(connection, END_TIMEOUT, || slot.is_answering()).await
        }
    };
    if let Err(error) = result {
        debug!(%error, "a connection broke");
    }
}

/// Waits until a connection that was asked to close has closed. When it is not busy, it is dropped after `patience`:
/// hyper would wait for the rest of a head or of a refused body.
async fn close<C>(mut connection: Pin<&mut C>, patience: Duration, is_busy: impl Fn() -> bool) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    loop {
        match tokio::time::timeout(patience, &mut connection).await {
            Ok(result) => return result,
            Err(_) if is_busy() => {}
            Err(_) => return Ok(()),
        }
    }
}

/// Ends when a connection was asked to close in favour of another one, and has stayed as it was until it settled.
async fn closing(slot: &Slot) {
    loop {
        slot.asked_to_close().await;
        tokio::time::sleep_until(slot.settles_at().into()).await;
        if slot.is_closing() {
            return;
        }
    }
}

/// Nothing, if there is no certificate yet or the client does not go on.
async fn shake_hands<I>(stream: I, tls: &CurrentTlsConfig) -> Option<TlsStream<I>>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let accepting = TlsAcceptor::from(tls()?).accept(stream);
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, accepting).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}
