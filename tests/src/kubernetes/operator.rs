//! The built operator, started as its pod starts it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Answer, Http};
use crate::output::Output;
use crate::sidecar::binary;
use crate::wait::{SOON, until};
use crate::{ApiProxy, Namespace};

/// How an operator is started.
#[derive(Clone)]
pub struct OperatorSetup {
    /// The way to the API server.
    pub api: ApiProxy,
    /// What it looks after, its Lease among it.
    pub namespaces: Vec<String>,
    /// What it is called.
    pub identity: String,
    /// What the platform says.
    pub platform: Value,
    /// More flags.
    pub flags: Vec<&'static str>,
}

impl OperatorSetup {
    /// One that looks after a namespace.
    pub fn new(api: &ApiProxy, namespace: &Namespace) -> Self {
        Self {
            api: api.clone(),
            namespaces: vec![namespace.name.clone()],
            identity: "one".to_owned(),
            // No node takes its pods: of these tests, none runs one.
            platform: json!({"sidecar": {
                "image": "registry.invalid/tributary-sidecar:test",
                "nodeSelector": {"tests": "nowhere"},
            }}),
            flags: Vec::new(),
        }
    }

    /// With a field of the platform's file, by its path: `sidecar.image`.
    #[must_use]
    pub fn platform(mut self, path: &str, value: Value) -> Self {
        let place = path.split('.').fold(&mut self.platform, |place, name| &mut place[name]);
        *place = value;
        self
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub async fn start(&self) -> OperatorProcess {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("a file");
            folder.path().join(name)
        };
        let namespace = &self.namespaces[0];
        let (stdout, stderr) = (Output::new(), Output::new());
        let mut command = Command::new(binary("tributary-operator"));
        command
            .arg("--platform")
            .arg(write("platform.yaml", &self.platform.to_string()))
            .args(["--listen", "127.0.0.1:0", "--log-format", "json", "--identity", &self.identity])
            .args(["--lease-namespace", namespace])
            .args(self.namespaces.iter().flat_map(|namespace| ["--namespace", namespace]))
            .args(&self.flags)
            .env_clear()
            .env("KUBECONFIG", write("kubeconfig", &self.api.kubeconfig(namespace)))
            .stdin(Stdio::null())
            .stdout(stdout.stdio())
            .stderr(stderr.stdio());
        let child = command.spawn().expect("a process");
        let mut process =
            OperatorProcess { child, stdout, stderr, admin: String::new(), http: Http::new(), _folder: folder };
        process.admin = until("the operator listens", SOON, async || {
            let ended = process.child.try_wait().expect("a process to ask for");
            let line = process.stdout.line("listening");
            assert!(line.is_some() || ended.is_none(), "it ended: {ended:?} {}", process.output());
            Some(format!("http://{}", line?["admin"].as_str()?))
        })
        .await;
        process
    }
}

/// An operator that runs.
pub struct OperatorProcess {
    child: Child,
    stdout: Output,
    stderr: Output,
    admin: String,
    http: Http,
    _folder: TempDir,
}

impl OperatorProcess {
    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written so far.
    pub fn output(&self) -> String {
        self.stdout.text() + &self.stderr.text()
    }

    /// Whether it has logged this message.
    pub fn has_said(&self, message: &str) -> bool {
        self.stdout.line(message).is_some()
    }

    /// Waits until it leads, and knows all that there is.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn wait_leading(&self, within: Duration) {
        until("the operator leads", within, async || self.has_said("the caches are complete").then_some(())).await;
    }

    /// Asks at the platform's port.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn ask(&self, path: &str) -> Answer {
        let url = format!("{}{path}", self.admin);
        self.http.request(hyper::Method::GET, &url, &[], "").await.expect("an answer")
    }

    /// The value of a series, as `leader`; zero if there is none yet.
    ///
    /// # Panics
    /// If the value is no number.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.ask("/metrics").await.text();
        let series = format!("tributary_{series} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Sends it a signal, as `STOP`.
    ///
    /// # Panics
    /// If there is no `kill`, or no such process.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status();
        assert!(status.expect("the command kill").success(), "the operator is gone: {}", self.output());
    }

    /// Ends it as the kernel does when memory runs out.
    ///
    /// # Panics
    /// If it can't be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("a process to wait for");
    }

    /// Waits until it has ended: its exit code.
    ///
    /// # Panics
    /// If it does not.
    pub async fn wait_end(&mut self) -> Option<i32> {
        let child = &mut self.child;
        until("the operator has ended", SOON, async || child.try_wait().expect("a process to ask for")).await.code()
    }
}

impl Drop for OperatorProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
