//! What the sidecar is started with: the file that the operator writes and the sidecar reads.

use serde::{Deserialize, Serialize};

use crate::function::DestinationFunctionSpec;
use crate::values::SessionName;

/// One function, as its sidecar needs it. It holds no secret.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarConfig {
    /// The function's namespace.
    pub namespace: String,
    /// The function's name.
    pub name: String,
    /// The function's generation.
    #[serde(default)]
    pub generation: i64,
    /// The hash of this configuration, by which the operator tells old pods from new.
    #[serde(default)]
    pub config_hash: String,
    /// What the external IDs of the namespace must begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id_prefix: Option<String>,
    /// The function.
    pub spec: DestinationFunctionSpec,
}

impl SidecarConfig {
    /// What the function's sessions are called: as it says, else after its namespace and name.
    pub fn session_name(&self) -> SessionName {
        self.spec.session_name.clone().unwrap_or_else(|| SessionName::for_function(&self.namespace, &self.name))
    }
}
