//! Kubernetes' names and quantities.

use super::shape::Rule::Must;
use super::shape::{Shape, text_value};

text_value!(
    /// The name of a Secret in the function's own namespace.
    SecretName,
    Shape {
        field: "name",
        example: "orders-lake",
        length: (1, 253),
        rules: &[Must(
            "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
            "is not the name of a Secret",
        )],
    }
);

text_value!(
    /// A key within a Secret.
    SecretKey,
    Shape {
        field: "key",
        example: "externalId",
        length: (1, 253),
        rules: &[Must("^[A-Za-z0-9_-][A-Za-z0-9._-]*$", "is not a key of a Secret")],
    }
);

/// An amount of CPU or memory, as Kubernetes writes it: `500m`, `1`, `64Mi`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(untagged)]
pub enum Quantity {
    /// A whole number: cores, or bytes.
    Whole(i64),
    /// A number with a suffix.
    Text(String),
}

impl schemars::JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An amount of CPU or memory, as Kubernetes writes it: 500m, 1, 64Mi.",
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 32,
            "pattern": "^[0-9]+([.][0-9]+)?(m|k|M|G|Ki|Mi|Gi)?$",
            "x-kubernetes-int-or-string": true,
        })
    }
}
