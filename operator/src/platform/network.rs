//! The platform's settings for NetworkPolicies: which peers may reach sidecars, and which peers sidecars may reach.

use k8s_openapi::api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyPeer};
use serde::Deserialize;

/// Whether each function gets a NetworkPolicy, and which traffic it allows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkPolicies {
    /// Whether functions get a NetworkPolicy.
    #[serde(default)]
    pub enabled: bool,
    /// Peers that may send events. If empty, everyone may.
    #[serde(default)]
    pub events_from: Vec<NetworkPolicyPeer>,
    /// Peers that may reach the admin port, for status and metrics: the operator, the scraper. If empty, no one may.
    #[serde(default)]
    pub platform_from: Vec<NetworkPolicyPeer>,
    /// Traffic that sidecars may send in addition to DNS, AWS and their function's endpoints.
    #[serde(default)]
    pub egress: Vec<NetworkPolicyEgressRule>,
}
