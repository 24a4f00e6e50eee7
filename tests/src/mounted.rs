//! Publishes Secrets as the kubelet mounts them: one folder per version, and a link `..data` to the current one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tributary_crds::sidecar_config::SecretUse;

/// The folder in which a sidecar finds its Secrets.
#[derive(Debug)]
pub struct MountedSecrets {
    root: PathBuf,
    version: AtomicU64,
}

impl MountedSecrets {
    /// An empty folder of Secrets at `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root, version: AtomicU64::new(0) }
    }

    /// The folder that contains all Secrets.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Replaces all entries of a Secret atomically. With no entries, its folder stays and is empty.
    ///
    /// # Panics
    /// If a file can't be written.
    pub fn publish<V: AsRef<[u8]>>(&self, r#use: SecretUse, entries: &[(&str, V)]) {
        let folder = self.root.join(r#use.folder());
        let version = format!("..{}", self.version.fetch_add(1, Ordering::Relaxed));
        fs::create_dir_all(folder.join(&version)).expect("a folder");
        for (name, value) in entries {
            fs::write(folder.join(&version).join(name), value).expect("a file");
        }
        symlink(&version, folder.join("..new")).expect("a link");
        fs::rename(folder.join("..new"), folder.join("..data")).expect("a link");
    }
}
