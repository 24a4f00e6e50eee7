//! The base identity: what the sidecar is before it assumes the function's role.

use std::sync::Arc;
use std::time::Duration;

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tributary_crds::conditions::Reason;
use tributary_telemetry::causes;

use crate::blocker::Blocker;
use crate::clock::{Clock, SdkTime};

/// How long the base identity may take: some of the chain's providers ask others, and have no
/// time limit of their own.
const BASE_IDENTITY_TIMEOUT: Duration = Duration::from_secs(8);

/// Where the base identity comes from.
#[derive(Clone, Debug)]
pub enum BaseIdentity {
    /// AWS's usual chain: environment, shared credentials file, web identity (IRSA), Pod Identity;
    /// the instance's role only where `AWS_EC2_METADATA_DISABLED` is not `true`.
    Chain,
    /// One that the caller provides.
    Given(SharedCredentialsProvider),
}

impl BaseIdentity {
    /// Gets credentials, anew each time: a session is asked for twice an hour, and this way files
    /// and tokens that were rotated meanwhile are simply read.
    pub(crate) async fn credentials(&self, sts: &StsEndpoint, clock: &Arc<dyn Clock>) -> Result<Credentials, Blocker> {
        let result = tokio::time::timeout(BASE_IDENTITY_TIMEOUT, self.look_up(sts, clock)).await;
        result
            .unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(BASE_IDENTITY_TIMEOUT)))
            .map_err(|error| none(&error))
    }

    async fn look_up(&self, sts: &StsEndpoint, clock: &Arc<dyn Clock>) -> Result<Credentials, CredentialsError> {
        match self {
            Self::Given(provider) => provider.provide_credentials().await,
            Self::Chain => {
                let region = Region::new(sts.region.clone());
                let provider_config = ProviderConfig::empty()
                    .with_region(Some(region.clone()))
                    .with_http_client(sts.http.clone())
                    .with_sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
                    .with_time_source(SdkTime(Arc::clone(clock)));
                let chain = DefaultCredentialsChain::builder().region(region).configure(provider_config);
                chain.build().await.provide_credentials().await
            }
        }
    }
}

/// The STS that is asked.
#[derive(Clone, Debug)]
pub(crate) struct StsEndpoint {
    /// Its region, which signatures name.
    pub(crate) region: String,
    /// Its URL, where that is not the region's own.
    pub(crate) url: Option<String>,
    /// What it is asked through.
    pub(crate) http: aws_smithy_runtime_api::client::http::SharedHttpClient,
}

fn none(error: &CredentialsError) -> Blocker {
    let message = format!(
        "the sidecar has no AWS identity of its own to assume the role with ({}); give it one through IRSA, EKS Pod \
         Identity or a credentials Secret, or, outside a cluster, through AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        causes(error)
    );
    Blocker { reason: Reason::NoBaseIdentity, message }
}
