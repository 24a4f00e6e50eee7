//! The CRD's verdict, offline: what `kubectl apply` would say of a document, without a cluster.
//!
//! The API server does four things to a document, and so does [`judge`]: it refuses fields that
//! the schema does not know, fills in defaults, holds the result against the schema, and runs the
//! CEL rules where the schema holds. All of it reads the schema of
//! [`custom_resource_definition`](crate::custom_resource_definition): no rule is written twice.
//!
//! The schema is walked here rather than handed to a JSON Schema library: nulls, defaults,
//! int-or-string, unknown fields and list types are Kubernetes' own, and the walk can say of every
//! problem where it is and in the API server's words.

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
    /// The field, as in `spec.s3.bucket`; empty when it is the document as a whole.
    pub path: String,
    /// What is wrong with it, and what a right value looks like.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// Judges a document as the API server would, and reads the function that it would store.
///
/// A YAML value, not a JSON one: its fields keep the document's order, and so do the problems.
///
/// # Errors
/// Every problem of the document, in its order, each once.
pub fn judge(document: &Value) -> Result<DestinationFunction, Vec<Problem>> {
    let schema = root::schema();
    let mut stored = document.clone();
    defaults::complete(schema, &mut stored);
    let mut walk = walk::Walk::over(schema, &stored);
    walk.forget_status();
    metadata::names(&stored, &mut walk);
    // The status is a subresource: the API server drops what `apply` says of it.
    if let Value::Mapping(fields) = &mut stored {
        fields.remove("status");
    }
    let object = rules::without_nulls(&stored);
    rules::run(&object, &mut walk);
    let problems = walk.into_problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    // Schema and types are made from the same source; should they ever differ, the operator could
    // not read what the API server took, and that is a problem too.
    serde_json::from_value(object).map_err(|error| vec![Problem { path: String::new(), message: error.to_string() }])
}
