//! Captures the output of a child process.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use serde_json::Value;

/// Captures one output stream of a process.
///
/// The process writes to a file, and not to a pipe that a thread reads, so everything that it wrote before it answered a
/// request can be read once the answer has arrived.
#[derive(Debug)]
pub struct Output(File);

impl Output {
    /// Creates an empty capture.
    ///
    /// # Panics
    /// If a temporary file can't be created.
    #[allow(clippy::new_without_default, reason = "it makes a file")]
    pub fn new() -> Self {
        Self(tempfile::tempfile().expect("a temporary file"))
    }

    /// The handle to pass to the process.
    ///
    /// # Panics
    /// If the file can't be duplicated.
    pub fn stdio(&self) -> Stdio {
        self.0.try_clone().expect("the file").into()
    }

    /// All text so far.
    ///
    /// # Panics
    /// If the file can't be read.
    pub fn text(&self) -> String {
        let length = self.0.metadata().expect("the file's length").len();
        let mut bytes = vec![0; usize::try_from(length).expect("a length")];
        // Read at an offset: the process shares the file's own offset and writes there.
        self.0.read_exact_at(&mut bytes, 0).expect("what was written");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The first JSON log line whose `message` is this one.
    pub fn line(&self, message: &str) -> Option<Value> {
        self.lines(message).into_iter().next()
    }

    /// All JSON log lines whose `message` is this one.
    pub fn lines(&self, message: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }
}
