//! A signed PUT, for the micro-benchmarks.

use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use bytes::Bytes;
use tributary_crds::function;

use super::S3Endpoint;
use super::sdk::{Operation, Sdk};
use super::template::Template;
use crate::aws_client::EndpointVariant;
use crate::clock::MachineClock;

const PUT: Operation = Operation::Put { content_type: "application/json", if_absent: true };

/// Makes signed PUTs for a bucket, and sends none.
#[derive(Debug)]
pub struct SignedPuts(Template);

impl SignedPuts {
    /// Makes the template of a session.
    ///
    /// # Errors
    /// As the SDK's, for another bucket than the one in the benchmark.
    pub async fn new(target: function::S3) -> Result<Self, String> {
        let endpoint =
            S3Endpoint { url: None, path_style: false, is_store: false, variant: EndpointVariant::default() };
        let sdk = Sdk::new(target, &endpoint, Arc::new(MachineClock::new()));
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let token = "x".repeat(600);
        let credentials = Credentials::new("ASIAIOSFODNN7EXAMPLE", secret, Some(token), None, "bench");
        let built = sdk.build(PUT, credentials, PUT.placeholder_key(), Bytes::new()).await?;
        Template::new(&built, PUT.placeholder_key(), secret).map(Self)
    }

    /// A PUT of `body`; returns its number of headers.
    pub fn put(&self, key: &str, body: Bytes) -> usize {
        self.0.request(key, body, SystemTime::now()).request.headers().len()
    }
}
