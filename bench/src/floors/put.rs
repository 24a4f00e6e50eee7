//! Puts objects into the double's bucket, with requests signed by hand.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;

use super::sigv4::{CONTENT_TYPE_SIGNED, IF_NONE_MATCH_SIGNED, Signer};
use crate::double;

/// The double's bucket.
#[derive(Clone)]
pub(super) struct Bucket {
    client: Client<HttpConnector, Full<Bytes>>,
    signer: Arc<Signer>,
}

impl Bucket {
    /// The bucket of the double at `s3`.
    pub(super) fn at(s3: SocketAddr) -> Bucket {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Bucket {
            client: Client::builder(TokioExecutor::new()).build(connector),
            signer: Arc::new(Signer::new(s3, double::ACCESS_KEY_ID, double::SECRET_ACCESS_KEY, double::REGION)),
        }
    }

    /// Stores an object, whose key must need no URL encoding.
    pub(super) async fn put(&self, key: &str, body: Bytes) -> Result<()> {
        let path = format!("/{}/{key}", double::BUCKET);
        let signed = self.signer.put(&path, &body, Timestamp::now());
        let request = Request::put(format!("http://{}{path}", self.signer.host()))
            .header(CONTENT_TYPE, CONTENT_TYPE_SIGNED)
            .header(IF_NONE_MATCH, IF_NONE_MATCH_SIGNED)
            .header("x-amz-content-sha256", signed.payload_sha256)
            .header("x-amz-date", signed.date)
            .header(AUTHORIZATION, signed.authorization)
            .body(Full::new(body))?;
        let response = self.client.request(request).await?;
        let status = response.status();
        // Read to its end, or the connection can't be reused.
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status == StatusCode::OK, "S3 answered {status}: {}", String::from_utf8_lossy(&body));
        Ok(())
    }
}
