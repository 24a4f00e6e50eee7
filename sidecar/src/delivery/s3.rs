//! The S3 client of one bucket: puts objects, checks the bucket with HeadBucket, and returns S3's answers.
//!
//! Only this module uses the SDK's S3 client.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, IdentityCache, Region, RequestChecksumCalculation, SharedCredentialsProvider,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use bytes::Bytes;
use tokio::time::timeout;
use tributary_crds::function::{self, Checksum, EncryptionType};
use tributary_runtime::errors::causes;

use super::failure::S3Answer;
use super::health::KeyPart;
use super::response_check::{self, ResponseCheck};
use crate::bounded_response::{self, BoundedResponse};
use crate::clock::{Clock, SdkTime};
use crate::redact;
use crate::session::{Session, SessionId};
use crate::skew::ClockOffset;

/// Timeout for establishing a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Timeout for HeadBucket.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// An object to upload, the same for all attempts.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) key: String,
    /// Whether part of the key was made by the sidecar, so that no earlier request should have stored an object under
    /// it.
    pub(crate) is_new: bool,
    /// The part of the key space that the key is in; `None` if keys don't contain the type.
    pub(super) part: Option<KeyPart>,
    pub(crate) body: Bytes,
    pub(crate) content_type: &'static str,
}

/// The client for one function's bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    config: aws_sdk_s3::config::Builder,
    /// The SDK's client with the credentials of the session with this ID. A new session gets a new client, twice an
    /// hour, over the same connections; changing the credentials per request would add to the cost of every PUT.
    client: ArcSwapOption<(SessionId, aws_sdk_s3::Client)>,
    clock: Arc<dyn Clock>,
    target: function::S3,
    tagging: Option<String>,
}

/// How S3 is reached: by which URL, addressing style and HTTP client.
#[derive(Clone, Debug)]
pub(crate) struct S3Endpoint {
    /// The URL of the endpoint; `None` for the region's own.
    pub(crate) url: Option<String>,
    /// Whether the bucket's name goes into the path instead of the host name.
    pub(crate) path_style: bool,
    /// The HTTP client, with its pool of connections.
    pub(crate) http: SharedHttpClient,
}

impl Bucket {
    pub(crate) fn new(target: function::S3, endpoint: S3Endpoint, clock: Arc<dyn Clock>) -> Self {
        // The caller sets the timeout of each attempt.
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build();
        let checksum = match target.checksum {
            Checksum::WhenSupported => RequestChecksumCalculation::WhenSupported,
            Checksum::WhenRequired => RequestChecksumCalculation::WhenRequired,
        };
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(target.region.to_string()))
            .http_client(endpoint.http)
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .time_source(SdkTime(Arc::clone(&clock)))
            .timeout_config(timeouts)
            // `upload` retries: it knows the deadline, and when it needs a new session.
            .retry_config(RetryConfig::disabled())
            // The credentials are static and in memory: there is nothing to cache.
            .identity_cache(IdentityCache::no_cache())
            .force_path_style(endpoint.path_style)
            .request_checksum_calculation(checksum);
        config.set_endpoint_url(endpoint.url);
        config.push_interceptor(SharedInterceptor::permanent(BoundedResponse));
        config.push_interceptor(SharedInterceptor::permanent(ResponseCheck::default()));
        let tagging = (!target.tags.is_empty())
            .then(|| url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&target.tags).finish());
        Self { config, client: ArcSwapOption::empty(), clock, target, tagging }
    }

    /// Whether PUTs carry `If-None-Match: *`, so that none overwrites an object (`spec.s3.conditionalWrites`).
    pub(crate) fn writes_conditionally(&self) -> bool {
        self.target.conditional_writes
    }

    /// Sends one PUT, with `time` as its timeout. `if_absent` adds `If-None-Match: *`, which leaves an existing
    /// object as it is.
    pub(crate) async fn put(
        &self,
        object: &Object,
        if_absent: bool,
        session: &Session,
        time: Duration,
    ) -> Result<(), S3Answer> {
        let target = &self.target;
        let client = self.client(session);
        let mut request = client
            .1
            .put_object()
            .bucket(target.bucket.as_str())
            .key(&object.key)
            .content_type(object.content_type)
            // An in-memory body: the SDK sends its checksum in a header, so the store need not support aws-chunked.
            .body(ByteStream::from(object.body.clone()))
            .set_tagging(self.tagging.clone())
            .set_expected_bucket_owner(target.expected_bucket_owner.as_ref().map(ToString::to_string))
            .set_storage_class(target.storage_class.as_ref().map(|class| StorageClass::from(class.as_str())));
        if if_absent {
            request = request.if_none_match("*");
        }
        if let Some(encryption) = &target.encryption {
            request = match encryption.r#type {
                EncryptionType::S3 => request.server_side_encryption(ServerSideEncryption::Aes256),
                EncryptionType::Kms => request
                    .server_side_encryption(ServerSideEncryption::AwsKms)
                    .set_ssekms_key_id(encryption.key_id.as_ref().map(ToString::to_string)),
            };
        }
        match timeout(time, request.send()).await {
            Ok(result) => result.map(drop).map_err(|error| {
                // AWS's messages name the key, which may identify people and differs in each message.
                let hidden = [&redact::parts(&session.credentials)[..], &[object.key.as_str()]].concat();
                answer(&error, &object.body, self.clock.now()).redacted(&hidden)
            }),
            Err(_) => Err(S3Answer::Timeout),
        }
    }

    /// Sends HeadBucket. A session that may only put objects is refused, but the answer still shows whether the
    /// bucket exists, and in which region.
    pub(crate) async fn head(&self, session: &Session) -> Result<(), S3Answer> {
        let client = self.client(session);
        let request = client.1.head_bucket().bucket(self.target.bucket.as_str());
        match timeout(HEAD_TIMEOUT, request.send()).await {
            Ok(result) => result
                .map(drop)
                .map_err(|error| answer(&error, &[], self.clock.now()).redacted(&redact::parts(&session.credentials))),
            Err(_) => Err(S3Answer::Timeout),
        }
    }

    fn client(&self, session: &Session) -> Arc<(SessionId, aws_sdk_s3::Client)> {
        if let Some(client) = self.client.load_full().filter(|client| client.0 == session.id) {
            return client;
        }
        let credentials = SharedCredentialsProvider::new(session.credentials.clone());
        let config = self.config.clone().credentials_provider(credentials).build();
        let client = Arc::new((session.id, aws_sdk_s3::Client::from_conf(config)));
        self.client.store(Some(Arc::clone(&client)));
        client
    }
}

/// Whether a text looks like a region's name: a server may send anything in its place.
fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Converts an SDK error; `sent` is the request's body, of which the result quotes nothing.
fn answer<E>(error: &SdkError<E>, sent: &[u8], now: SystemTime) -> S3Answer
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Some((response, body)) = error.raw_response().and_then(|response| Some((response, response.body().bytes()?)))
    else {
        return S3Answer::NoResponse(causes(error));
    };
    let status = response.status().as_u16();
    // The answer to a HEAD has no body: its code is made up by the SDK.
    let code = error.code().filter(|_| !body.is_empty());
    if code.is_none() && (status < 300 || !response_check::has_request_id(response)) {
        return S3Answer::Foreign { status, start: response_check::excerpt(body, sent) };
    }
    let code = match (code, status) {
        (None | Some("NotFound"), 404) => "NoSuchBucket",
        (code, _) => code.unwrap_or_default(),
    };
    let region = response.headers().get("x-amz-bucket-region").filter(|region| is_region(region)).map(str::to_owned);
    let message = bounded_response::message(error.message());
    let offset = ClockOffset::of_answer(response.headers().get("date"), now);
    S3Answer::Error { status, code: code.to_owned(), message, region, offset }
}
