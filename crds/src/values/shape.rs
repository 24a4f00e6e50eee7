//! `Shape`, the single source of a text value's parser, schema, CEL rules and error messages.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use parking_lot::Mutex;
use regex_lite::Regex;
use schemars::{Schema, json_schema};
use serde_json::json;

/// The longest part of an invalid value that an error quotes, in characters.
const MAX_QUOTED_CHARS: usize = 120;

/// The rules of one kind of text value.
///
/// Patterns must be valid both for RE2 (the API server's CEL) and for `regex-lite`: ASCII classes only, no look-around,
/// no `[` within a class, and no quote, since they are part of a CEL literal.
pub(crate) struct Shape {
    /// The field's name in the resource.
    pub(crate) field: &'static str,
    /// A valid value, shown with every error.
    pub(crate) example: &'static str,
    /// The minimum and maximum number of characters. The maximum keeps CEL's cost estimate within its budget.
    pub(crate) length: (usize, usize),
    /// Checked in order; the error reports the first violation.
    pub(crate) rules: &'static [Rule],
}

/// One rule of a [`Shape`]: a pattern, and the clause that describes a violation in a message.
pub(crate) enum Rule {
    /// The value must match the pattern.
    Must(&'static str, &'static str),
    /// The value must not match the pattern.
    MustNot(&'static str, &'static str),
}

/// The error for an invalid value: the field, the value, the violated rule, and a valid example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidValue {
    field: &'static str,
    value: String,
    violation: String,
    example: &'static str,
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, value, violation, example } = self;
        write!(f, "{field} \"{value}\" {violation}; write it like {example}")
    }
}

impl std::error::Error for InvalidValue {}

impl Rule {
    fn parts(&self) -> (&'static str, bool, &'static str) {
        match *self {
            Self::Must(pattern, violation) => (pattern, true, violation),
            Self::MustNot(pattern, violation) => (pattern, false, violation),
        }
    }
}

/// A shape's pattern, compiled once per process: the operator parses every function again whenever it changes. (All
/// callers share one `Regex`, because a clone starts with an empty cache.)
fn compiled(pattern: &'static str) -> &'static Regex {
    static COMPILED: LazyLock<Mutex<HashMap<&str, &Regex>>> = LazyLock::new(Mutex::default);
    let compile = || Regex::new(pattern).expect("a shape's patterns are constants, compiled by its tests");
    COMPILED.lock().entry(pattern).or_insert_with(|| Box::leak(Box::new(compile())))
}

impl Shape {
    /// Validates `value` as the CRD's schema and rules do.
    pub(crate) fn check(&self, value: &str) -> Result<(), InvalidValue> {
        let (min, max) = self.length;
        let length = value.chars().count();
        if length < min || length > max {
            return Err(self.refuse(value, format!("has {length} characters, not {min} to {max}")));
        }
        for rule in self.rules {
            let (pattern, wanted, violation) = rule.parts();
            if compiled(pattern).is_match(value) != wanted {
                return Err(self.refuse(value, violation.to_owned()));
            }
        }
        Ok(())
    }

    pub(crate) fn refuse(&self, value: &str, violation: String) -> InvalidValue {
        InvalidValue {
            field: self.field,
            value: value.chars().take(MAX_QUOTED_CHARS).collect(),
            violation,
            example: self.example,
        }
    }

    /// The value's schema, with one CEL rule per rule of the shape.
    pub(crate) fn schema(&self, description: &str) -> Schema {
        let (min, max) = self.length;
        let rules: Vec<_> = self.rules.iter().map(|rule| self.cel(rule)).collect();
        let mut schema = json_schema!({"type": "string", "description": description, "maxLength": max});
        if min > 0 {
            schema.insert("minLength".to_owned(), json!(min));
        }
        if !rules.is_empty() {
            schema.insert("x-kubernetes-validations".to_owned(), json!(rules));
        }
        schema
    }

    fn cel(&self, rule: &Rule) -> serde_json::Value {
        let (pattern, wanted, violation) = rule.parts();
        let Self { field, example, .. } = self;
        let not = if wanted { "" } else { "!" };
        json!({
            // A raw literal, so that CEL leaves backslashes to the pattern.
            "rule": format!("{not}self.matches(r'{pattern}')"),
            "messageExpression": format!("'{field} \"' + self + '\" {violation}; write it like {example}'"),
            "message": format!("{field} {violation}; write it like {example}"),
        })
    }
}

/// Defines a text value: `$name` holds only strings that its [`Shape`] allows. The doc comment is also the description
/// of its schema.
macro_rules! text_value {
    ($(#[doc = $doc:literal])+ $name:ident, $shape:expr) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            const SHAPE: $crate::values::Shape = $shape;

            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::values::InvalidValue;

            fn try_from(value: String) -> Result<Self, Self::Error> {
                Self::SHAPE.check(&value)?;
                Ok(Self(value))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::values::InvalidValue;

            fn from_str(value: &str) -> Result<Self, Self::Err> {
                value.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                Self::SHAPE.schema(concat!($($doc),+).trim())
            }
        }
    };
}

pub(crate) use text_value;
