//! The HTTP/1.1 server: limits and timeouts that hyper leaves to its users, TLS, and a graceful drain.
//!
//! [`serve`] accepts connections on a listener and passes requests to a handler; during the drain it still answers the
//! open requests.

mod connections;
mod keep_alive;
mod tracked;

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
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

pub use connections::{CloseTimes, ConnectionCounts, Connections};
pub use keep_alive::KeepAlive;

use connections::Slot;
use tracked::Tracked;

/// A connection whose client reads nothing of its answer for this long is closed. hyper has no such limit.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time limit of a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of hyper's read buffer, in bytes: of a request's head, and of a piece of a body. Every connection can
/// fill it before any credential is checked, so the pod's memory has room for this times the maximum number of
/// connections. Browsers and libraries send heads of a few KiB; servers and load balancers commonly accept 8 to 32 KiB.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// Time limit for an idle connection to close during the drain: longer than [`CloseTimes::close`], so that a head that
/// is arriving can be completed.
const DRAIN_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause after a failure to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Returns the TLS configuration for a new connection; `None` while there is no usable certificate.
pub type CurrentTlsConfig = Arc<dyn Fn() -> Option<Arc<ServerConfig>> + Send + Sync>;

/// Extension of an answer to a client that has not shown the credential that it needs. Its connection closes if
/// connections are scarce: otherwise a client that keeps sending requests would never be idle long enough to be closed
/// in favour of another.
#[derive(Clone, Copy, Debug)]
pub struct Unauthenticated;

/// The periods of a graceful shutdown.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// How long the server keeps accepting connections after shutdown begins, while endpoints are still being updated.
    pub delay: Duration,
    /// How long after that open requests may take.
    pub grace: Duration,
}

/// Serves requests on `listener`, over TLS if `tls` is given, until `shutdown` completes; then drains. `connections`
/// must not be shared with another listener.
pub async fn serve<H, F>(
    listener: TcpListener,
    connections: Arc<Connections>,
    tls: Option<CurrentTlsConfig>,
    handler: Arc<H>,
    drain: Drain,
    shutdown: impl Future<Output = ()>,
) where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let draining = Arc::new(AtomicBool::new(false));
    let server = Server { handler, tls, connections: Arc::clone(&connections), draining: Arc::clone(&draining) };
    // One future for both phases, since it may hold an accepted connection that waits for a slot.
    let mut accepting = Box::pin(server.accept(listener));
    tokio::select! {
        () = &mut accepting => {}
        () = shutdown => {}
    }
    draining.store(true, Ordering::Release);
    // The Service's endpoints still route clients here for a while.
    let _ = tokio::time::timeout(drain.delay, &mut accepting).await;
    drop(accepting);
    if tokio::time::timeout(drain.grace, connections.close_all()).await.is_err() {
        warn!("requests were still being answered when the grace period ended");
    }
}

struct Server<H> {
    handler: Arc<H>,
    tls: Option<CurrentTlsConfig>,
    connections: Arc<Connections>,
    /// Whether answers carry `Connection: close`.
    draining: Arc<AtomicBool>,
}

impl<H, F> Server<H>
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    /// Accepts connections for as long as it is polled. At the limit, while all connections are busy, one accepted
    /// connection waits here, and more in the listener's backlog.
    async fn accept(&self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.spawn(stream, self.connections.admit().await),
                // Most likely the process is out of file descriptors, so another connection must close first.
                Err(error) => {
                    warn!(%error, "accepting a connection failed");
                    self.connections.shed_one();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection in a task of its own.
    fn spawn(&self, stream: TcpStream, slot: Arc<Slot>) {
        // Without Nagle's algorithm: answers are small and must be sent immediately.
        let _ = stream.set_nodelay(true);
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream.as_mut().set_write_timeout_pinned(Some(WRITE_TIMEOUT));
        let (handler, draining) = (Arc::clone(&self.handler), Arc::clone(&self.draining));
        let this = Arc::clone(&slot);
        let service = service_fn(move |request: Request<Incoming>| {
            let answering = this.begin_request();
            let answer = handler(request);
            let (draining, this) = (Arc::clone(&draining), Arc::clone(&this));
            async move {
                let mut answer = answer.await;
                let must_close =
                    answer.extensions().get::<Unauthenticated>().is_some() && this.connections().are_scarce();
                if draining.load(Ordering::Acquire) || must_close || this.is_retired() {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                drop(answering);
                Ok::<_, Infallible>(answer)
            }
        });
        let tls = self.tls.clone();
        // Before the task starts, so that connections become idle in the order of their arrival.
        slot.idle();
        tokio::spawn(async move {
            match tls {
                None => answer(stream, service, slot).await,
                Some(tls) => {
                    // A client that stalls in its handshake can be closed in favour of another connection.
                    let stream = tokio::select! {
                        stream = shake_hands(stream, &tls) => stream,
                        () = closing(&slot) => None,
                        () = slot.shutting_down() => None,
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

/// Answers the requests on a connection. Returns when the connection has ended: by itself, because it was asked to close,
/// or because it has waited too long for a request.
async fn answer<I, S>(stream: I, service: S, slot: Arc<Slot>)
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible>,
{
    let stream = TokioIo::new(Tracked::new(stream, Arc::clone(&slot)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(stream, service);
    let mut connection = pin!(connection);
    // Biased: a request that has arrived already is answered before the connection closes.
    let result = tokio::select! {
        biased;
        result = &mut connection => result,
        () = expired(&slot) => return,
        () = closing(&slot) => {
            if slot.is_blocked() {
                // Nothing more can be written to this client, so a graceful shutdown would only take time.
                return;
            }
            connection.as_mut().graceful_shutdown();
            close(connection, slot.connections().close_timeout(), || slot.is_answering() && !slot.is_blocked()).await
        }
        () = slot.shutting_down() => {
            connection.as_mut().graceful_shutdown();
            close(connection, DRAIN_CLOSE_TIMEOUT, || slot.is_answering()).await
        }
    };
    if let Err(error) = result {
        debug!(%error, "a connection broke");
    }
}

/// Waits until a connection that was asked to close has closed. It is dropped after `timeout` without a busy request,
/// because hyper would wait for the rest of a head or of a refused body.
async fn close<C>(mut connection: Pin<&mut C>, timeout: Duration, is_busy: impl Fn() -> bool) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    loop {
        match tokio::time::timeout(timeout, &mut connection).await {
            Ok(result) => return result,
            Err(_) if is_busy() => {}
            Err(_) => return Ok(()),
        }
    }
}

/// Completes when a connection has waited too long for a request, or for the rest of a request's head.
async fn expired(slot: &Slot) {
    loop {
        let now = Instant::now();
        let expires_at = slot.expires_at();
        if expires_at.is_some_and(|at| at <= now) {
            return;
        }
        // No later than the time limit of a request or a head that the connection begins to wait for now.
        let look_again_at = now + slot.min_wait();
        tokio::time::sleep_until(expires_at.map_or(look_again_at, |at| at.min(look_again_at)).into()).await;
    }
}

/// Completes when a connection was asked to close in favour of another one, and has stayed idle or blocked until it may
/// close ([`Slot::may_close_at`]).
async fn closing(slot: &Slot) {
    loop {
        slot.asked_to_close().await;
        tokio::time::sleep_until(slot.may_close_at().into()).await;
        if slot.is_closing() {
            return;
        }
    }
}

/// Performs the TLS handshake; `None` if there is no certificate yet, or if the handshake fails or times out.
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
