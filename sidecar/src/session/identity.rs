//! Gets the base identity: the AWS credentials with which the sidecar assumes the function's role.

use std::sync::Arc;
use std::time::Duration;

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tributary_crds::conditions::Reason;
use tributary_runtime::errors::causes;

use super::credential_check;
use super::endpoint::StsEndpoint;
use crate::blocker::Blocker;
use crate::clock::{Clock, SdkTime};

/// Time limit for getting the base identity: some of the chain's providers make network calls without a time limit.
const BASE_IDENTITY_TIMEOUT: Duration = Duration::from_secs(8);

/// The source of the base identity.
#[derive(Clone, Debug)]
pub enum BaseIdentity {
    /// AWS's default chain: environment, shared credentials file, web identity (IRSA), Pod Identity; the instance's
    /// role only if `AWS_EC2_METADATA_DISABLED` is not `true`.
    Chain,
    /// Credentials that the caller provides.
    Given(SharedCredentialsProvider),
}

impl BaseIdentity {
    /// Gets credentials, without a cache: sessions are requested only about twice an hour, and rotated files and
    /// tokens must be read again.
    pub(crate) async fn credentials(&self, sts: &StsEndpoint, clock: &Arc<dyn Clock>) -> Result<Credentials, Blocker> {
        let result = tokio::time::timeout(BASE_IDENTITY_TIMEOUT, self.resolve(sts, clock)).await;
        let result = result.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(BASE_IDENTITY_TIMEOUT)));
        let credentials = result.map_err(|error| none(&error))?;
        credential_check::check(&credentials).map_err(unusable)?;
        Ok(credentials)
    }

    async fn resolve(&self, sts: &StsEndpoint, clock: &Arc<dyn Clock>) -> Result<Credentials, CredentialsError> {
        match self {
            Self::Given(provider) => provider.provide_credentials().await,
            Self::Chain => {
                let region = Region::new(sts.region.clone());
                let provider_config = ProviderConfig::empty()
                    .with_region(Some(region.clone()))
                    .with_use_fips(Some(sts.variant.fips))
                    .with_use_dual_stack(Some(sts.variant.dual_stack))
                    .with_http_client(sts.http.clone())
                    .with_sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
                    .with_time_source(SdkTime(Arc::clone(clock)));
                let chain = DefaultCredentialsChain::builder().region(region).configure(provider_config);
                chain.build().await.provide_credentials().await
            }
        }
    }
}

fn unusable(why: &str) -> Blocker {
    let message =
        format!("the base identity's credentials can't be used: {why}; correct them where the sidecar gets them");
    Blocker { reason: Reason::NoBaseIdentity, message }
}

fn none(error: &CredentialsError) -> Blocker {
    let message = format!(
        "the sidecar has no AWS identity of its own to assume the role with ({}); give it one through IRSA, EKS Pod \
         Identity or a credentials Secret, or, outside a cluster, through AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        causes(error)
    );
    Blocker { reason: Reason::NoBaseIdentity, message }
}
