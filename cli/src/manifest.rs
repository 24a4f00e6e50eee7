//! The file that the subcommands read: functions and their Secrets, as YAML documents.

mod error;
mod secret;

use std::path::Path;

use serde_yaml::Value;

pub use error::ManifestError;
pub use secret::Secret;

/// The path that stands for standard input.
pub const STDIN: &str = "-";

/// The text of the file at `path`, or of standard input.
///
/// # Errors
/// When it can't be read.
pub fn read(path: &Path) -> std::io::Result<String> {
    if path == Path::new(STDIN) { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) }
}

/// What a file holds. A Kubernetes object of another kind is skipped, and named; any other document is an
/// error: nothing is passed over in silence.
#[derive(Debug)]
pub struct Manifest {
    /// The functions, in the file's order.
    pub functions: Vec<FunctionDocument>,
    secrets: Vec<Secret>,
    /// Objects of other kinds, as `ConfigMap settings`.
    pub skipped: Vec<String>,
}

/// A function as it stands in the file, right or wrong.
#[derive(Debug)]
pub struct FunctionDocument {
    /// Its name, or its place in the file if it has none.
    pub name: String,
    /// Its namespace; `default` if it names none.
    pub namespace: String,
    /// The document itself.
    pub document: Value,
}

impl Manifest {
    /// Reads the file at `path`, or standard input if that is `-`.
    ///
    /// # Errors
    /// When it can't be read, is not YAML, or holds a document of another kind.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        Self::parse(&read(path).map_err(ManifestError::Unreadable)?)
    }

    /// Reads the documents of a text.
    ///
    /// # Errors
    /// When it is not YAML, or holds a document of another kind.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut manifest = Self { functions: Vec::new(), secrets: Vec::new(), skipped: Vec::new() };
        for (index, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
            let mut document: Value =
                serde::Deserialize::deserialize(document).map_err(|error| ManifestError::yaml(&error))?;
            document.apply_merge().map_err(|error| ManifestError::yaml(&error))?;
            match document["kind"].as_str() {
                // An empty document, as before a leading `---`.
                None if document.is_null() => {}
                Some("DestinationFunction") => manifest.add_function(index + 1, document)?,
                Some("Secret") => manifest.add_secret(index + 1, &document)?,
                Some(kind) if is_of_another_api(&document) => {
                    let name = name_of(&document).unwrap_or_else(|| "without a name".to_owned());
                    manifest.skipped.push(format!("{kind} {name}"));
                }
                kind => return Err(ManifestError::kind(index + 1, kind, &document)),
            }
        }
        if manifest.functions.is_empty() {
            return Err(ManifestError::NoFunction);
        }
        Ok(manifest)
    }

    /// The one function that the file is expected to hold.
    ///
    /// # Errors
    /// When there are several.
    pub fn function(&self) -> Result<&FunctionDocument, ManifestError> {
        match self.functions.as_slice() {
            [only] => Ok(only),
            several => {
                Err(ManifestError::SeveralFunctions(several.iter().map(|function| function.name.clone()).collect()))
            }
        }
    }

    /// The Secret of that name, if the file holds it.
    pub fn secret(&self, namespace: &str, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.name == name && secret.namespace == namespace)
    }

    fn add_function(&mut self, index: usize, document: Value) -> Result<(), ManifestError> {
        let name = name_of(&document).unwrap_or_else(|| format!("document {index}"));
        let namespace = namespace_of(&document);
        if self.functions.iter().any(|other| other.name == name && other.namespace == namespace) {
            return Err(ManifestError::Twice { kind: "DestinationFunction", name, namespace });
        }
        self.functions.push(FunctionDocument { name, namespace, document });
        Ok(())
    }

    fn add_secret(&mut self, index: usize, document: &Value) -> Result<(), ManifestError> {
        let name = name_of(document).ok_or(ManifestError::Nameless(index))?;
        let namespace = namespace_of(document);
        if self.secret(&namespace, &name).is_some() {
            return Err(ManifestError::Twice { kind: "Secret", name, namespace });
        }
        self.secrets.push(Secret::read(name, namespace, document)?);
        Ok(())
    }
}

/// Whether it is an object of Kubernetes' or somebody else's. Of our own API there is one kind: another one
/// is misspelt.
fn is_of_another_api(document: &Value) -> bool {
    document["apiVersion"].as_str().is_some_and(|version| !version.starts_with("tributary.dev/"))
}

fn name_of(document: &Value) -> Option<String> {
    document["metadata"]["name"].as_str().map(str::to_owned)
}

fn namespace_of(document: &Value) -> String {
    document["metadata"]["namespace"].as_str().unwrap_or("default").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTION: &str = "kind: DestinationFunction\nmetadata: {name: orders}\n";

    fn refused(text: &str) -> String {
        Manifest::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn functions_and_secrets_are_told_apart() {
        let text = format!(
            "---\n{FUNCTION}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: lake}}\nstringData: {{id: abc}}\n---\n"
        );
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!(manifest.function().unwrap().name, "orders");
        assert_eq!(manifest.secret("default", "lake").unwrap().text("id"), Some(Ok("abc")));
        assert!(manifest.secret("other", "lake").is_none());
    }

    #[test]
    fn nothing_is_passed_over() {
        let other = format!("{FUNCTION}---\nkind: ConfigMap\nmetadata: {{name: settings}}\n");
        assert!(refused(&other).contains("document 2 is a ConfigMap, \"settings\""), "{}", refused(&other));
        assert!(refused("just text").contains("document 1 has no kind"));
        assert!(refused("").contains("no DestinationFunction"));
        assert!(refused(&format!("{FUNCTION}---\n{FUNCTION}")).contains("twice"));
        let two = format!("{FUNCTION}---\nkind: DestinationFunction\nmetadata: {{name: payments}}\n");
        let several = Manifest::parse(&two).unwrap().function().unwrap_err().to_string();
        assert!(several.contains("orders, payments"), "{several}");
    }

    #[test]
    fn objects_of_other_apis_are_skipped_and_named() {
        let others = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n---\napiVersion: apps/v1\nkind: Deployment\n";
        let manifest = Manifest::parse(&format!("{FUNCTION}{others}")).unwrap();
        assert_eq!(manifest.function().unwrap().name, "orders");
        assert_eq!(manifest.skipped, ["ConfigMap settings", "Deployment without a name"]);
        let misspelt = format!("{FUNCTION}---\napiVersion: tributary.dev/v1alpha1\nkind: DestinatonFunction\n");
        assert!(refused(&misspelt).contains("document 2 is a DestinatonFunction"), "{}", refused(&misspelt));
    }

    #[test]
    fn yaml_errors_say_where() {
        let bad = format!("{FUNCTION}---\nkind: Secret\n  metadata: x\n");
        assert!(refused(&bad).contains("line 5"), "{}", refused(&bad));
        assert!(refused("kind: a\nkind: b\n").contains("duplicate"), "{}", refused("kind: a\nkind: b\n"));
        assert!(!refused("kind: Secret\nstringData: {id: !!int hunter2}\n").contains("hunter2"));
    }
}
