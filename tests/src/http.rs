//! A client, as small as one can be.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::world::{ACCOUNT, BASE_ACCOUNT, BUCKET, OTHER_ACCOUNT, REGION};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the function's owner may learn of a fault, and a client may not: names of the function's role,
/// account, bucket and Secrets, fields, addresses, and what AWS says.
const DETAILS: [&str; 12] =
    ["arn:", ACCOUNT, BASE_ACCOUNT, OTHER_ACCOUNT, BUCKET, REGION, "AWS", "STS", "S3", "127.0.0.1", "spec.", "Secret "];

/// A client with connections that it keeps.
#[derive(Clone, Debug)]
pub struct Http(Client<HttpConnector, Full<Bytes>>);

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Http {
    /// A client without connections yet.
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends a request. An error is a request that got no answer.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).map_err(|error| error.to_string())?;
        let exchange = async {
            let response = self.0.request(request).await.map_err(|error| format!("{error:?}"))?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| format!("no answer in {PATIENCE:?}"))?
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// The error's code; empty without an error.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The error's sentence; empty without an error.
    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the error's sentence says something, and nothing that is for the function's owner alone.
    pub fn tells_no_details(&self) -> bool {
        let message = self.message();
        !message.is_empty() && !DETAILS.iter().any(|detail| message.contains(detail))
    }

    /// Whether it says when to come back, as all that may succeed later must: in 1 to 10 seconds.
    pub fn says_when_to_retry(&self) -> bool {
        let seconds = self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u8>().ok());
        seconds.is_some_and(|seconds| (1..=10).contains(&seconds))
    }
}
