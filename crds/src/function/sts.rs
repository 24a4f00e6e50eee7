//! The STS endpoint that issues sessions.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::values::{Endpoint, Region};

/// The STS endpoint that issues sessions.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("has(self.region) || has(self.endpoint)")
        .message("sts sets neither region nor endpoint: write region: us-west-2, or leave sts out"),
)]
pub struct Sts {
    /// Region whose STS endpoint issues sessions; by default the platform's or, if the platform sets none, s3.region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Scheme, host and port of an STS-compatible service, which the platform must allow; by default AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
}
