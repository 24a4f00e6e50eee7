//! Why a manifest can't be used. No error shows a Secret's value.

use serde_yaml::Value;

/// Why a manifest can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file can't be read.
    #[error("can't be read: {0}")]
    Unreadable(std::io::Error),
    /// It is not YAML.
    #[error("is not YAML: {0}")]
    Yaml(String),
    /// A document that has no place in it.
    #[error("document {index} {says}; only DestinationFunctions and Secrets are understood")]
    Kind {
        /// Its place, from 1.
        index: usize,
        /// What it is.
        says: String,
    },
    /// A Secret without a name.
    #[error("document {0} is a Secret without metadata.name")]
    Nameless(usize),
    /// A Secret that is not one.
    #[error("Secret {name}: {says}")]
    Secret {
        /// Its name.
        name: String,
        /// What is wrong with it.
        says: String,
    },
    /// Two documents of one name.
    #[error("{kind} {name} of namespace {namespace} is in it twice")]
    Twice {
        /// Their kind.
        kind: &'static str,
        /// Their name.
        name: String,
        /// Their namespace.
        namespace: String,
    },
    /// No function.
    #[error("holds no DestinationFunction")]
    NoFunction,
    /// More functions than one.
    #[error("holds several DestinationFunctions ({}) where one is expected", .0.join(", "))]
    SeveralFunctions(Vec<String>),
}

impl ManifestError {
    /// What the parser says, with line and column; a value that does not fit its tag, which could
    /// be a secret, is left out.
    pub(super) fn yaml(error: &serde_yaml::Error) -> Self {
        let says = error.to_string();
        match (says.starts_with("invalid ") || says.contains(": invalid "), error.location()) {
            (false, _) => Self::Yaml(says),
            (true, Some(at)) => {
                Self::Yaml(format!("a value does not fit its tag at line {} column {}", at.line(), at.column()))
            }
            (true, None) => Self::Yaml("a value does not fit its tag".to_owned()),
        }
    }

    pub(super) fn kind(index: usize, kind: Option<&str>, document: &Value) -> Self {
        let says = match (kind, document["metadata"]["name"].as_str()) {
            (None, _) => "has no kind".to_owned(),
            (Some(kind), None) => format!("is a {kind}"),
            (Some(kind), Some(name)) => format!("is a {kind}, \"{name}\""),
        };
        Self::Kind { index, says }
    }
}
