//! Serves an HTTP port for the platform and for people: few requests, small answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

/// `Content-Type` of text.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// `Content-Type` of JSON.
pub const JSON: &str = "application/json";

/// Time limit for reading a request's head. Clients of this port are in the same network.
const HEAD: Duration = Duration::from_secs(10);
/// Maximum number of open connections; others wait to be accepted.
const CONNECTIONS: usize = 64;

/// An HTTP response whose body is in memory.
pub type Answer = Response<Full<Bytes>>;

/// Accepts connections for as long as it is polled, and answers each request with `answer`.
pub async fn serve<F>(listener: TcpListener, answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static)
where
    F: Future<Output = Answer> + Send + 'static,
{
    let (answer, slots) = (Arc::new(answer), Arc::new(Semaphore::new(CONNECTIONS)));
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "accepting a connection failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let answer = Arc::clone(&answer);
        let service = service_fn(move |request| {
            let answer = answer(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection broke");
            }
            drop(slot);
        });
    }
}

/// An answer with this status, content type and content.
pub fn answer(status: StatusCode, content_type: &'static str, content: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(content.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The answer of a health check: 200, or 503 with the reason.
pub fn verdict(verdict: Result<(), String>) -> Answer {
    match verdict {
        Ok(()) => answer(StatusCode::OK, TEXT, "ok\n"),
        Err(why) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, why + "\n"),
    }
}
