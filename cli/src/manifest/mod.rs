//! Parses the file that the subcommands read: DestinationFunctions and their Secrets, as kubectl reads them.

mod error;
mod secret;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use serde_yaml::Value;
use tributary_crds::DestinationFunction;
use tributary_crds::check::{Problem, judge};

use crate::yaml::{self, Object, Unquoted};

pub use error::{InvalidSecret, ManifestError};
pub use secret::Secret;

/// The path that means standard input.
pub const STDIN: &str = "-";

/// Reads the text of the file at `path`, or of standard input if the path is [`STDIN`], as [`yaml::decode`] does.
///
/// # Errors
/// If it can't be read.
pub fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if path == Path::new(STDIN) {
        std::io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(path)?;
    }
    Ok(yaml::decode(&bytes))
}

/// The documents of a file. Kubernetes objects of other kinds are skipped and listed; any other document is an
/// error, so that nothing is ignored silently.
#[derive(Debug)]
pub struct Manifest {
    /// The functions, in the order of the file.
    pub functions: Vec<FunctionDocument>,
    secrets: Vec<Secret>,
    /// The Secrets that the API server would refuse.
    pub invalid_secrets: Vec<InvalidSecret>,
    /// Objects of other kinds that were skipped, as `ConfigMap settings`.
    pub skipped: Vec<String>,
}

/// A function as written in the file, not validated yet.
#[derive(Debug)]
pub struct FunctionDocument {
    /// `metadata.name`; `document N`, its position in the file, if that is missing.
    pub name: String,
    /// `metadata.namespace`; `default` if that is missing.
    pub namespace: String,
    object: Object,
}

impl FunctionDocument {
    /// Validates the function as the API server would, and returns the function that it would store.
    ///
    /// # Errors
    /// All problems, one line each. If quotes are missing, the line shows where.
    pub fn judge(&self) -> Result<DestinationFunction, Vec<String>> {
        let hint = |problem: &Problem| {
            let unquoted = self.object.unquoted.get(&problem.path).filter(|_| problem.wants_string);
            let similar = || problem.similar.as_ref().map(|name| format!("did you mean {name}?"));
            unquoted.map(Unquoted::correction).or_else(similar)
        };
        let line = |problem: &Problem| match hint(problem) {
            Some(hint) => format!("{problem}; {hint}"),
            None => problem.to_string(),
        };
        judge(&self.object.value).map_err(|problems| problems.iter().map(line).collect())
    }

    /// What kubectl accepts in the document although it is probably a mistake, one line each.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.object.notes.iter().map(String::as_str)
    }
}

impl Manifest {
    /// Reads and parses the file at `path`, or standard input if that is `-`.
    ///
    /// # Errors
    /// If it can't be read, and as for [`Manifest::parse`].
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        Self::parse(&read(path).map_err(ManifestError::Unreadable)?)
    }

    /// Parses the documents of a text.
    ///
    /// # Errors
    /// If kubectl can't read it, or it contains no function, a duplicate, or a document of an unknown kind.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut manifest =
            Self { functions: Vec::new(), secrets: Vec::new(), invalid_secrets: Vec::new(), skipped: Vec::new() };
        for (index, object) in yaml::documents(text)? {
            let document = &object.value;
            match document["kind"].as_str() {
                Some("DestinationFunction") => manifest.add_function(index, object)?,
                Some("Secret") => manifest.add_secret(index, &object)?,
                Some(kind) if is_of_another_api(document) => {
                    let name = name_of(document).unwrap_or_else(|| "without a name".to_owned());
                    manifest.skipped.push(format!("{kind} {name}"));
                }
                kind => return Err(ManifestError::unsupported_kind(index, kind, document)),
            }
        }
        if manifest.functions.is_empty() {
            return Err(ManifestError::NoFunction);
        }
        Ok(manifest)
    }

    /// The only function, for subcommands that expect exactly one and use its Secrets.
    ///
    /// # Errors
    /// If the file contains several functions or an invalid Secret.
    pub fn function(&self) -> Result<&FunctionDocument, ManifestError> {
        if let Some(invalid) = self.invalid_secrets.first() {
            return Err(invalid.clone().into());
        }
        match self.functions.as_slice() {
            [only] => Ok(only),
            several => {
                Err(ManifestError::SeveralFunctions(several.iter().map(|function| function.name.clone()).collect()))
            }
        }
    }

    /// The Secret of that namespace and name, if the file contains it and it is valid.
    pub fn secret(&self, namespace: &str, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.name == name && secret.namespace == namespace)
    }

    /// Whether the file contains the Secret of that namespace and name, valid or not.
    pub fn has_secret(&self, namespace: &str, name: &str) -> bool {
        let invalid = |secret: &InvalidSecret| secret.name == name && secret.namespace == namespace;
        self.secret(namespace, name).is_some() || self.invalid_secrets.iter().any(invalid)
    }

    /// The names of the valid Secrets of that namespace, in the order of the file.
    pub fn secrets_of(&self, namespace: &str) -> impl Iterator<Item = &str> {
        let secrets = self.secrets.iter().filter(move |secret| secret.namespace == namespace);
        secrets.map(|secret| secret.name.as_str())
    }

    fn add_function(&mut self, index: usize, mut object: Object) -> Result<(), ManifestError> {
        let name = name_of(&object.value).unwrap_or_else(|| format!("document {index}"));
        let namespace = namespace_of(&object.value);
        if self.functions.iter().any(|other| other.name == name && other.namespace == namespace) {
            return Err(ManifestError::Duplicate { kind: "DestinationFunction", name, namespace });
        }
        if let Some(spec) = object.value.get("spec") {
            add_notes_of_nulls("spec", spec, &mut object.notes);
        }
        self.functions.push(FunctionDocument { name, namespace, object });
        Ok(())
    }

    fn add_secret(&mut self, index: usize, object: &Object) -> Result<(), ManifestError> {
        // A name that is a number is reported with the Secret's other fields.
        let number = || object.unquoted.contains_key("metadata.name").then(|| format!("in document {index}"));
        let name = name_of(&object.value).or_else(number).ok_or(ManifestError::UnnamedSecret(index))?;
        let namespace = namespace_of(&object.value);
        if self.has_secret(&namespace, &name) {
            return Err(ManifestError::Duplicate { kind: "Secret", name, namespace });
        }
        match Secret::read(name, namespace, object) {
            Ok(secret) => self.secrets.push(secret),
            Err(invalid) => self.invalid_secrets.push(invalid),
        }
        Ok(())
    }
}

/// Adds a note on each null below `path`: the API server removes it, so a feature that it should turn on stays off.
fn add_notes_of_nulls(path: &str, value: &Value, notes: &mut BTreeSet<String>) {
    match value {
        Value::Null => {
            notes.insert(format!(
                "{path} is null, which is as if it were absent; to turn on an object with its defaults, write {{}}"
            ));
        }
        Value::Mapping(members) => {
            for (name, value) in members {
                add_notes_of_nulls(&format!("{path}.{}", name.as_str().unwrap_or("?")), value, notes);
            }
        }
        _ => {}
    }
}

/// Whether the object belongs to another API than Tributary's. Tributary's API has only one kind, so any other kind in
/// it is a misspelling.
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

    fn parse_error(text: &str) -> String {
        Manifest::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn nulls_are_noted() {
        let text = format!("{FUNCTION}spec: {{delivery: {{mode: Batch, deadLetter: }}, events: ~}}\n");
        let manifest = Manifest::parse(&text).unwrap();
        let notes: Vec<_> = manifest.functions[0].notes().collect();
        assert_eq!(notes.len(), 2, "{notes:?}");
        let note = "spec.delivery.deadLetter is null, which is as if it were absent; to turn on an object with its defaults, write {}";
        assert!(notes.contains(&note), "{notes:?}");
        let without = Manifest::parse(FUNCTION).unwrap();
        assert_eq!(without.functions[0].notes().count(), 0);
    }

    #[test]
    fn functions_and_secrets_are_parsed() {
        let text = format!(
            "---\n{FUNCTION}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: lake}}\nstringData: {{id: abc}}\n---\n"
        );
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!(manifest.function().unwrap().name, "orders");
        assert_eq!(manifest.secret("default", "lake").unwrap().text("id"), Some(Ok("abc")));
        assert!(manifest.secret("other", "lake").is_none());
    }

    #[test]
    fn unsupported_and_duplicate_documents_are_refused() {
        let other = format!("{FUNCTION}---\nkind: ConfigMap\nmetadata: {{name: settings}}\n");
        assert!(parse_error(&other).contains("document 2 is a ConfigMap, \"settings\""), "{}", parse_error(&other));
        assert!(parse_error("just text").contains("document 1 has no kind"));
        assert!(parse_error("accounts: {}").contains("tributary run --accounts"));
        assert!(parse_error("").contains("no DestinationFunction"));
        assert!(parse_error(&format!("{FUNCTION}---\n{FUNCTION}")).contains("twice"));
        let two = format!("{FUNCTION}---\nkind: DestinationFunction\nmetadata: {{name: payments}}\n");
        let several = Manifest::parse(&two).unwrap().function().unwrap_err().to_string();
        assert!(several.contains("orders, payments"), "{several}");
    }

    #[test]
    fn objects_of_other_apis_are_skipped_and_listed() {
        let others = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n---\napiVersion: apps/v1\nkind: Deployment\n";
        let manifest = Manifest::parse(&format!("{FUNCTION}{others}")).unwrap();
        assert_eq!(manifest.function().unwrap().name, "orders");
        assert_eq!(manifest.skipped, ["ConfigMap settings", "Deployment without a name"]);
        let misspelled = format!("{FUNCTION}---\napiVersion: tributary.dev/v1alpha1\nkind: DestinatonFunction\n");
        assert!(
            parse_error(&misspelled).contains("document 2 is a DestinatonFunction"),
            "{}",
            parse_error(&misspelled)
        );
    }

    #[test]
    fn yaml_errors_contain_the_line_and_no_value() {
        let bad = format!("{FUNCTION}---\nkind: Secret\n  metadata: x\n");
        assert!(parse_error(&bad).contains("document 2, line 5 column 11"), "{}", parse_error(&bad));
        for value in
            ["!!int hunter2", "'hunter2", "hunter2: hunter2", "&a [hunter2, *a]", "[hunter2", "\\thunter2\u{1}"]
        {
            let error = parse_error(&format!("kind: Secret\nstringData:\n  id: {value}\n"));
            assert!(error.contains("line ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_functions_of_a_list_are_functions_of_the_file() {
        let list = "kind: DestinationFunctionList\napiVersion: tributary.dev/v1alpha1\nitems:\n- metadata: {name: a, name: b}\n- metadata: {name: c, namespace: 1}\n";
        let manifest = Manifest::parse(list).unwrap();
        let names: Vec<_> = manifest.functions.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
        assert_eq!(manifest.functions.iter().map(|function| function.notes().count()).collect::<Vec<_>>(), [1, 0]);
        let problems = manifest.functions[1].judge().unwrap_err();
        let namespace = "metadata.namespace: must be of type string: \"integer\"; line 5 column 34: kubectl reads 1 as";
        assert!(problems.iter().any(|problem| problem.starts_with(namespace)), "{problems:?}");
    }
}
