//! The function that a sidecar is started with, as the operator writes it.

use serde_json::{Value, json};
use tributary_crds::sidecar_config::SidecarConfig;

use crate::world::{BUCKET, REGION, ROLE};

/// A function in the making.
#[derive(Clone, Debug)]
pub struct Function(Value);

impl Default for Function {
    fn default() -> Self {
        Self::new()
    }
}

impl Function {
    /// One that goes with [`crate::World::new`].
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
    /// If the path leads through something that is no object.
    #[must_use]
    pub fn with(mut self, path: &str, value: Value) -> Self {
        let place = path.split('.').fold(&mut self.0["spec"], |place, name| &mut place[name]);
        *place = value;
        self
    }

    /// Has the platform demand how external IDs begin.
    #[must_use]
    pub fn external_id_prefix(mut self, prefix: &str) -> Self {
        self.0["externalIdPrefix"] = json!(prefix);
        self
    }

    /// Has the platform only tell of external IDs that begin otherwise.
    #[must_use]
    pub fn audited_external_id_prefix(mut self, prefix: &str) -> Self {
        self.0["externalIdPrefixIsAudited"] = json!(true);
        self.external_id_prefix(prefix)
    }

    /// The file's text: YAML, since JSON is.
    pub fn text(&self) -> String {
        format!("{:#}\n", self.0)
    }

    /// As the sidecar reads it.
    ///
    /// # Panics
    /// If it is none.
    pub fn config(&self) -> SidecarConfig {
        serde_yaml::from_str(&self.text()).expect("a function")
    }
}
