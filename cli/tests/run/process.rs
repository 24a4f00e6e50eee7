//! Starts `tributary run` with an example in a temporary folder, and reads its lines.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Timeout of everything that a test waits for, with room for a busy machine.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A track event.
pub const EVENT: &str =
    r#"{"userId":"u1","event":"Order Completed","messageId":"m-1","timestamp":"2026-01-01T00:00:00Z"}"#;
/// The bucket and key of the object that [`EVENT`] is stored as.
pub const OBJECT: &str = "orders-lake/segment/track/1767225600000-m-1.json";

/// A run of an example in a temporary folder.
pub struct Run {
    /// Its working directory, with the files that it reads and the objects that it stores.
    pub folder: TempDir,
    /// The process.
    pub child: Child,
    /// The lines of its standard output.
    pub lines: Receiver<String>,
    /// The address that receives events.
    pub events: String,
    /// The address of `/metrics` and `/status`.
    pub admin: String,
}

/// The path of a file of the examples.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

/// A command that runs `tributary` with captured output.
pub fn tributary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Run {
    /// Starts `orders.yaml`; with `accounts`, also with the accounts file of the examples.
    pub fn start(accounts: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(example("orders.yaml"), folder.path().join("orders.yaml")).unwrap();
        fs::copy(example("accounts.yaml"), folder.path().join("accounts.yaml")).unwrap();
        Self::start_in(folder, accounts)
    }

    /// Starts `orders.yaml` of this folder; with `accounts`, also with its `accounts.yaml`.
    pub fn start_in(folder: TempDir, accounts: bool) -> Self {
        let mut command = tributary();
        command.current_dir(folder.path()).args(["run", "orders.yaml", "--listen", "127.0.0.1:0"]);
        command.args(["--admin", "127.0.0.1:0"]);
        // A run that is killed does not remove its Secrets' folder; here it is removed with the test's folder.
        command.env("TMPDIR", folder.path());
        if accounts {
            command.args(["--accounts", "accounts.yaml"]);
        }
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines() {
                let _ = sender.send(line.unwrap());
            }
        });
        let mut run = Self { folder, child, lines, events: String::new(), admin: String::new() };
        run.events = run.address("events ");
        run.admin = run.address("status ");
        run
    }

    /// Waits for the next line that starts with `start`.
    pub fn line(&self, start: &str) -> String {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(remaining) {
                Ok(line) if line.starts_with(start) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line starts with {start:?}: {error}"),
            }
        }
    }

    /// The address in the next line that starts with `start`.
    fn address(&self, start: &str) -> String {
        self.line(start).split('/').nth(2).unwrap().to_owned()
    }

    /// Sends the event once and returns the answer's status and body.
    pub fn send(&self) -> (u16, String) {
        self.send_event(EVENT)
    }

    /// Sends an event once and returns the answer's status and body.
    pub fn send_event(&self, event: &str) -> (u16, String) {
        request(&self.events, "POST /v1/track", event)
    }

    /// Sends the event until the answer is 200, as a client library does.
    pub fn send_until_stored(&self) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            let (status, answer) = self.send();
            if status == 200 {
                return;
            }
            assert!(status == 503 && Instant::now() < deadline, "{status} {answer}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Replaces text in a file of the run's folder.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        edit(&self.folder.path().join(file), from, to);
    }

    /// The file that [`EVENT`] is stored as.
    pub fn object(&self) -> PathBuf {
        self.folder.path().join("tributary-data").join(OBJECT)
    }

    /// Sends Ctrl-C, expects exit code 0, and returns the folder and the summary.
    pub fn stop(mut self) -> (TempDir, String) {
        interrupt(&self.child);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let summary = self.lines.iter().last().unwrap();
        let Run { folder, .. } = &mut self;
        let folder = std::mem::replace(folder, tempfile::tempdir().unwrap());
        (folder, summary)
    }
}

/// Sends a request, such as `POST /v1/track`, with a body and returns the answer's status and body.
pub fn request(address: &str, method_and_path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method_and_path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split("\r\n\r\n").nth(1).unwrap().to_owned())
}

/// Replaces text in a file.
pub fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{} has no {from}", path.display());
    fs::write(path, text.replace(from, to)).unwrap();
}

/// Sends SIGINT, as Ctrl-C does.
pub fn interrupt(child: &Child) {
    send_signal(child, "-INT");
}

/// Sends a signal, given as an option of `kill`.
pub fn send_signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
