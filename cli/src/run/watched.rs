//! Detects edits of a file by comparing its text; standard input is read only once.

use std::path::{Path, PathBuf};

use crate::manifest::{self, STDIN};

/// A file and what was last read from it. Texts are compared, because editors replace files in many ways.
pub struct WatchedFile {
    path: PathBuf,
    last: Result<String, String>,
}

impl WatchedFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// One line that says why it can't be read.
    pub fn open(path: &Path) -> Result<(Self, String), String> {
        let text = read(path).map_err(|says| format!("{}: {says}", path.display()))?;
        Ok((Self { path: path.to_owned(), last: Ok(text.clone()) }, text))
    }

    /// The new text, or why it can't be read; `None` if that is unchanged, and for standard input.
    pub fn changed(&mut self) -> Option<Result<String, String>> {
        if self.path == Path::new(STDIN) {
            return None;
        }
        let now = read(&self.path);
        if now == self.last {
            return None;
        }
        self.last.clone_from(&now);
        Some(now)
    }
}

fn read(path: &Path) -> Result<String, String> {
    manifest::read(path).map_err(|error| format!("can't be read: {error}"))
}
