//! Reads the function and its Secrets from the file, and classifies edits of the file.

use std::path::Path;

use tributary_crds::check::judge;
use tributary_crds::sidecar_config::{SecretUse, SidecarConfig};
use tributary_crds::values::{ExternalId, SecretName};
use zeroize::Zeroizing;

use super::watched::WatchedFile;
use crate::manifest::Manifest;

/// A Secret's keys with their values, in bytes.
pub type Entries = Vec<(String, Zeroizing<Vec<u8>>)>;

/// A valid function in the form that its sidecar needs, and its Secrets.
#[derive(Clone, PartialEq)]
pub struct Function {
    /// The configuration that the sidecar is started with.
    pub config: SidecarConfig,
    /// The content of each Secret that the function refers to; empty if the file lacks the Secret.
    pub secrets: Vec<(SecretUse, Entries)>,
}

impl Function {
    /// The external ID, parsed as the sidecar parses it; `None` if it is missing or invalid.
    pub fn external_id(&self) -> Option<ExternalId> {
        let key = self.config.spec.external_id_secret_ref.key.as_str();
        let (_, entries) = self.secrets.iter().find(|(r#use, _)| *r#use == SecretUse::ExternalId)?;
        let (_, value) = entries.iter().find(|(name, _)| name == key)?;
        ExternalId::from_secret(std::str::from_utf8(value).ok()?).ok()
    }

    fn parse(text: &str, generation: i64) -> Result<Self, String> {
        let manifest = Manifest::parse(text).map_err(|error| error.to_string())?;
        let document = manifest.function().map_err(|error| error.to_string())?;
        let function = judge(&document.document).map_err(|problems| {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            problems.join("; ")
        })?;
        let entries = |name: &SecretName| {
            let secret = manifest.secret(&document.namespace, name.as_str());
            secret.map(|secret| secret.entries().collect()).unwrap_or_default()
        };
        let secrets = function.spec.secrets().into_iter().map(|(r#use, name)| (r#use, entries(name))).collect();
        let config =
            SidecarConfig { generation, ..SidecarConfig::of(&document.namespace, &document.name, &function.spec) };
        Ok(Self { config, secrets })
    }
}

/// How the file changed since it was last read.
pub enum Edit {
    /// Not at all, or without an effect on the function.
    None,
    /// The file is valid again, with the same function and Secrets as before.
    Restored,
    /// Only Secrets changed: they are written to their folders, from which the sidecar reads them.
    Secret,
    /// The function changed: its sidecar must be rolled.
    Function,
    /// The file is invalid, and this is why; the function keeps running as it was.
    Wrong(String),
}

/// The function's file, watched for edits.
pub struct Watched {
    file: WatchedFile,
    current: Function,
    /// Whether the file was invalid when it was last read.
    is_wrong: bool,
}

impl Watched {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// One line that says why the file can't be used.
    pub fn load(path: &Path) -> Result<Self, String> {
        let (file, text) = WatchedFile::open(path)?;
        let current = Function::parse(&text, 1).map_err(|says| format!("{}: {says}", path.display()))?;
        Ok(Self { file, current, is_wrong: false })
    }

    /// The function as of the last valid version of the file.
    pub fn current(&self) -> &Function {
        &self.current
    }

    /// Reads the file again and classifies the edit, if there was one.
    pub fn look(&mut self) -> Edit {
        let Some(text) = self.file.changed() else { return Edit::None };
        let generation = self.current.config.generation;
        let mut new = match text.and_then(|text| Function::parse(&text, generation)) {
            Ok(new) => new,
            Err(says) => {
                self.is_wrong = true;
                return Edit::Wrong(says);
            }
        };
        let was_wrong = std::mem::take(&mut self.is_wrong);
        let edit = if new.config != self.current.config {
            new.config.generation += 1;
            Edit::Function
        } else if new.secrets != self.current.secrets {
            Edit::Secret
        } else if was_wrong {
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
    fn edits_are_told_apart() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), FUNCTION).unwrap();
        let mut watched = Watched::load(file.path()).unwrap();
        assert_eq!(watched.current().external_id().unwrap().reveal(), "first");
        assert!(matches!(watched.look(), Edit::None));

        fs::write(file.path(), FUNCTION.replace("first", "second")).unwrap();
        assert!(matches!(watched.look(), Edit::Secret));
        assert_eq!(watched.current().external_id().unwrap().reveal(), "second");

        fs::write(file.path(), FUNCTION.replace("orders-lake", "other-lake")).unwrap();
        assert!(matches!(watched.look(), Edit::Function));
        assert_eq!(watched.current().config.generation, 2);

        fs::write(file.path(), FUNCTION.replace("orders-lake", "Other_Lake")).unwrap();
        let Edit::Wrong(says) = watched.look() else { panic!("a wrong bucket is taken") };
        assert!(says.contains("Other_Lake"), "{says}");
        assert_eq!(watched.current().config.spec.s3.bucket.as_str(), "other-lake");

        fs::write(file.path(), FUNCTION.replace("orders-lake", "other-lake")).unwrap();
        assert!(matches!(watched.look(), Edit::Restored), "its end is told, too");
        assert!(matches!(watched.look(), Edit::None));

        let scaled = FUNCTION.replace("orders-lake", "other-lake").replace("spec:\n", "spec:\n  replicas: 3\n");
        fs::write(file.path(), scaled).unwrap();
        assert!(matches!(watched.look(), Edit::None), "the sidecar does not read replicas");
    }

    #[test]
    fn a_file_that_is_wrong_at_the_start_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), FUNCTION.replace("us-west-2", "Oregon")).unwrap();
        let says = Watched::load(file.path()).err().unwrap();
        assert!(says.contains("spec.s3.region"), "{says}");
        assert!(Watched::load(Path::new("no-such-file.yaml")).is_err());
    }
}
