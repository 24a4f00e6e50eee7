//! The folders that stand for the Secrets' mounts: the sidecar reads them as it would a kubelet's.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tributary_crds::sidecar_config::SecretUse;

use super::function::{Entries, Function};

/// The kubelet's link to the version of a Secret that counts.
const CURRENT: &str = "..data";

/// Folders that only their owner may look into, gone with the process.
pub struct Mount {
    root: TempDir,
    version: u64,
}

impl Mount {
    /// Folders with the function's Secrets in them.
    ///
    /// # Errors
    /// When they can't be made.
    pub fn new(function: &Function) -> io::Result<Self> {
        let mut mount = Self { root: tempfile::Builder::new().prefix("tributary-").tempdir()?, version: 0 };
        mount.put(function)?;
        Ok(mount)
    }

    /// The folder of them all.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// The file that holds the value under a Secret's key, also after edits of the Secret.
    pub fn file(&self, r#use: SecretUse, key: &str) -> PathBuf {
        self.path().join(r#use.folder()).join(CURRENT).join(key)
    }

    /// Makes each folder hold its Secret's keys and no others: all at once, since some belong together.
    ///
    /// # Errors
    /// When a file can't be written or removed.
    pub fn put(&mut self, function: &Function) -> io::Result<()> {
        self.version += 1;
        for (r#use, entries) in &function.secrets {
            publish(&self.root.path().join(r#use.folder()), entries, self.version)?;
        }
        Ok(())
    }
}

/// Writes a version beside the one before, moves the link, and removes the old one, as the kubelet
/// does.
fn publish(folder: &Path, entries: &Entries, version: u64) -> io::Result<()> {
    let name = format!("..{version}");
    fs::create_dir_all(folder.join(&name))?;
    for (key, value) in entries {
        fs::write(folder.join(&name).join(key), value)?;
    }
    let (link, current) = (folder.join("..new"), folder.join(CURRENT));
    let old = fs::read_link(&current).ok();
    symlink(&name, &link)?;
    fs::rename(&link, &current)?;
    match old {
        Some(old) => fs::remove_dir_all(folder.join(old)),
        None => Ok(()),
    }
}
