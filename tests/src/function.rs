//! Builds the configuration file that a sidecar starts with, as the operator writes it.

use serde_json::{Value, json};
use tributary_crds::sidecar_config::SidecarConfig;

use crate::world::{BUCKET, REGION, ROLE};

/// A builder for a sidecar's configuration.
#[derive(Clone, Debug)]
pub struct Function(Value);

impl Default for Function {
    fn default() -> Self {
        Self::new()
    }
}

impl Function {
    /// A function that works with [`crate::World::new`].
    pub fn new() -> Self {
        Self(json!({
            "namespace": "shop",
            "name": "orders",
            "generation": 3,
            "configHash": "5f2a",
            "spec": {
                "roleArn": ROLE,
                "externalIdSecretRef": {"name": "orders-lake"},
                "s3": {"bucket": BUCKET, "region": REGION},
            },
        }))
    }

    /// Sets a field of the spec, by its path: `s3.prefix`.
    ///
    /// # Panics
    /// If the path leads through a value that is not an object.
    #[must_use]
    pub fn with(mut self, path: &str, value: Value) -> Self {
        let place = path.split('.').fold(&mut self.0["spec"], |place, name| &mut place[name]);
        *place = value;
        self
    }

    /// Requires a prefix of external IDs, as the platform's grants do.
    #[must_use]
    pub fn external_id_prefix(mut self, prefix: &str) -> Self {
        self.0["externalIdPrefix"] = json!(prefix);
        self
    }

    /// Sets a prefix of external IDs that is only audited: an external ID without it is reported and still used.
    #[must_use]
    pub fn audited_external_id_prefix(mut self, prefix: &str) -> Self {
        self.0["externalIdPrefixIsAudited"] = json!(true);
        self.external_id_prefix(prefix)
    }

    /// Adds the platform's certificate authorities, as PEM.
    #[must_use]
    pub fn with_ca_bundle(mut self, pem: &str) -> Self {
        self.0["caBundle"] = json!(pem);
        self
    }

    /// The text of the file. It is JSON, and so also YAML.
    pub fn text(&self) -> String {
        format!("{:#}\n", self.0)
    }

    /// The configuration as the sidecar parses it.
    ///
    /// # Panics
    /// If it is invalid.
    pub fn config(&self) -> SidecarConfig {
        serde_yaml::from_str(&self.text()).expect("a function")
    }
}
