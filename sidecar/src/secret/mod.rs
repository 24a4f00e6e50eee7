//! Reads the Secrets that the kubelet mounts, and follows their changes.
//!
//! Secrets are mounted whole and as optional, so the folder exists even without the Secret: an empty folder is a
//! missing Secret, a folder without the file a missing key. The kubelet updates a Secret by swapping symlinks, which
//! inotify does not report reliably (kubernetes/kubernetes#112677), so the small files are read every [`READ_INTERVAL`] and
//! compared.

pub(crate) mod certificate;
pub(crate) mod external_id;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tributary_crds::conditions::SECRET_DELAY_HINT;
use tributary_crds::sidecar_config::SecretUse;
use zeroize::Zeroizing;

/// Time between two reads of the files. The kubelet itself takes 60 to 90 s to publish a change.
const READ_INTERVAL: Duration = Duration::from_secs(2);

/// The kubelet's symlink to the folder with the Secret's current version. Moving it replaces all files atomically.
const CURRENT_VERSION_LINK: &str = "..data";

/// Why a key of a Secret has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The folder is empty or does not exist.
    Secret,
    /// The Secret has other keys, but not this one.
    Key,
}

impl Missing {
    /// The message with the fix: `what` is to be stored in the Secret, and `field` is the path in the spec that names
    /// the Secret.
    pub(crate) fn message(self, secret: &str, key: &str, what: &str, field: &str) -> String {
        let fault = match self {
            Self::Secret => {
                format!("there is no Secret {secret} in this namespace; create it with the {what} under the key {key}")
            }
            Self::Key => {
                format!("the Secret {secret} has no key {key}; add it, or name the right key in spec.{field}.key")
            }
        };
        format!("{fault}; {SECRET_DELAY_HINT}")
    }
}

/// The bytes of a Secret's key, zeroed when dropped, or why there are none.
pub(crate) type Value = Result<Zeroizing<Vec<u8>>, Missing>;

/// The folder where a Secret is mounted.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The folder of the Secret for `use`, below the folder `secrets` of all Secrets.
    pub(crate) fn of(secrets: &Path, r#use: SecretUse) -> Self {
        Self(secrets.join(r#use.folder()))
    }

    /// Reads the value of one key.
    pub(crate) fn read(&self, key: &str) -> Value {
        let [value] = self.read_together([key]);
        value
    }

    /// Reads several keys from one version of the Secret: they match even while the kubelet updates it.
    pub(crate) fn read_together<const N: usize>(&self, keys: [&str; N]) -> [Value; N] {
        let folder = fs::canonicalize(self.0.join(CURRENT_VERSION_LINK)).unwrap_or_else(|_| self.0.clone());
        keys.map(|key| match fs::read(folder.join(key)) {
            Ok(value) => Ok(Zeroizing::new(value)),
            Err(_) if has_files(&folder) => Err(Missing::Key),
            Err(_) => Err(Missing::Secret),
        })
    }
}

/// Publishes `make` of the result of `read`, and again after each change; reads every [`READ_INTERVAL`] until the last
/// receiver is dropped.
pub(crate) fn follow<V, T>(
    read: impl Fn() -> V + Send + 'static,
    mut make: impl FnMut(&V) -> T + Send + 'static,
) -> watch::Receiver<T>
where
    V: PartialEq + Send + 'static,
    T: Send + Sync + 'static,
{
    let mut last = read();
    let (state, follower) = watch::channel(make(&last));
    tokio::spawn(async move {
        while !state.is_closed() {
            tokio::time::sleep(READ_INTERVAL).await;
            let now = read();
            if now != last {
                state.send_replace(make(&now));
                last = now;
            }
        }
    });
    follower
}

/// Completes when the followed Secret changes; never, if there is none.
pub(crate) async fn changed<T>(known: Option<&mut watch::Receiver<T>>) {
    let is_changed = match known {
        Some(known) => known.changed().await.is_ok(),
        None => false,
    };
    if !is_changed {
        std::future::pending::<()>().await;
    }
}

/// Whether a folder has any key. Entries that start with two dots are the kubelet's own.
fn has_files(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| !entry.file_name().to_string_lossy().starts_with("..")))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_missing_secret_is_distinguished_from_a_missing_key() {
        let secrets = tempfile::tempdir().unwrap();
        let folder = Folder::of(secrets.path(), SecretUse::WriteKey);
        assert_eq!(folder.read("key"), Err(Missing::Secret));

        fs::create_dir_all(secrets.path().join("write-key/..data")).unwrap();
        assert_eq!(folder.read("key"), Err(Missing::Secret));

        fs::write(secrets.path().join("write-key/..data/other"), "x").unwrap();
        assert_eq!(folder.read("key"), Err(Missing::Key));

        fs::write(secrets.path().join("write-key/..data/key"), "abc\n").unwrap();
        assert_eq!(folder.read("key").unwrap().as_slice(), b"abc\n");
    }

    #[test]
    fn a_plain_folder_is_read_as_well() {
        let secrets = tempfile::tempdir().unwrap();
        let folder = Folder::of(secrets.path(), SecretUse::Tls);
        fs::create_dir(secrets.path().join("tls")).unwrap();
        fs::write(secrets.path().join("tls/tls.crt"), "c").unwrap();
        assert_eq!(folder.read_together(["tls.crt", "tls.key"]), [Ok(b"c".to_vec().into()), Err(Missing::Key)]);
    }

    #[tokio::test]
    async fn a_change_is_published() {
        let secrets = tempfile::tempdir().unwrap();
        let root = secrets.path().join("write-key");
        // As the kubelet does: one folder per version, and a symlink that is moved.
        let publish = |version: &str| {
            fs::create_dir_all(root.join(version)).unwrap();
            fs::write(root.join(version).join("key"), version).unwrap();
            let _ = fs::remove_file(root.join(CURRENT_VERSION_LINK));
            symlink(version, root.join(CURRENT_VERSION_LINK)).unwrap();
        };
        publish("..1");
        let folder = Folder::of(secrets.path(), SecretUse::WriteKey);
        let mut follower = follow(move || folder.read("key"), |value| value.as_ref().map(|value| value.len()).ok());
        assert_eq!(*follower.borrow_and_update(), Some(3));
        publish("..22");
        follower.changed().await.unwrap();
        assert_eq!(*follower.borrow_and_update(), Some(4));
    }
}
