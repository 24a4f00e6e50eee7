//! The STS endpoint that issues sessions.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::s3::NOT_AN_AWS_REGION;
use crate::values::{Endpoint, Region, region_pattern};

/// The STS endpoint that issues sessions.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.region) || has(self.endpoint) || has(self.useFips) || has(self.useDualStack)")
        .message("sts sets nothing: write region: us-west-2, or leave sts out"),
    validation = Rule::new("!has(self.endpoint) || !((has(self.useFips) && self.useFips) || (has(self.useDualStack) && self.useDualStack))")
        .message("sts.useFips and sts.useDualStack choose among AWS's own endpoints: leave endpoint out, or leave them out"),
    validation = Rule::new(format!("has(self.endpoint) || !has(self.region) || self.region.matches('{}')", region_pattern()))
        .message(Message::Expression(NOT_AN_AWS_REGION.into()))
        .field_path(".region"),
)]
pub struct Sts {
    /// Region whose STS issues sessions, in the partition of the role; by default the platform's or, if the platform sets
    /// none in that partition, s3.region. With endpoint, the store's name for its region; by default s3.region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Scheme, host and port of an STS-compatible service, which the platform must allow; by default AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Whether to use AWS's FIPS endpoint of the region; by default as the platform sets it. Not with endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_fips: Option<bool>,
    /// Whether to use AWS's endpoint that also has IPv6 addresses; by default as the platform sets it. Not with endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_dual_stack: Option<bool>,
}

impl Sts {
    /// The endpoint of another STS than AWS's; `None` for AWS, also at an endpoint such as a VPC endpoint's.
    pub fn store(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref().filter(|endpoint| !endpoint.is_aws())
    }
}
