//! Serves an HTTP port for the platform and for people: few requests, small answers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::net::TcpListener;

use crate::server::{self, CloseTimes, ConnectionCounts, Connections, Drain, KeepAlive, Unauthenticated};

/// `Content-Type` of text.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// `Content-Type` of JSON.
pub const JSON: &str = "application/json";

/// Maximum number of open connections: of the kubelet, the operator, a scraper and people. At the limit the connection
/// that has been idle longest is closed for a new one.
const MAX_CONNECTIONS: usize = 256;

/// An HTTP response whose body is in memory.
pub type Answer = Response<Full<Bytes>>;

/// Serves for as long as it is polled, and answers each request with `answer`.
pub async fn serve<F>(listener: TcpListener, answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static)
where
    F: Future<Output = Answer> + Send + 'static,
{
    let connections =
        Connections::new(MAX_CONNECTIONS, KeepAlive::SHORT, CloseTimes::CLUSTER, ConnectionCounts::default());
    let in_turn = move |request| {
        let answering = answer(request);
        async move {
            // hyper answers all requests that a client has sent at once before it lets another connection have a turn.
            tokio::task::yield_now().await;
            let mut answer = answering.await;
            // Nobody shows a credential here, so a client that keeps sending requests must not keep its connection.
            answer.extensions_mut().insert(Unauthenticated);
            answer
        }
    };
    let never = Drain { delay: Duration::MAX, grace: Duration::ZERO };
    server::serve(listener, connections, None, Arc::new(in_turn), never, std::future::pending()).await;
}

/// An answer with this status, content type and content.
pub fn answer(status: StatusCode, content_type: &'static str, content: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(content.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The answer of a health check: 200, or 503 with the reason.
pub fn health_answer(health: Result<(), String>) -> Answer {
    match health {
        Ok(()) => answer(StatusCode::OK, TEXT, "ok\n"),
        Err(reason) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, reason + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// Otherwise, anyone who can connect to the port could make the kubelet kill the process.
    #[tokio::test]
    async fn idle_connections_do_not_keep_the_kubelet_waiting() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, |_| std::future::ready(health_answer(Ok(())))));
        let mut idle = Vec::new();
        for _ in 0..2 * MAX_CONNECTIONS {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        let ask = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = tokio::time::timeout(Duration::from_secs(5), ask).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ok\n"), "{answer}");
    }
}
