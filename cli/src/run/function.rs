//! Reads the function and its Secrets from the file, and classifies edits of the file by what they require: nothing,
//! new Secrets, or a roll of the sidecar. An invalid edit never replaces the current function.

use std::path::Path;

use tributary_crds::sidecar_config::{SecretUse, SidecarConfig};
use tributary_crds::values::{ExternalId, SecretName};
use zeroize::Zeroizing;

use super::watched_file::WatchedFile;
use crate::manifest::Manifest;
use crate::secret_check::{self, MissingSecret};

/// A Secret's keys with their values, in bytes.
pub type Entries = Vec<(String, Zeroizing<Vec<u8>>)>;

/// A valid function in the form that its sidecar needs, and its Secrets.
#[derive(Clone, PartialEq)]
pub struct Function {
    /// The configuration that the sidecar is started with.
    pub config: SidecarConfig,
    /// The content of each Secret that the function refers to; empty if the file lacks the Secret.
    pub secrets: Vec<(SecretUse, Entries)>,
    /// What kubectl accepts in the file although it is probably a mistake, one line each.
    pub notes: Vec<String>,
}

impl Function {
    /// The external ID, parsed as the sidecar parses it; `None` if it is missing or invalid.
    pub fn external_id(&self) -> Option<ExternalId> {
        let key = self.config.spec.external_id_secret_ref.key.as_str();
        let (_, entries) = self.secrets.iter().find(|(r#use, _)| *r#use == SecretUse::ExternalId)?;
        let (_, value) = entries.iter().find(|(name, _)| name == key)?;
        ExternalId::from_secret(std::str::from_utf8(value).ok()?).ok()
    }

    /// Parses the function's file. A missing or wrong Secret is an error at the start; an edit that causes one is applied,
    /// and the sidecar's conditions report it.
    fn parse(text: &str, generation: i64, is_start: bool) -> Result<Self, String> {
        let manifest = Manifest::parse(text).map_err(|error| error.to_string())?;
        let document = manifest.function().map_err(|error| error.to_string())?;
        let function = document.judge().map_err(|problems| problems.join("; "))?;
        let problems = secret_check::problems(&manifest, &document.namespace, &function, MissingSecret::Refused);
        if is_start && !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let entries = |name: &SecretName| {
            let secret = manifest.secret(&document.namespace, name.as_str());
            secret.map(|secret| secret.entries().collect()).unwrap_or_default()
        };
        let secrets = function.spec.secrets().into_iter().map(|(r#use, name)| (r#use, entries(name))).collect();
        let config =
            SidecarConfig { generation, ..SidecarConfig::of(&document.namespace, &document.name, &function.spec) };
        Ok(Self { config, secrets, notes: document.notes().map(str::to_owned).collect() })
    }
}

/// How the file changed since it was last read.
pub enum Edit {
    /// The file did not change, or the change has no effect on the function.
    None,
    /// The file is valid again, with the same function and Secrets as before.
    Restored,
    /// Only Secrets changed: write them to their folders, from which the sidecar reads them.
    Secrets,
    /// The function changed: its sidecar must be rolled.
    Function,
    /// The file is invalid, for this reason; the function continues unchanged.
    Invalid(String),
}

/// The function's file, watched for edits.
pub struct WatchedFunction {
    file: WatchedFile,
    current: Function,
    /// Whether the file was invalid when it was last read.
    is_invalid: bool,
}

impl WatchedFunction {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// One line with the reason, if the file can't be read or is invalid.
    pub fn load(path: &Path) -> Result<Self, String> {
        let (file, text) = WatchedFile::open(path)?;
        let current = Function::parse(&text, 1, true).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { file, current, is_invalid: false })
    }

    /// The function as of the last valid version of the file.
    pub fn current(&self) -> &Function {
        &self.current
    }

    /// Reads the file again, classifies the edit, and replaces the current function if the file is valid.
    pub fn read_edit(&mut self) -> Edit {
        let Some(text) = self.file.read_if_edited() else { return Edit::None };
        let generation = self.current.config.generation;
        let mut new = match text.and_then(|text| Function::parse(&text, generation, false)) {
            Ok(new) => new,
            Err(error) => {
                self.is_invalid = true;
                return Edit::Invalid(error);
            }
        };
        let was_invalid = std::mem::take(&mut self.is_invalid);
        let edit = if new.config != self.current.config {
            new.config.generation += 1;
            Edit::Function
        } else if new.secrets != self.current.secrets {
            Edit::Secrets
        } else if was_invalid {
            Edit::Restored
        } else {
            Edit::None
        };
        self.current = new;
        edit
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FUNCTION: &str = "
apiVersion: tributary.dev/v1alpha1
kind: DestinationFunction
metadata: {name: orders}
spec:
  roleArn: arn:aws:iam::123456789012:role/writer
  externalIdSecretRef: {name: lake}
  s3: {bucket: orders-lake, region: us-west-2}
---
apiVersion: v1
kind: Secret
metadata: {name: lake}
stringData: {externalId: first}
";

    #[test]
    fn edits_are_classified() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), FUNCTION).unwrap();
        let mut watched = WatchedFunction::load(file.path()).unwrap();
        assert_eq!(watched.current().external_id().unwrap().reveal(), "first");
        assert!(matches!(watched.read_edit(), Edit::None));

        fs::write(file.path(), FUNCTION.replace("first", "second")).unwrap();
        assert!(matches!(watched.read_edit(), Edit::Secrets));
        assert_eq!(watched.current().external_id().unwrap().reveal(), "second");

        fs::write(file.path(), FUNCTION.replace("orders-lake", "other-lake")).unwrap();
        assert!(matches!(watched.read_edit(), Edit::Function));
        assert_eq!(watched.current().config.generation, 2);

        fs::write(file.path(), FUNCTION.replace("orders-lake", "Other_Lake")).unwrap();
        let Edit::Invalid(error) = watched.read_edit() else { panic!("an invalid bucket is accepted") };
        assert!(error.contains("Other_Lake"), "{error}");
        assert_eq!(watched.current().config.spec.s3.bucket.as_str(), "other-lake");

        fs::write(file.path(), FUNCTION.replace("orders-lake", "other-lake")).unwrap();
        assert!(matches!(watched.read_edit(), Edit::Restored), "the recovery is reported");
        assert!(matches!(watched.read_edit(), Edit::None));

        let scaled = FUNCTION.replace("orders-lake", "other-lake").replace("spec:\n", "spec:\n  replicas: 3\n");
        fs::write(file.path(), scaled).unwrap();
        assert!(matches!(watched.read_edit(), Edit::None), "the sidecar does not read replicas");
    }

    #[test]
    fn an_invalid_file_is_refused_at_the_start() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), FUNCTION.replace("us-west-2", "Oregon")).unwrap();
        let error = WatchedFunction::load(file.path()).err().unwrap();
        assert!(error.contains("spec.s3.region"), "{error}");
        assert!(WatchedFunction::load(Path::new("no-such-file.yaml")).is_err());
    }
}
