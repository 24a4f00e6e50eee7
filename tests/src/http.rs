//! A minimal HTTP client, and assertions on the sidecar's answers.

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

/// Longer than any answer in these tests may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Substrings that only the function's owner may see in an error, and clients may not: of the names of the function's
/// role, account, bucket and Secrets, of fields and addresses, and of AWS's messages.
const OWNER_ONLY_DETAILS: [&str; 12] =
    ["arn:", ACCOUNT, BASE_ACCOUNT, OTHER_ACCOUNT, BUCKET, REGION, "AWS", "STS", "S3", "127.0.0.1", "spec.", "Secret "];

/// An HTTP client that keeps its connections open.
#[derive(Clone, Debug)]
pub struct Http(Client<HttpConnector, Full<Bytes>>);

/// An HTTP answer, with its whole body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
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
    /// A client without open connections.
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends a request.
    ///
    /// # Errors
    /// If no complete answer arrives within 60 s.
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
        tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.map_err(|_| format!("no answer in {ANSWER_TIMEOUT:?}"))?
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
    /// If it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// The error code in the body; empty if there is none.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The error message in the body; empty if there is none.
    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether there is an error message, without details that only the function's owner may see.
    pub fn hides_owner_details(&self) -> bool {
        let message = self.message();
        !message.is_empty() && !OWNER_ONLY_DETAILS.iter().any(|detail| message.contains(detail))
    }

    /// Whether there is a `Retry-After` of 1 to 10 s, which every error that may pass must have.
    pub fn has_valid_retry_after(&self) -> bool {
        let seconds = self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u8>().ok());
        seconds.is_some_and(|seconds| (1..=10).contains(&seconds))
    }
}
