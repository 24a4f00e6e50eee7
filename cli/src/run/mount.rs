//! The folder that stands for the Secret's mount: the sidecar reads it as it would a kubelet's.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use super::function::Function;

/// A folder that only its owner may look into, gone with the process.
pub struct Mount(TempDir);

impl Mount {
    /// A folder with the function's Secret in it; empty if there is none.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new(function: &Function) -> io::Result<Self> {
        let mount = Self(tempfile::Builder::new().prefix("tributary-").tempdir()?);
        mount.put(function)?;
        Ok(mount)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes the folder hold the Secret's keys and no others, each file replaced in one step.
    ///
    /// # Errors
    /// When a file can't be written or removed.
    pub fn put(&self, function: &Function) -> io::Result<()> {
        let keys: HashSet<_> = function.secret.iter().map(|(key, _)| key.as_str()).collect();
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| keys.contains(name)) {
                fs::remove_file(entry.path())?;
            }
        }
        for (key, value) in &function.secret {
            // Two dots, as the kubelet's own: not taken for a key.
            let new = self.path().join("..new");
            fs::write(&new, value)?;
            fs::rename(&new, self.path().join(key))?;
        }
        Ok(())
    }
}
