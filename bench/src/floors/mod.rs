//! Floors: the minimum that a part of the sidecar's work can cost, written by hand on the same HTTP stack.
//!
//! They omit what the sidecar must do (limits, timeouts, authentication, retries), so that the difference between the
//! sidecar and its floor is the cost of these and of the sidecar's abstractions.

mod batch;
mod compress;
mod object;
mod put;
mod session;
mod sigv4;
mod take;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::content::Content;
use crate::{process, tls};

use batch::BatchFloor;
use object::ObjectFloor;
use put::Bucket;
use take::TakeFloor;

/// What a floor does.
#[derive(Args)]
pub struct FloorOptions {
    /// The address of S3; without it, events are accepted and dropped.
    #[arg(long)]
    pub s3: Option<SocketAddr>,
    /// What the objects contain.
    #[arg(long, requires = "s3")]
    pub content: Option<Content>,
    /// Whether a request has many events.
    #[arg(long)]
    pub many: bool,
    /// The authority that S3's certificate is from; without it, S3 is used without TLS.
    #[arg(long, requires = "s3")]
    pub s3_authority: Option<PathBuf>,
    /// The folder with the certificate for clients; without it, they are served without TLS.
    #[arg(long)]
    pub tls: Option<PathBuf>,
}

/// The fields of an event that a floor reads. They are borrowed, because neither contains escapes in practice.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(rename = "messageId")]
    message_id: &'a str,
}

impl<'a> Envelope<'a> {
    fn parse(event: &'a [u8]) -> Result<Envelope<'a>> {
        let envelope: Envelope<'_> = serde_json::from_slice(event)?;
        ensure!(!envelope.kind.is_empty() && !envelope.message_id.is_empty(), "an event has a type and a messageId");
        Ok(envelope)
    }
}

/// The body of a request with many events.
#[derive(Deserialize)]
struct BatchRequest<'a> {
    #[serde(borrow)]
    batch: Vec<&'a RawValue>,
}

/// The events of a request's body, which has one or `many`.
fn events(body: &[u8], many: bool) -> Result<Vec<&[u8]>> {
    if !many {
        return Ok(vec![body]);
    }
    let body: BatchRequest<'_> = serde_json::from_slice(body)?;
    Ok(body.batch.into_iter().map(|event| event.get().as_bytes()).collect())
}

/// The work that a floor does with a request's body before it answers.
trait Floor: Clone + Send + Sync + 'static {
    fn handle(&self, body: Bytes) -> impl Future<Output = Result<()>> + Send;
}

/// Serves the floor of `options` until the bench ends.
pub fn run(options: &FloorOptions) -> Result<()> {
    let runtime = Runtime::new()?;
    let clients = options.tls.as_deref().map(tls::server_config).transpose()?;
    let Some(s3) = options.s3 else { return serve(&runtime, TakeFloor, clients) };
    let bucket = runtime.block_on(Bucket::new(s3, options.s3_authority.as_deref()))?;
    match options.content.context("a floor that stores events has a content")? {
        Content::Event => serve(&runtime, ObjectFloor { bucket, many: options.many }, clients),
        content => serve(&runtime, BatchFloor::new(bucket, content, options.many), clients),
    }
}

fn serve(runtime: &Runtime, floor: impl Floor, tls: Option<Arc<ServerConfig>>) -> Result<()> {
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    runtime.spawn(accept(listener, tls.map(TlsAcceptor::from), floor));
    process::serve(address, |_| Ok(String::new()))
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, floor: impl Floor) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve_connection(stream, tls.clone(), floor.clone()));
    }
}

async fn serve_connection(stream: TcpStream, tls: Option<TlsAcceptor>, floor: impl Floor) -> Result<()> {
    let stream: tls::Stream = match tls {
        None => Box::new(stream),
        Some(tls) => Box::new(tls.accept(stream).await?),
    };
    let service = service_fn(move |request| answer(floor.clone(), request));
    // An error here means that the bench closed the connection.
    Ok(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?)
}

async fn answer(floor: impl Floor, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let outcome = async { floor.handle(request.into_body().collect().await?.to_bytes()).await };
    let (status, body) = match outcome.await {
        Ok(()) => (StatusCode::OK, Bytes::from_static(b"{\"success\":true}\n")),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, Bytes::from(format!("{error:#}"))),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
