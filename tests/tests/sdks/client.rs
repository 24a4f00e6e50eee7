//! The client libraries, and how to run them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::json;
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
    /// `@rudderstack/rudder-sdk-node`, which compresses its requests.
    RudderNode,
    /// `rudder-sdk-python`, which compresses its requests.
    RudderPython,
    /// `rudderanalytics` for Rust.
    RudderRust,
    /// `@segment/analytics-next` in a page of a browser.
    Page { write_key: Option<&'static str> },
}

impl Client {
    /// A sidecar that accepts this client's requests.
    pub fn setup(self, aws: &Aws, function: Function) -> Setup {
        let Client::Page { write_key } = self else { return Setup::new(aws).function(function) };
        let function = function.with("ingest.cors", json!({"allowedOrigins": [ORIGIN]}));
        let Some(key) = write_key else { return Setup::new(aws).function(function) };
        let function = function.with("ingest.writeKeySecretRef", json!({"name": "keys", "key": "writeKeys"}));
        Setup::new(aws).function(function).secret(SecretUse::WriteKey, "writeKeys", key)
    }

    /// How many of `events` events are other events when the client sends them again, because the library sets their
    /// messageId.
    pub fn without_message_id(self, events: usize) -> usize {
        match self {
            Client::RudderRust => events,
            _ => events / 10,
        }
    }

    /// Runs the client until it exits.
    pub async fn send(self, endpoint: &str, events: usize) {
        let mut command = self.command();
        command
            .arg(endpoint)
            .arg(events.to_string())
            .args(self.flags())
            // A proxy of the machine must not be used for the machine itself.
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1")
            .stdin(Stdio::null());
        let run = tokio::task::spawn_blocking(move || command.output());
        let output = run.await.expect("no panic").expect("a client that can be started");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the client ended with {}: {stderr}", output.status);
    }

    fn command(self) -> Command {
        match self {
            Client::AnalyticsNode => node("analytics-node.mjs"),
            Client::RudderNode => node("rudder-sdk-node.mjs"),
            Client::Page { .. } => node("analytics-next.mjs"),
            Client::AnalyticsPython { .. } => python("segment"),
            Client::RudderPython => python("rudderstack"),
            Client::AnalyticsGo => Command::new(installed("go/send")),
            Client::RudderRust => Command::new(installed("rust/debug/tributary-client-rust")),
        }
    }

    fn flags(self) -> Vec<String> {
        match self {
            Client::AnalyticsPython { gzip: true } | Client::RudderPython => vec!["--gzip".to_owned()],
            Client::Page { write_key } => {
                let chromium = format!("--chromium={}", installed("chromium").display());
                let write_key = write_key.map(|key| format!("--write-key={key}"));
                [chromium].into_iter().chain(write_key).collect()
            }
            _ => Vec::new(),
        }
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
