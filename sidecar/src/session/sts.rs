//! Calls STS AssumeRole: for sessions, and for probes without the right external ID.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region, SharedCredentialsProvider};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use tributary_crds::function::DestinationFunctionSpec;
use tributary_crds::policy::{self, PolicyDocument};
use tributary_crds::values::{ExternalId, SessionName};
use tributary_runtime::errors::causes;

use super::credential_check;
use super::endpoint::StsEndpoint;
use super::failure::StsAnswer;
use super::schedule::{self, MIN_SESSION_DURATION, SESSION_DURATION};
use super::{Session, SessionId};
use crate::aws_message;
use crate::clock::{Clock, SdkTime};
use crate::redact;
use crate::skew::ClockOffset;

/// Time limit of a call to STS. No request waits for a renewal, and a failed request for a first session is retried.
const STS_CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// A client of STS for one function's role.
#[derive(Debug)]
pub(crate) struct Sts {
    pub(crate) endpoint: StsEndpoint,
    pub(crate) clock: Arc<dyn Clock>,
    role: String,
    session_name: SessionName,
    policy: PolicyDocument,
}

impl Sts {
    pub(crate) fn new(
        spec: &DestinationFunctionSpec,
        session_name: SessionName,
        endpoint: StsEndpoint,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { endpoint, clock, role: spec.role_arn.to_string(), session_name, policy: policy::permissions(spec) }
    }

    pub(crate) fn role(&self) -> &str {
        &self.role
    }

    /// Requests a session, whose session policy grants only the permissions that the function needs.
    pub(crate) async fn session(
        &self,
        base: Credentials,
        external_id: &ExternalId,
        id: SessionId,
    ) -> Result<Session, StsAnswer> {
        // From before the call, since the session's life begins before the answer arrives.
        let requested_at = self.clock.monotonic();
        let output = self
            .client(base.clone())
            .assume_role()
            .role_arn(&self.role)
            .role_session_name(self.session_name.as_str())
            .external_id(external_id.reveal())
            .duration_seconds(seconds(SESSION_DURATION))
            .policy(self.policy.to_json())
            .send()
            .await
            .map_err(|error| {
                let [id, key, token] = redact::parts(&base);
                answer(&error, self.clock.now(), &[external_id.reveal(), id, key, token])
            })?;
        let given = output.credentials.ok_or(StsAnswer::Invalid("it contains no credentials"))?;
        let (now, expiry) = (self.clock.now(), expiry(&given.expiration)?);
        let lifetime = schedule::lifetime(expiry, now);
        let credentials = Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            // No expiry: `ends` decides whether the session can be used, and not the SDK by the wall clock.
            None,
            "tributary",
        );
        credential_check::check(&credentials).map_err(StsAnswer::Invalid)?;
        let (ends, expiry) = (requested_at + lifetime, now + lifetime);
        Ok(Session { id, credentials, ends, expiry, has_stored: AtomicBool::new(false) })
    }

    /// Requests a session without an external ID or with a wrong one. If STS grants it, it has no permissions and the
    /// shortest life, and its credentials are discarded.
    pub(crate) async fn probe(&self, base: Credentials, external_id: Option<String>) -> Result<(), StsAnswer> {
        self.client(base.clone())
            .assume_role()
            .role_arn(&self.role)
            .role_session_name(self.session_name.as_str())
            .set_external_id(external_id)
            .duration_seconds(seconds(MIN_SESSION_DURATION))
            .policy(policy::nothing().to_json())
            .send()
            .await
            .map(drop)
            .map_err(|error| answer(&error, self.clock.now(), &redact::parts(&base)))
    }

    fn client(&self, base: Credentials) -> aws_sdk_sts::Client {
        let timeouts = TimeoutConfig::builder().operation_timeout(STS_CALL_TIMEOUT).build();
        let mut config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.endpoint.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(base))
            .http_client(self.endpoint.http.clone())
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .time_source(SdkTime(Arc::clone(&self.clock)))
            .timeout_config(timeouts)
            // The manager retries, with its own backoff.
            .retry_config(RetryConfig::disabled());
        config.set_endpoint_url(self.endpoint.url.clone());
        config.set_use_fips(Some(self.endpoint.variant.fips));
        config.set_use_dual_stack(Some(self.endpoint.variant.dual_stack));
        aws_sdk_sts::Client::from_conf(config.build())
    }
}

/// The expiry of a session. The SDK parses a truncated answer without an error, and puts the Unix epoch in place of a
/// missing expiration.
fn expiry(expiration: &aws_smithy_types::DateTime) -> Result<SystemTime, StsAnswer> {
    SystemTime::try_from(*expiration)
        .ok()
        .filter(|expiry| *expiry > SystemTime::UNIX_EPOCH)
        .ok_or(StsAnswer::Invalid("it was cut short"))
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

/// Converts the SDK's error, without these secrets. An error status without an error code gets the status as its code.
fn answer<E>(error: &SdkError<E>, now: SystemTime, secrets: &[&str]) -> StsAnswer
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let response = error.raw_response();
    let status = response.map_or(0, |response| response.status().as_u16());
    let date = response.and_then(|response| response.headers().get("date"));
    let offset = ClockOffset::of_answer(date, now);
    let read = error.code().map(|code| (code.to_owned(), error.message().map(str::to_owned)));
    let answer = match read {
        Some((code, message)) => error_answer(status, code, message.as_deref(), "", offset),
        None if status >= 400 => {
            let body = response.and_then(|response| response.body().bytes()).unwrap_or_default();
            match aws_message::nested_error(body) {
                Some((code, message)) => error_answer(status, code, message.as_deref(), "", offset),
                None => {
                    let start = redact::excerpt(body, b"", secrets);
                    error_answer(status, status.to_string(), None, &start, offset)
                }
            }
        }
        // The SDK would quote the answer, which may hold credentials.
        None if status != 0 => StsAnswer::Invalid("it is not in STS's format"),
        None => StsAnswer::NoResponse(causes(error)),
    };
    answer.redacted(secrets)
}

fn error_answer(
    status: u16,
    code: String,
    message: Option<&str>,
    start: &str,
    offset: Option<ClockOffset>,
) -> StsAnswer {
    StsAnswer::Error { status, code, message: aws_message::message(message, start), offset }
}
