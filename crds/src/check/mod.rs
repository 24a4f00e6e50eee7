//! Validates a document offline as the API server would on `kubectl apply`, without a cluster.
//!
//! Like the API server, [`judge`] refuses fields that the schema does not have, fills in defaults, validates the result
//! against the schema, and runs the CEL rules where the schema holds. All of this reads the schema of
//! [`custom_resource_definition`](crate::custom_resource_definition): no rule is written twice.
//!
//! No JSON Schema library is used: nulls, defaults, int-or-string, unknown fields and list types are Kubernetes' own,
//! and the walk here can report the place of every problem, in the API server's words.

mod defaults;
mod limits;
mod lists;
mod metadata;
mod root;
mod rules;
mod walk;

use std::fmt;

use serde_yaml::Value;

use crate::DestinationFunction;

/// One reason why the API server would refuse a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, such as `spec.s3.bucket`; empty if it is the document as a whole.
    pub path: String,
    /// The violation and, for most problems, an example of a valid value.
    pub message: String,
    /// Whether the field takes a string and has a value of another type. In YAML, quotes may be missing.
    pub wants_string: bool,
    /// If the field is unknown, the name of a known one beside it that is spelled nearly the same. The API server's words
    /// don't contain it.
    pub similar: Option<String>,
}

impl Problem {
    fn new(path: String, message: String) -> Self {
        Self { path, message, wants_string: false, similar: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// Validates a document as the API server would, and returns the function that it would store.
///
/// The document is a YAML value, not a JSON one, because it keeps the order of fields, which is that of the problems.
///
/// # Errors
/// All problems of the document, each once, in the order of its fields.
pub fn judge(document: &Value) -> Result<DestinationFunction, Vec<Problem>> {
    let schema = root::schema();
    let mut stored = document.clone();
    defaults::complete(schema, &mut stored);
    let mut walk = walk::Walk::over(schema, &stored);
    walk.forget_status();
    metadata::names(&stored, &mut walk);
    // The status is a subresource: the API server ignores it in an `apply`.
    if let Value::Mapping(fields) = &mut stored {
        fields.remove("status");
    }
    let object = rules::without_nulls(&stored);
    rules::run(&object, &mut walk);
    let problems = walk.into_problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    // Schema and types have the same source. Should they ever differ, the operator could not parse a document that the
    // API server has accepted, which is a problem too.
    serde_json::from_value(object).map_err(|error| vec![Problem::new(String::new(), error.to_string())])
}
