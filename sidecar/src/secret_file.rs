//! A value of a Secret that the kubelet mounts, and changes under our eyes.
//!
//! Secrets are mounted whole and optional, so that an absent one still gives a folder: an empty
//! folder is a missing Secret, a folder without the key a missing key. The kubelet swaps symlinks
//! behind the files, of which inotify is no reliable witness (kubernetes/kubernetes#112677): the
//! few bytes are read again every [`INTERVAL`] and compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tributary_crds::values::{ExternalId, InvalidExternalId};

/// How often the file is read. The kubelet itself takes 60 to 90 s to bring a change.
const INTERVAL: Duration = Duration::from_secs(2);

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoExternalId {
    /// The folder is empty, or not there.
    SecretNotFound,
    /// Other files, but not this one.
    SecretKeyNotFound,
    /// Not something STS takes.
    Invalid(InvalidExternalId),
    /// Not what the platform wants in this namespace.
    WrongPrefix,
}

/// The external ID, as it stands now.
pub type ExternalIdState = Result<ExternalId, NoExternalId>;

/// The file that holds the external ID.
#[derive(Clone, Debug)]
pub struct ExternalIdFile {
    /// The folder that the Secret is mounted on.
    pub folder: PathBuf,
    /// The Secret's key.
    pub key: String,
    /// What the ID must begin with in this namespace.
    pub prefix: Option<String>,
}

impl ExternalIdFile {
    /// Reads it once.
    pub fn read(&self) -> ExternalIdState {
        let id = match fs::read(self.folder.join(&self.key)) {
            Ok(value) => {
                let text =
                    std::str::from_utf8(&value).map_err(|_| NoExternalId::Invalid(InvalidExternalId::NotText))?;
                ExternalId::from_secret(text).map_err(NoExternalId::Invalid)?
            }
            Err(_) if has_files(&self.folder) => return Err(NoExternalId::SecretKeyNotFound),
            Err(_) => return Err(NoExternalId::SecretNotFound),
        };
        match &self.prefix {
            Some(prefix) if !id.reveal().starts_with(prefix.as_str()) => Err(NoExternalId::WrongPrefix),
            _ => Ok(id),
        }
    }

    /// Reads it again and again, and tells of every change. Ends with the last receiver.
    pub(crate) async fn follow(self, state: watch::Sender<ExternalIdState>) {
        while !state.is_closed() {
            tokio::time::sleep(INTERVAL).await;
            let now = self.read();
            state.send_if_modified(|old| {
                let changed = *old != now;
                *old = now;
                changed
            });
        }
    }
}

/// Whether a folder has files of its own: the kubelet's bookkeeping begins with two dots.
fn has_files(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| !entry.file_name().to_string_lossy().starts_with("..")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_secret_is_told_from_a_missing_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut file =
            ExternalIdFile { folder: folder.path().join("absent"), key: "externalId".to_owned(), prefix: None };
        assert_eq!(file.read(), Err(NoExternalId::SecretNotFound));

        file.folder = folder.path().to_owned();
        fs::create_dir(folder.path().join("..data")).unwrap();
        assert_eq!(file.read(), Err(NoExternalId::SecretNotFound));

        fs::write(folder.path().join("other"), "x").unwrap();
        assert_eq!(file.read(), Err(NoExternalId::SecretKeyNotFound));

        fs::write(folder.path().join("externalId"), "abc\n").unwrap();
        assert_eq!(file.read().unwrap().reveal(), "abc");

        file.prefix = Some("team/".to_owned());
        assert_eq!(file.read(), Err(NoExternalId::WrongPrefix));
        fs::write(folder.path().join("externalId"), "team/abc").unwrap();
        assert!(file.read().is_ok());

        fs::write(folder.path().join("externalId"), b"\xff\xfe").unwrap();
        assert_eq!(file.read(), Err(NoExternalId::Invalid(InvalidExternalId::NotText)));
        fs::write(folder.path().join("externalId"), "no spaces").unwrap();
        assert!(matches!(file.read(), Err(NoExternalId::Invalid(_))));
    }
}
