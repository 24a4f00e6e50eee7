//! Secrets as the kubelet mounts them: each version a folder, and one link that says which counts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tributary_crds::sidecar_config::SecretUse;

/// The folder below which a sidecar finds its Secrets.
#[derive(Debug)]
pub struct Mounted {
    root: PathBuf,
    version: AtomicU64,
}

impl Mounted {
    /// Secrets below `root`; there are none yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root, version: AtomicU64::new(0) }
    }

    /// The folder of them all.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Makes a Secret hold these and nothing else; with nothing at all, it is gone.
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
