//! Puts objects into the double's bucket, with requests signed by hand, on connections that the requests drive.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, IF_NONE_MATCH};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_rustls::TlsConnector;

use super::session;
use super::sigv4::{CONTENT_TYPE_SIGNED, IF_NONE_MATCH_SIGNED, Signer};
use crate::{double, tls};

/// The double's bucket.
#[derive(Clone)]
pub(super) struct Bucket {
    s3: SocketAddr,
    tls: Option<TlsConnector>,
    signer: Arc<Signer>,
    /// Connections that wait for a request.
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// A connection, and the future that reads and writes on it.
type Connection = (http1::SendRequest<Full<Bytes>>, Driver);
type Driver = Pin<Box<http1::Connection<TokioIo<tls::Stream>, Full<Bytes>>>>;

impl Bucket {
    /// The bucket of the double at `s3`, with a session of the role; over TLS, if there is the file of an authority to
    /// trust.
    pub(super) async fn new(s3: SocketAddr, authority: Option<&Path>) -> Result<Bucket> {
        let tls = authority.map(tls::connector).transpose()?;
        let signer = Signer::new(s3, session::assume_role(s3, tls.as_ref()).await?, double::REGION);
        Ok(Bucket { s3, tls, signer: Arc::new(signer), idle: Arc::default() })
    }

    /// Stores an object, whose key must need no URL encoding.
    pub(super) async fn put(&self, key: &str, body: Bytes) -> Result<()> {
        let path = format!("/{}/{key}", double::BUCKET);
        let signed = self.signer.put(&path, &body, Timestamp::now());
        let request = Request::put(path)
            .header(HOST, self.signer.host())
            .header(CONTENT_TYPE, CONTENT_TYPE_SIGNED)
            .header(IF_NONE_MATCH, IF_NONE_MATCH_SIGNED)
            .header("x-amz-checksum-crc32", signed.checksum_crc32)
            .header("x-amz-content-sha256", signed.payload_sha256)
            .header("x-amz-date", signed.date)
            .header("x-amz-security-token", self.signer.session_token())
            .header(AUTHORIZATION, signed.authorization)
            .body(Full::new(body))?;
        let idle = self.idle.lock().pop();
        let (mut requests, mut driver) = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let response = drive(&mut driver, requests.send_request(request)).await?;
        let status = response.status();
        // Read to its end, or the connection can't be reused.
        let body = drive(&mut driver, response.into_body().collect()).await?.to_bytes();
        drive(&mut driver, requests.ready()).await?;
        self.idle.lock().push((requests, driver));
        ensure!(status == StatusCode::OK, "S3 answered {status}: {}", String::from_utf8_lossy(&body));
        Ok(())
    }

    async fn connect(&self) -> Result<Connection> {
        let stream = tls::connect(self.s3, self.tls.as_ref()).await?;
        let (requests, driver) = http1::handshake(TokioIo::new(stream)).await?;
        Ok((requests, Box::pin(driver)))
    }
}

/// Completes `future`, which waits for the connection, while driving the connection.
async fn drive<F: Future>(driver: &mut Driver, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        // The double keeps its connections open, so the driver does not complete.
        let _ = driver.as_mut().poll(context);
        future.as_mut().poll(context)
    })
    .await
}
