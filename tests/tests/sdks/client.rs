//! The client libraries, and how to run them.

use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Output, Stdio};
use std::sync::LazyLock;
use std::{fs, io};

use serde_json::json;
use tokio::task::{JoinHandle, spawn_blocking};
use tributary_crds::sidecar_config::SecretUse;
use tributary_tests::installed::installed;
use tributary_tests::{Aws, Function, Setup};

/// The origin of the page.
const ORIGIN: &str = "http://shop.localhost";

/// A client library, and how it is used.
#[derive(Clone, Copy)]
pub enum Client {
    /// `@segment/analytics-node`.
    AnalyticsNode,
    /// `segment-analytics-python`.
    AnalyticsPython { gzip: bool },
    /// `github.com/segmentio/analytics-go`.
    AnalyticsGo,
    /// `@segment/analytics-next` in a page of a browser, which may be left while it sends.
    AnalyticsNext { write_key: Option<&'static str>, leaves: bool },
    /// `@rudderstack/rudder-sdk-node`, which compresses its requests.
    RudderNode,
    /// `rudder-sdk-python`, which compresses its requests.
    RudderPython,
    /// `rudderanalytics` for Rust.
    RudderRust,
    /// `@rudderstack/analytics-js` in a page of a browser. Beacons are sent from pages that are left.
    AnalyticsJs { beacon: bool },
}

impl Client {
    /// A sidecar that accepts this client's requests.
    pub fn setup(self, aws: &Aws, function: Function) -> Setup {
        let setup = Setup::new(aws);
        if !self.is_page() {
            return setup.function(function);
        }
        let function = function.with("ingest.cors", json!({"allowedOrigins": [ORIGIN]}));
        let Some(key) = self.write_key() else { return setup.function(function) };
        let function = function.with("ingest.writeKeySecretRef", json!({"name": "keys", "key": "writeKeys"}));
        setup.function(function).secret(SecretUse::WriteKey, "writeKeys", key)
    }

    /// How many of `events` events are other events when the client sends them again, because the library sets their
    /// messageId.
    pub fn without_message_id(self, events: usize) -> usize {
        match self {
            Client::RudderRust | Client::AnalyticsJs { .. } => events,
            _ => events / 10,
        }
    }

    /// Starts the client.
    pub fn start(self, endpoint: &str, events: usize) -> RunningClient {
        let mut command = self.command();
        command
            .arg(endpoint)
            .arg(events.to_string())
            .args(self.flags())
            // A proxy of the machine must not be used for the machine itself.
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("a client that can be started");
        let stdin = child.stdin.take();
        RunningClient { stdin, output: spawn_blocking(move || child.wait_with_output()) }
    }

    fn command(self) -> Command {
        match self {
            Client::AnalyticsNode => node("analytics-node.mjs"),
            Client::RudderNode => node("rudder-sdk-node.mjs"),
            Client::AnalyticsNext { .. } => node("analytics-next.mjs"),
            Client::AnalyticsJs { .. } => node("analytics-js.mjs"),
            Client::AnalyticsPython { .. } => python("segment"),
            Client::RudderPython => python("rudderstack"),
            Client::AnalyticsGo => Command::new(installed("go/send")),
            Client::RudderRust => Command::new(installed("rust/debug/tributary-client-rust")),
        }
    }

    fn flags(self) -> Vec<String> {
        let mut flags = Vec::new();
        if self.is_page() {
            flags.push(format!("--chromium={}", installed("chromium").display()));
        }
        flags.extend(self.write_key().map(|key| format!("--write-key={key}")));
        let flag = match self {
            Client::AnalyticsPython { gzip: true } | Client::RudderPython => Some("--gzip"),
            Client::AnalyticsNext { leaves: true, .. } => Some("--leave"),
            Client::AnalyticsJs { beacon: true } => Some("--beacon"),
            _ => None,
        };
        flags.extend(flag.map(str::to_owned));
        flags
    }

    /// Whether it runs until its standard input ends, since it leaves pages before their requests are answered.
    pub fn leaves_pages(self) -> bool {
        matches!(self, Client::AnalyticsNext { leaves: true, .. } | Client::AnalyticsJs { beacon: true })
    }

    /// Whether a page sends events again that an earlier page may have sent.
    pub fn sends_again(self) -> bool {
        matches!(self, Client::AnalyticsNext { leaves: true, .. })
    }

    fn is_page(self) -> bool {
        matches!(self, Client::AnalyticsNext { .. } | Client::AnalyticsJs { .. })
    }

    /// The function's write key; `None` if it has none.
    fn write_key(self) -> Option<&'static str> {
        match self {
            Client::AnalyticsNext { write_key, .. } => write_key,
            Client::AnalyticsJs { .. } => Some("browser-key"),
            _ => None,
        }
    }
}

/// A client that sends.
pub struct RunningClient {
    stdin: Option<ChildStdin>,
    output: JoinHandle<io::Result<Output>>,
}

impl RunningClient {
    /// Whether it has exited.
    pub fn is_finished(&self) -> bool {
        self.output.is_finished()
    }

    /// Ends its standard input, and waits until it exits.
    pub async fn finish(self) {
        drop(self.stdin);
        let output = self.output.await.expect("no panic").expect("the client's output");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the client ended with {}: {stderr}", output.status);
    }
}

fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(NODE.join(script));
    command
}

fn python(library: &str) -> Command {
    let mut command = Command::new(installed("python/bin/python"));
    command.arg(SOURCES.join("python/send.py")).arg(format!("--library={library}"));
    command
}

static SOURCES: LazyLock<PathBuf> = LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("clients"));

/// The folder from which Node.js scripts run: Node.js resolves packages relative to the script.
static NODE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = installed("node");
    for entry in fs::read_dir(SOURCES.join("node")).expect("the scripts") {
        let script = entry.expect("a script").path();
        if script.extension().is_some_and(|extension| extension == "mjs") {
            let copy = folder.join(script.file_name().expect("a file has a name"));
            fs::copy(&script, copy).expect("the script can be copied");
        }
    }
    folder
});
