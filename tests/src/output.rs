//! What a process has written so far.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// All that came out of a pipe, while it still comes.
#[derive(Clone, Debug, Default)]
pub struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    /// Reads a pipe to its end, in a thread of its own.
    pub fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let output = Self::default();
        let written = output.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                written.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..count]);
            }
        });
        output
    }

    /// The text so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
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
