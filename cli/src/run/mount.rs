//! Writes Secrets to temporary folders in the kubelet's layout, from which the sidecar reads them.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tributary_crds::sidecar_config::SecretUse;

use super::function::{Entries, Function};

/// The kubelet's name of the symbolic link to the current version of a Secret.
const CURRENT_LINK: &str = "..data";

/// A temporary folder with one folder per use of a Secret. Only this user can open it; it is removed on drop.
pub struct Mount {
    root: TempDir,
    version: u64,
}

impl Mount {
    /// Creates the folders and writes the function's Secrets.
    ///
    /// # Errors
    /// If a folder or file can't be created.
    pub fn new(function: &Function) -> io::Result<Self> {
        let mut mount = Self { root: tempfile::Builder::new().prefix("tributary-").tempdir()?, version: 0 };
        mount.write(function)?;
        Ok(mount)
    }

    /// The folder that contains the Secrets' folders, for the sidecar's configuration.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// The file with the value of a Secret's key; its path stays valid when the Secret is edited.
    pub fn file(&self, r#use: SecretUse, key: &str) -> PathBuf {
        self.path().join(r#use.folder()).join(CURRENT_LINK).join(key)
    }

    /// Replaces the content of each folder with its Secret. All keys of a Secret change atomically, since some belong
    /// together, such as a certificate and its private key.
    ///
    /// # Errors
    /// If a file can't be written or removed.
    pub fn write(&mut self, function: &Function) -> io::Result<()> {
        self.version += 1;
        for (r#use, entries) in &function.secrets {
            publish(&self.root.path().join(r#use.folder()), entries, self.version)?;
        }
        Ok(())
    }
}

/// Writes a new version next to the current one, replaces the link, and removes the old version, as the kubelet does
/// (`AtomicWriter` of `k8s.io/kubernetes/pkg/volume/util`).
fn publish(folder: &Path, entries: &Entries, version: u64) -> io::Result<()> {
    let name = format!("..{version}");
    fs::create_dir_all(folder.join(&name))?;
    for (key, value) in entries {
        fs::write(folder.join(&name).join(key), value)?;
    }
    let (link, current) = (folder.join("..new"), folder.join(CURRENT_LINK));
    let old = fs::read_link(&current).ok();
    symlink(&name, &link)?;
    fs::rename(&link, &current)?;
    match old {
        Some(old) => fs::remove_dir_all(folder.join(old)),
        None => Ok(()),
    }
}
