//! Kubernetes names and quantities: Secrets, their keys, and amounts of CPU or memory.

use super::shape::Rule::Must;
use super::shape::{Shape, text_value};

text_value!(
    /// The name of a Secret in the function's own namespace.
    SecretName,
    Shape {
        field: "name",
        example: "my-secret",
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
        example: "my-key",
        length: (1, 253),
        rules: &[Must("^[A-Za-z0-9_-][A-Za-z0-9._-]*$", "is not a key of a Secret")],
    }
);

/// An amount of CPU or memory in Kubernetes' notation: `500m`, `1`, `64Mi`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(untagged)]
pub enum Quantity {
    /// A whole number: cores, or bytes.
    Whole(i64),
    /// A number as text, with or without a fraction and a suffix.
    Text(String),
}

impl Quantity {
    /// The amount in thousandths of a core or of a byte, rounded up; `None` if it is not a valid quantity.
    pub fn thousandths(&self) -> Option<i128> {
        match self {
            Self::Whole(number) => Some(i128::from(*number) * 1000),
            Self::Text(text) => thousandths(text),
        }
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// Parses the quantities that the schema below allows.
fn thousandths(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let unit: i128 = match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let exact = digits.checked_mul(unit)?;
    Some(exact / scale + i128::from(exact % scale != 0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_compared_as_numbers() {
        let amount = |text: &str| Quantity::Text(text.to_owned()).thousandths();
        for (text, thousandths) in [
            ("500m", 500),
            ("0.5", 500),
            ("1", 1000),
            ("1.5", 1500),
            ("0.0001", 1),
            ("1k", 1_000_000),
            ("64Mi", 67_108_864_000),
            ("0.5Gi", 536_870_912_000),
            ("1G", 1_000_000_000_000),
        ] {
            assert_eq!(amount(text), Some(thousandths), "{text}");
        }
        assert_eq!(Quantity::Whole(2).thousandths(), Some(2000));
        for text in ["", "m", "1.2.3", "1e3", "-1", "1T", "99999999999999999999999999999999999999999Gi"] {
            assert_eq!(amount(text), None, "{text}");
        }
    }
}
