//! Detects edits of a file by comparing its text; standard input is read only once.

use std::path::{Path, PathBuf};

use crate::manifest::{self, STDIN};

/// A file and the result of reading it last. Texts are compared rather than modification times or inodes, because
/// editors replace files in many ways.
pub struct WatchedFile {
    path: PathBuf,
    last_read: Result<String, String>,
}

impl WatchedFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// One line with the reason, if the file can't be read.
    pub fn open(path: &Path) -> Result<(Self, String), String> {
        let text = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok((Self { path: path.to_owned(), last_read: Ok(text.clone()) }, text))
    }

    /// Reads the file again. Returns the new text, or why the file can't be read; `None` if the result is the same as
    /// before, and for standard input.
    pub fn read_if_edited(&mut self) -> Option<Result<String, String>> {
        if self.path == Path::new(STDIN) {
            return None;
        }
        let result = read(&self.path);
        if result == self.last_read {
            return None;
        }
        self.last_read.clone_from(&result);
        Some(result)
    }
}

fn read(path: &Path) -> Result<String, String> {
    manifest::read(path).map_err(|error| format!("can't be read: {error}"))
}
