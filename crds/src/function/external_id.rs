//! The external ID: the reference to its Secret, and what to do if STS does not enforce it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{SecretKey, SecretName};

/// Reference to the Secret and the key that hold the external ID.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
pub struct ExternalIdSecretRef {
    /// Name of the Secret, in the function's own namespace.
    pub name: SecretName,
    /// Key within the Secret. One newline at the end of its value is ignored.
    #[serde(default = "external_id_key")]
    pub key: SecretKey,
}

fn external_id_key() -> SecretKey {
    "externalId".parse().expect("a constant, parsed by this file's tests")
}

/// What to do if STS grants the role without the external ID.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum ExternalIdEnforcement {
    /// No event is stored until STS is known to refuse the role without the external ID.
    #[default]
    Require,
    /// Events are stored, and the condition ExternalIdEnforced is False.
    Warn,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_external_ids_key_has_a_default() {
        let reference: ExternalIdSecretRef = serde_json::from_str(r#"{"name": "orders-lake"}"#).unwrap();
        assert_eq!(reference.key.as_str(), "externalId");
    }
}
