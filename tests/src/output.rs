//! What a process has written so far.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use serde_json::Value;

/// What a process writes to one of its outputs.
///
/// It writes into a file and not into a pipe that a thread empties: what it wrote before it
/// answered is there once the answer is.
#[derive(Debug)]
pub struct Output(File);

impl Output {
    /// Nothing so far.
    ///
    /// # Panics
    /// Without a folder for temporary files.
    #[allow(clippy::new_without_default, reason = "it makes a file")]
    pub fn new() -> Self {
        Self(tempfile::tempfile().expect("a temporary file"))
    }

    /// Where the process writes to.
    ///
    /// # Panics
    /// If the file can't be opened again.
    pub fn stdio(&self) -> Stdio {
        self.0.try_clone().expect("the file").into()
    }

    /// The text so far.
    ///
    /// # Panics
    /// If the file can't be read.
    pub fn text(&self) -> String {
        let length = self.0.metadata().expect("the file's length").len();
        let mut bytes = vec![0; usize::try_from(length).expect("a length")];
        // At an offset: the process writes where the file's own offset is.
        self.0.read_exact_at(&mut bytes, 0).expect("what was written");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The first log line with this message.
    pub fn line(&self, message: &str) -> Option<Value> {
        self.lines(message).into_iter().next()
    }

    /// All log lines with this message.
    pub fn lines(&self, message: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }
}
