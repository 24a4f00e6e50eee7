//! Errors of parsing a manifest. None of them shows a Secret's value.

use serde_yaml::Value;

/// Why a manifest can't be used, as text that follows the file's name.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file can't be read.
    #[error("can't be read: {0}")]
    Unreadable(std::io::Error),
    /// The text is not YAML; with the parser's message.
    #[error("is not YAML: {0}")]
    Yaml(String),
    /// A document that is neither a function, nor a Secret, nor an object of another API.
    #[error("document {index} {says}; only DestinationFunctions and Secrets are understood")]
    Kind {
        /// Its position in the file, from 1.
        index: usize,
        /// Its kind and name, or that it has no kind.
        says: String,
    },
    /// A Secret without a name, by its position in the file, from 1.
    #[error("document {0} is a Secret without metadata.name")]
    Nameless(usize),
    /// A Secret with an invalid field.
    #[error("Secret {name}: {says}")]
    Secret {
        /// The Secret's name.
        name: String,
        /// What is wrong with it, without its values.
        says: String,
    },
    /// Two documents of the same kind, namespace and name.
    #[error("{kind} {name} of namespace {namespace} is in it twice")]
    Twice {
        /// The kind of both.
        kind: &'static str,
        /// The name of both.
        name: String,
        /// The namespace of both.
        namespace: String,
    },
    /// The file holds no function.
    #[error("holds no DestinationFunction")]
    NoFunction,
    /// The file holds several functions where the subcommand takes one; with their names.
    #[error("holds several DestinationFunctions ({}) where one is expected", .0.join(", "))]
    SeveralFunctions(Vec<String>),
}

impl ManifestError {
    /// The parser's message, with line and column. If it would quote a value that does not fit its tag, which
    /// could be a secret, only the position is kept.
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
