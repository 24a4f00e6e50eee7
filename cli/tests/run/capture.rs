//! Runs `tributary run` and captures every byte that it writes to standard output.

use std::fs;
use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{WAIT_TIMEOUT, edit, example, interrupt, tributary};

/// Interval at which the output is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A run of `orders.yaml` whose output is captured.
pub struct Capture {
    child: Child,
    written: Arc<Mutex<Vec<u8>>>,
    /// Copies the output to `written`, until the run ends.
    reader: Option<JoinHandle<()>>,
    folder: TempDir,
}

impl Capture {
    /// Starts the run with these arguments in addition to the file and free ports, in a folder that contains the
    /// example's `accounts.yaml`. `output` is the other end of `stdout`.
    pub fn start(arguments: &[&str], stdout: impl Into<Stdio>, output: impl Read + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(example("accounts.yaml"), folder.path().join("accounts.yaml")).unwrap();
        let mut command = tributary();
        command.arg("run").arg(example("orders.yaml")).args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.args(arguments).current_dir(folder.path()).env("TMPDIR", folder.path()).stdout(stdout);
        let child = command.spawn().unwrap();
        let written = Arc::new(Mutex::new(Vec::new()));
        let reader = std::thread::spawn({
            let written = Arc::clone(&written);
            move || copy(output, &written)
        });
        Self { child, written, reader: Some(reader), folder }
    }

    /// All bytes written so far.
    pub fn written(&self) -> Vec<u8> {
        self.written.lock().unwrap().clone()
    }

    /// Waits for a line that starts with `start` and returns it. A status that was on the same row before is removed.
    pub fn line(&self, start: &str) -> String {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            let written = String::from_utf8_lossy(&self.written()).into_owned();
            let mut lines = written.lines().map(|line| line.rsplit("\x1b[K").next().unwrap());
            if let Some(line) = lines.find(|line| line.starts_with(start)) {
                return line.trim_end().to_owned();
            }
            assert!(Instant::now() < deadline, "no line starts with {start:?}: {written}");
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits until the function is ready and returns its address for events.
    pub fn ready(&self) -> String {
        self.line("ready ");
        self.line("events ").rsplit('/').next().unwrap().to_owned()
    }

    /// Replaces text in a file of the run's folder.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        edit(&self.folder.path().join(file), from, to);
    }

    /// Sends Ctrl-C, expects exit code 0, and returns everything that was written.
    pub fn stop(mut self) -> String {
        interrupt(&self.child);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.reader.take().unwrap().join().unwrap();
        String::from_utf8(self.written()).unwrap()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies until the end of file or an error: reading from a pseudo-terminal fails once its program has exited.
fn copy(mut from: impl Read, to: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        to.lock().unwrap().extend_from_slice(&buffer[..length]);
    }
}
