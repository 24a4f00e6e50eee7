//! The seam to S3: an object goes in, what became of it comes out.
//!
//! Nothing outside this file knows how an object travels.

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
use tributary_telemetry::causes;

use super::failure::S3Answer;
use super::health::Part;
use super::response_check::{self, ResponseCheck};
use crate::bounded_response::{self, BoundedResponse};
use crate::clock::{Clock, SdkTime};
use crate::session::{Session, SessionId};
use crate::skew::ClockOffset;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the bucket may take to be asked for.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// An object that will not change any more.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) key: String,
    /// Whether the key was made for this object alone, so that nothing can be there before it.
    pub(crate) is_new: bool,
    /// The part of the key space that the key is in; none where keys have no type.
    pub(super) part: Option<Part>,
    pub(crate) body: Bytes,
    pub(crate) content_type: &'static str,
}

/// One function's bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    config: aws_sdk_s3::config::Builder,
    /// The client that signs with the session of that number. A new session is a new client, twice
    /// an hour, over the same connections; credentials changed per request would cost every PUT.
    client: ArcSwapOption<(SessionId, aws_sdk_s3::Client)>,
    clock: Arc<dyn Clock>,
    target: function::S3,
    tagging: Option<String>,
}

/// How S3 is reached.
#[derive(Clone, Debug)]
pub(crate) struct S3Endpoint {
    /// A URL other than that of the region's own endpoint.
    pub(crate) url: Option<String>,
    /// Whether the bucket's name goes into the path.
    pub(crate) path_style: bool,
    /// What it is reached through.
    pub(crate) http: SharedHttpClient,
}

impl Bucket {
    pub(crate) fn new(target: function::S3, endpoint: S3Endpoint, clock: Arc<dyn Clock>) -> Self {
        // How long the whole may take is the caller's to say, attempt by attempt.
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
            // The upload retries: it knows for how long, and when a new session is needed.
            .retry_config(RetryConfig::disabled())
            // Credentials come with each request, from memory.
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

    /// Whether objects are put so that none is written over.
    pub(crate) fn writes_conditionally(&self) -> bool {
        self.target.conditional_writes
    }

    /// Puts the object, once and within `time`. `if_absent` leaves an object that is there alone.
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
            // In memory: the checksum goes into a header, and no store has to know aws-chunked.
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
            Ok(result) => result.map(drop).map_err(|error| answer(&error, &object.body, self.clock.now())),
            Err(_) => Err(S3Answer::Timeout),
        }
    }

    /// Asks for the bucket. A session that may only put objects is refused, but told whether the
    /// bucket exists and where.
    pub(crate) async fn head(&self, session: &Session) -> Result<(), S3Answer> {
        let client = self.client(session);
        let request = client.1.head_bucket().bucket(self.target.bucket.as_str());
        match timeout(HEAD_TIMEOUT, request.send()).await {
            Ok(result) => result.map(drop).map_err(|error| answer(&error, &[], self.clock.now())),
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

/// What came of a request for which `sent` was sent.
fn answer<E>(error: &SdkError<E>, sent: &[u8], now: SystemTime) -> S3Answer
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Some((response, body)) = error.raw_response().and_then(|response| Some((response, response.body().bytes()?)))
    else {
        return S3Answer::Nothing(causes(error));
    };
    let status = response.status().as_u16();
    // The answer to a HEAD has no body, and gets a code from the SDK.
    let code = error.code().filter(|_| !body.is_empty());
    if code.is_none() && (status < 300 || !response_check::has_request_id(response)) {
        return S3Answer::Foreign { status, start: response_check::excerpt(body, sent) };
    }
    let code = match (code, status) {
        (None | Some("NotFound"), 404) => "NoSuchBucket",
        (code, _) => code.unwrap_or_default(),
    };
    let region = response.headers().get("x-amz-bucket-region").map(str::to_owned);
    let message = bounded_response::message(error.message());
    let offset = ClockOffset::of_answer(response.headers().get("date"), now);
    S3Answer::Error { status, code: code.to_owned(), message, region, offset }
}
