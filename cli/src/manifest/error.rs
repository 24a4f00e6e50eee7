//! Errors of parsing a manifest. None of them shows a Secret's value.

use serde_yaml::Value;

use crate::yaml::YamlError;

/// Why a manifest can't be used, as text that follows the file's name.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file can't be read.
    #[error("can't be read: {0}")]
    Unreadable(std::io::Error),
    /// kubectl can't read the text.
    #[error("is not YAML that kubectl accepts: {0}")]
    Yaml(#[from] YamlError),
    /// A document that is neither a function, nor a Secret, nor an object of another API.
    #[error("document {index} {description}; only DestinationFunctions and Secrets are supported")]
    UnsupportedKind {
        /// Its position in the file, from 1.
        index: usize,
        /// Its kind and name, or that it has no kind.
        description: String,
    },
    /// A Secret without a name, by its position in the file, from 1.
    #[error("document {0} is a Secret without metadata.name")]
    UnnamedSecret(usize),
    /// A Secret with an invalid field, where the subcommand needs the file's Secrets.
    #[error(transparent)]
    InvalidSecret(#[from] InvalidSecret),
    /// Two documents of the same kind, namespace and name.
    #[error("{kind} {name} of namespace {namespace} appears twice")]
    Duplicate {
        /// The kind of both.
        kind: &'static str,
        /// The name of both.
        name: String,
        /// The namespace of both.
        namespace: String,
    },
    /// The file contains no function.
    #[error("contains no DestinationFunction")]
    NoFunction,
    /// The file contains several functions, with these names, where the subcommand expects one.
    #[error("contains several DestinationFunctions ({}) where one is expected; put each into a file of its own", .0.join(", "))]
    SeveralFunctions(Vec<String>),
}

/// A Secret that the API server would refuse.
#[derive(Clone, Debug, thiserror::Error)]
#[error("Secret {name}: {problem}")]
pub struct InvalidSecret {
    /// `metadata.name`; its position in the file if that is no text.
    pub name: String,
    /// `metadata.namespace`; `default` if that is missing.
    pub namespace: String,
    /// What is invalid, without the Secret's values.
    pub problem: String,
}

impl ManifestError {
    pub(super) fn unsupported_kind(index: usize, kind: Option<&str>, document: &Value) -> Self {
        let description = match (kind, document["metadata"]["name"].as_str()) {
            (None, _) if document.get("accounts").is_some() => {
                "has no kind, but accounts, like a file for tributary run --accounts".to_owned()
            }
            (None, _) => "has no kind".to_owned(),
            (Some(kind), name) => {
                let named = name.map(|name| format!(", \"{name}\"")).unwrap_or_default();
                let version = document["apiVersion"].as_str().unwrap_or_default();
                let hint =
                    if version.starts_with("tributary.dev/") { ", and tributary.dev has no such kind" } else { "" };
                format!("is a {kind}{named}{hint}")
            }
        };
        Self::UnsupportedKind { index, description }
    }
}
