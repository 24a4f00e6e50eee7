//! Who may talk to sidecars, and to whom they may talk.

use k8s_openapi::api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyPeer};
use serde::Deserialize;

/// Whether and how each function has a NetworkPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkPolicies {
    /// Whether there are any.
    #[serde(default)]
    pub enabled: bool,
    /// Who may send events; empty, anybody.
    #[serde(default)]
    pub events_from: Vec<NetworkPolicyPeer>,
    /// Who may ask for status and metrics: the operator, the scraper.
    #[serde(default)]
    pub platform_from: Vec<NetworkPolicyPeer>,
    /// What sidecars may reach in addition to names, AWS and their function's endpoints.
    #[serde(default)]
    pub egress: Vec<NetworkPolicyEgressRule>,
}
