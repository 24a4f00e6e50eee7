//! A TCP relay that records what passes through it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// The relay, and all bytes that have passed through it.
#[derive(Clone)]
pub struct Tap {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Arc<Connection>>>>,
}

/// The bytes of a connection in each direction.
#[derive(Default)]
struct Connection {
    requests: Mutex<Vec<u8>>,
    answers: Mutex<Vec<u8>>,
}

impl Tap {
    /// Starts relaying to the server at `to`.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let tap = Self { address, connections: Arc::default() };
        let connections = Arc::clone(&tap.connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let connection = Arc::new(Connection::default());
                connections.lock().push(Arc::clone(&connection));
                tokio::spawn(relay(client, to, connection));
            }
        });
        tap
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The text content of every XML element of this name, in all answers so far.
    pub fn captured(&self, element: &str) -> Vec<String> {
        let (start, end) = (format!("<{element}>"), format!("</{element}>"));
        let mut values = Vec::new();
        for connection in self.connections.lock().iter() {
            let answers = connection.answers.lock();
            let text = String::from_utf8_lossy(&answers);
            let found = text.split(&start).skip(1).filter_map(|rest| rest.split_once(&end));
            values.extend(found.map(|(value, _)| value.to_owned()));
        }
        values
    }

    /// All complete HTTP requests so far, in their order on each connection.
    pub async fn requests(&self) -> Vec<Request<Bytes>> {
        let connections = self.connections.lock().clone();
        let mut requests = Vec::new();
        for connection in connections {
            let bytes = connection.requests.lock().clone();
            requests.extend(parse(&bytes).await);
        }
        requests
    }
}

/// Parses HTTP requests with a server that reads them from memory.
async fn parse(bytes: &[u8]) -> Vec<Request<Bytes>> {
    let requests = Mutex::new(Vec::new());
    let keep = service_fn(async |request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        requests.lock().push(Request::from_parts(head, body));
        Ok::<_, hyper::Error>(Response::new(Empty::<Bytes>::new()))
    });
    let connection = TokioIo::new(tokio::io::join(bytes, tokio::io::sink()));
    // It fails if the client has not sent its last request completely.
    let _ = http1::Builder::new().half_close(true).serve_connection(connection, keep).await;
    requests.into_inner()
}

async fn relay(client: TcpStream, to: SocketAddr, connection: Arc<Connection>) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(copy(from_client, to_server, &connection.requests), copy(from_server, to_client, &connection.answers));
}

/// Copies until one of the ends is closed, and records what it has copied.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, record: &Mutex<Vec<u8>>) {
    let mut chunk = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        record.lock().extend_from_slice(&chunk[..count]);
        if to.write_all(&chunk[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
