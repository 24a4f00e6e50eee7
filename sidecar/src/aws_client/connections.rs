//! Connections to one server, kept open between requests.
//!
//! A request drives its connection itself, so that no other task has to be woken. While a connection is idle, nothing
//! reads from it: whether the server has closed it is found out before the next request.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response, Uri};
use hyper_rustls::MaybeHttpsStream;
use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use tributary_runtime::errors::causes;

use super::connector::{CONNECT_TIMEOUT, Connector, Stream};

/// How long an idle connection is kept: S3 closes idle connections after about 20 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Maximum size of hyper's read buffer, in bytes, and so of an answer's head. S3's heads have less than 2 KiB. With the
/// body, an answer takes less than an upload may ([`tributary_crds::memory::UPLOAD_BYTES`]).
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Maximum size of a body that is read, in bytes. S3's errors have less than 2 KiB.
pub(crate) const MAX_BODY_BYTES: usize = 16 << 10;

type Body = Full<Bytes>;

/// The connections to one server.
pub(crate) struct Connections {
    connector: Arc<Connector>,
    /// The idle connections with the time since when they are, the longest idle first.
    idle: Mutex<VecDeque<(Instant, Connection)>>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("idle", &self.idle.lock().len()).finish_non_exhaustive()
    }
}

struct Connection {
    requests: http1::SendRequest<Body>,
    driver: Pin<Box<http1::Connection<Stream, Body>>>,
    /// Another handle to the connection's socket.
    socket: OwnedFd,
}

impl Connections {
    pub(crate) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, idle: Mutex::default() }
    }

    /// Sends a request to `origin`, and reads the answer and at most [`MAX_BODY_BYTES`] of its body.
    ///
    /// # Errors
    /// If there is no connection or no complete answer; the text has the causes.
    pub(crate) async fn send(&self, origin: &Uri, request: Request<Body>) -> Result<Response<Bytes>, String> {
        let mut request = request;
        while let Some(connection) = self.take() {
            if !connection.is_quiet() {
                continue;
            }
            let Some(connection) = connection.if_open().await else { continue };
            match self.exchange(connection, request).await {
                Ok(result) => return result,
                // S3 has closed it meanwhile.
                Err(unsent) => request = unsent,
            }
        }
        let connection = self.connect(origin).await?;
        self.exchange(connection, request).await.unwrap_or_else(|_| Err("the connection was closed".to_owned()))
    }

    /// Closes the connections that have been idle for too long at `now`.
    pub(crate) fn close_idle(&self, now: Instant) {
        let mut idle = self.idle.lock();
        while idle.front().is_some_and(|(since, _)| now.saturating_duration_since(*since) >= IDLE_TIMEOUT) {
            idle.pop_front();
        }
    }

    /// The connection that has been idle for the shortest time.
    fn take(&self) -> Option<Connection> {
        let (since, connection) = self.idle.lock().pop_back()?;
        (since.elapsed() < IDLE_TIMEOUT).then_some(connection)
    }

    async fn connect(&self, origin: &Uri) -> Result<Connection, String> {
        let connect = async {
            let stream = self.connector.connect(origin).await?;
            let socket = socket_of(&stream).map_err(|error| causes(&error))?;
            let handshake = http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(stream).await;
            let (requests, driver) = handshake.map_err(|error| causes(&error))?;
            Ok(Connection { requests, driver: Box::pin(driver), socket })
        };
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect).await;
        connected.unwrap_or_else(|_| Err(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())))
    }

    /// Sends a request on a connection, and keeps the connection if it can be used again. Returns the request if nothing
    /// of it was sent.
    async fn exchange(
        &self,
        mut connection: Connection,
        request: Request<Body>,
    ) -> Result<Result<Response<Bytes>, String>, Request<Body>> {
        let Connection { requests, driver, .. } = &mut connection;
        let response = match drive(driver.as_mut(), requests.try_send_request(request)).await {
            Ok(response) => response,
            Err(mut error) => match error.take_message() {
                Some(unsent) => return Err(unsent),
                None => return Ok(Err(causes(error.error()))),
            },
        };
        let (head, body) = response.into_parts();
        let body = match drive(driver.as_mut(), read(body)).await {
            Ok(body) => body,
            Err(error) => return Ok(Err(causes(&error))),
        };
        // S3 has many servers behind one name: after an error of one, the next request may reach another.
        if !head.status.is_server_error()
            && let Some(connection) = connection.if_open().await
        {
            self.idle.lock().push_back((Instant::now(), connection));
        }
        Ok(Ok(Response::from_parts(head, body)))
    }
}

impl Connection {
    /// Whether nothing waits to be read: neither the end of the connection nor an answer without a request, which would
    /// count as the answer to the next one. Asks the kernel, since tokio learns of both only when its driver runs.
    fn is_quiet(&self) -> bool {
        let peeked = rustix::net::recv(&self.socket, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        peeked.is_err_and(|error| error == Errno::WOULDBLOCK)
    }

    /// The connection, if it is open and waits for a request.
    async fn if_open(mut self) -> Option<Self> {
        let is_closed = poll_fn(|context| Poll::Ready(self.driver.as_mut().poll(context).is_ready())).await;
        (!is_closed && self.requests.is_ready()).then_some(self)
    }
}

/// Another handle to the stream's socket.
fn socket_of(stream: &Stream) -> std::io::Result<OwnedFd> {
    let tcp = match stream {
        MaybeHttpsStream::Http(tcp) => tcp.inner(),
        MaybeHttpsStream::Https(tls) => tls.inner().get_ref().0.inner().inner(),
    };
    tcp.as_fd().try_clone_to_owned()
}

/// Completes `future`, which waits for the connection, while driving the connection.
async fn drive<F: Future>(mut driver: Pin<&mut http1::Connection<Stream, Body>>, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut is_closed = false;
    poll_fn(|context: &mut Context<'_>| {
        if !is_closed {
            // Its error also reaches the future.
            is_closed = driver.as_mut().poll(context).is_ready();
        }
        future.as_mut().poll(context)
    })
    .await
}

/// Reads a body up to [`MAX_BODY_BYTES`].
async fn read(mut body: Incoming) -> hyper::Result<Bytes> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data[..data.len().min(MAX_BODY_BYTES - read.len())]);
        }
        if read.len() == MAX_BODY_BYTES {
            break;
        }
    }
    Ok(read.freeze())
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    /// Serves connections one after the other: on each, sends the given answers, one per request, and closes it. Returns
    /// the requests' targets.
    async fn serve(connections: Vec<Vec<Vec<u8>>>) -> (Uri, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let serving = tokio::spawn(async move {
            let mut targets = Vec::new();
            for answers in connections {
                let (mut stream, _) = listener.accept().await.unwrap();
                for answer in answers {
                    let mut head = vec![0; 4_096];
                    let length = stream.read(&mut head).await.unwrap();
                    let head = String::from_utf8_lossy(&head[..length]).into_owned();
                    targets.push(head.split(' ').nth(1).unwrap_or_default().to_owned());
                    // The client may stop reading.
                    let _ = stream.write_all(&answer).await;
                }
            }
            targets
        });
        (origin, serving)
    }

    async fn send(connections: &Connections, origin: &Uri, path: &str) -> Result<Response<Bytes>, String> {
        let request = Request::put(path).header("host", "s3").body(Full::default()).unwrap();
        connections.send(origin, request).await
    }

    #[tokio::test]
    async fn a_connection_is_kept_until_the_server_closes_it() {
        let (origin, serving) = serve(vec![vec![OK.to_vec(); 2], vec![OK.to_vec()]]).await;
        let connections = Connections::new(Arc::default());
        for path in ["/1", "/2"] {
            assert_eq!(send(&connections, &origin, path).await.unwrap().status(), StatusCode::OK);
        }
        // The server closes the first connection now.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(send(&connections, &origin, "/3").await.unwrap().status(), StatusCode::OK);
        assert_eq!(serving.await.unwrap(), ["/1", "/2", "/3"]);
    }

    /// A 412 on it would acknowledge an event that was never stored.
    #[tokio::test]
    async fn an_answer_without_a_request_is_not_taken_for_the_next_answer() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let serving = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut first, _) = listener.accept().unwrap();
            assert_ne!(first.read(&mut [0; 4_096]).unwrap(), 0);
            first.write_all(OK).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            first.write_all(b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n").unwrap();
            let (mut second, _) = listener.accept().unwrap();
            assert_ne!(second.read(&mut [0; 4_096]).unwrap(), 0);
            second.write_all(OK).unwrap();
        });
        let connections = Connections::new(Arc::default());
        assert_eq!(send(&connections, &origin, "/1").await.unwrap().status(), StatusCode::OK);
        // Blocks the thread, so that tokio's driver does not learn of the second answer.
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(send(&connections, &origin, "/2").await.unwrap().status(), StatusCode::OK);
        serving.join().unwrap();
    }

    #[tokio::test]
    async fn a_connection_to_a_failing_server_is_not_kept() {
        let error = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n".to_vec();
        let (origin, serving) = serve(vec![vec![error], vec![OK.to_vec()]]).await;
        let connections = Connections::new(Arc::default());
        assert_eq!(send(&connections, &origin, "/1").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(connections.idle.lock().len(), 0);
        assert_eq!(send(&connections, &origin, "/2").await.unwrap().status(), StatusCode::OK);
        assert_eq!(serving.await.unwrap(), ["/1", "/2"]);
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed_in_time() {
        let (origin, serving) = serve(vec![vec![OK.to_vec(); 2]]).await;
        let connections = Connections::new(Arc::default());
        send(&connections, &origin, "/1").await.unwrap();
        connections.close_idle(Instant::now());
        assert_eq!(connections.idle.lock().len(), 1);
        connections.close_idle(Instant::now() + IDLE_TIMEOUT);
        assert_eq!(serving.await.unwrap(), ["/1", ""], "the server reads the end of the connection");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut_off() {
        let endless_head = [b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'x'; 1 << 20]].concat();
        let (origin, _serving) = serve(vec![vec![endless_head]]).await;
        let error = send(&Connections::new(Arc::default()), &origin, "/").await.unwrap_err();
        assert!(error.contains("message head is too large"), "{error}");

        let endless_body =
            [b"HTTP/1.1 403 Forbidden\r\nContent-Length: 99999999\r\n\r\n".to_vec(), vec![b'x'; 1 << 20]].concat();
        let (origin, _serving) = serve(vec![vec![endless_body]]).await;
        let connections = Connections::new(Arc::default());
        assert_eq!(send(&connections, &origin, "/").await.unwrap().body().len(), MAX_BODY_BYTES);
        assert_eq!(connections.idle.lock().len(), 0, "the rest of the body would be read as the next answer");
    }

    #[tokio::test]
    async fn a_failure_has_its_causes() {
        let (origin, _serving) = serve(vec![vec![b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<a".to_vec()]]).await;
        let connections = Connections::new(Arc::default());
        let cut = send(&connections, &origin, "/").await.unwrap_err();
        assert!(cut.contains("end of file") || cut.contains("closed"), "{cut}");
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let origin = format!("http://{closed}/").parse().unwrap();
        let refused = send(&connections, &origin, "/").await.unwrap_err();
        assert!(refused.contains("Connection refused"), "{refused}");
    }
}
