//! The AWS SDK as the authority on S3's requests and answers: it builds requests and reads errors, and sends nothing. A
//! header of every PUT is set here; one whose value differs per object, also in the template.

use std::fmt;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::{ReconnectMode, RetryConfig};
use aws_sdk_s3::config::{
    BehaviorVersion, IdentityCache, Region, RequestChecksumCalculation, SharedCredentialsProvider,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use hyper::{Request, Response};
use parking_lot::Mutex;
use tributary_crds::function::{self, Checksum, EncryptionType};
use tributary_runtime::errors::causes;

use super::S3Endpoint;
use crate::clock::{Clock, SdkTime};

/// The key in a request from which a template is made.
const PLACEHOLDER_KEY: &str = "tributary-placeholder-key";

/// The requests that the sidecar sends to S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// PutObject, with `If-None-Match: *` if `if_absent`.
    Put { content_type: &'static str, if_absent: bool },
    /// HeadBucket.
    Head,
    /// ListObjectsV2, of no objects.
    List,
}

/// The SDK, configured for one bucket.
#[derive(Debug)]
pub(super) struct Sdk {
    config: aws_sdk_s3::config::Builder,
    target: function::S3,
    tagging: Option<String>,
    /// Reads errors; its requests go nowhere.
    reader: aws_sdk_s3::Client,
}

impl Operation {
    /// The key in the request from which the operation's template is made. Requests about the bucket have none.
    pub(super) fn placeholder_key(self) -> &'static str {
        match self {
            Self::Put { .. } => PLACEHOLDER_KEY,
            Self::Head | Self::List => "",
        }
    }
}

impl Sdk {
    pub(super) fn new(target: function::S3, endpoint: &S3Endpoint, clock: Arc<dyn Clock>) -> Self {
        let checksum = match target.checksum {
            Checksum::WhenSupported => RequestChecksumCalculation::WhenSupported,
            Checksum::WhenRequired => RequestChecksumCalculation::WhenRequired,
        };
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(target.region.to_string()))
            .time_source(SdkTime(clock))
            // Without connections, it could close none after an error, and would log that.
            .retry_config(RetryConfig::disabled().with_reconnect_mode(ReconnectMode::ReuseAllConnections))
            // The credentials are static and in memory: there is nothing to cache.
            .identity_cache(IdentityCache::no_cache())
            .force_path_style(endpoint.path_style)
            .use_fips(endpoint.variant.fips)
            .use_dual_stack(endpoint.variant.dual_stack)
            .request_checksum_calculation(checksum);
        config.set_endpoint_url(endpoint.url.clone());
        let tagging = (!target.tags.is_empty())
            .then(|| url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&target.tags).finish());
        let reader = client(&config, Credentials::new("none", "none", None, None, "none"));
        Self { config, target, tagging, reader }
    }

    /// The signed request for this key and body; requests about the bucket have neither.
    ///
    /// # Errors
    /// If the SDK can't build it, for example for an invalid endpoint.
    pub(super) async fn build(
        &self,
        operation: Operation,
        credentials: Credentials,
        key: &str,
        body: Bytes,
    ) -> Result<Request<()>, String> {
        let (client, detour) = (client(&self.config, credentials), Detour::default());
        let config = aws_sdk_s3::Config::builder().http_client(detour.client());
        let error = match operation {
            Operation::Put { content_type, if_absent } => {
                let request = self.put_object(&client).key(key).content_type(content_type).body(ByteStream::from(body));
                let request = if if_absent { request.if_none_match("*") } else { request };
                request.customize().config_override(config).send().await.err().map(|error| causes(&error))
            }
            Operation::Head => {
                let request = client.head_bucket().bucket(self.target.bucket.as_str());
                request.customize().config_override(config).send().await.err().map(|error| causes(&error))
            }
            Operation::List => {
                let request = client.list_objects_v2().bucket(self.target.bucket.as_str()).max_keys(0);
                request.customize().config_override(config).send().await.err().map(|error| causes(&error))
            }
        };
        let built = detour.request.lock().take();
        let built = built.ok_or_else(|| error.unwrap_or_else(|| "the SDK has built no request".to_owned()))?;
        Ok(built.try_into_http1x().map_err(|error| causes(&error))?.map(drop))
    }

    /// The code and the message of an error that S3 has answered with, as far as it has them.
    pub(super) async fn read_error(&self, response: &Response<Bytes>) -> (Option<String>, Option<String>) {
        let detour = Detour::default();
        let mut answer = Response::new(SdkBody::from(response.body().clone()));
        *answer.status_mut() = response.status();
        answer.headers_mut().clone_from(response.headers());
        *detour.response.lock() = HttpResponse::try_from(answer).ok();
        let config = aws_sdk_s3::Config::builder().http_client(detour.client());
        let request = self.reader.put_object().bucket(self.target.bucket.as_str()).key(PLACEHOLDER_KEY);
        match request.customize().config_override(config).send().await {
            Err(SdkError::ServiceError(error)) => {
                (error.err().code().map(str::to_owned), error.err().message().map(str::to_owned))
            }
            _ => (None, None),
        }
    }

    fn put_object(&self, client: &aws_sdk_s3::Client) -> PutObjectFluentBuilder {
        let target = &self.target;
        let request = client
            .put_object()
            .bucket(target.bucket.as_str())
            .set_tagging(self.tagging.clone())
            .set_expected_bucket_owner(target.expected_bucket_owner.as_ref().map(ToString::to_string))
            .set_storage_class(target.storage_class.as_ref().map(|class| StorageClass::from(class.as_str())));
        match &target.encryption {
            None => request,
            Some(encryption) => match encryption.r#type {
                EncryptionType::S3 => request.server_side_encryption(ServerSideEncryption::Aes256),
                EncryptionType::Kms => request
                    .server_side_encryption(ServerSideEncryption::AwsKms)
                    .set_ssekms_key_id(encryption.key_id.as_ref().map(ToString::to_string)),
            },
        }
    }
}

fn client(config: &aws_sdk_s3::config::Builder, credentials: Credentials) -> aws_sdk_s3::Client {
    let provider = SharedCredentialsProvider::new(credentials);
    aws_sdk_s3::Client::from_conf(config.clone().credentials_provider(provider).build())
}

/// Takes the place of the network: keeps the request that the SDK would send, and returns a given response.
#[derive(Clone, Default)]
struct Detour {
    request: Arc<Mutex<Option<HttpRequest>>>,
    /// `None` is no response, which is an error to the SDK.
    response: Arc<Mutex<Option<HttpResponse>>>,
}

impl Detour {
    fn client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }
}

impl fmt::Debug for Detour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Detour")
    }
}

impl HttpConnector for Detour {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        *self.request.lock() = Some(request);
        let response = self.response.lock().take();
        HttpConnectorFuture::ready(response.ok_or_else(|| ConnectorError::user("nothing is sent".into())))
    }
}
