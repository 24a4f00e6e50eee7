//! Starts the built operator as its pod does, beside the cluster.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Answer, Http};
use crate::output::Output;
use crate::sidecar::binary;
use crate::wait::{DEFAULT_TIMEOUT, until};
use crate::{ApiProxy, Namespace};

/// How to start an operator: API server, namespaces, identity, platform file and flags.
#[derive(Clone)]
pub struct OperatorSetup {
    /// The proxy through which it reaches the API server.
    pub api: ApiProxy,
    /// The namespaces that it watches. The first also has its Lease.
    pub namespaces: Vec<String>,
    /// Its identity in the Lease.
    pub identity: String,
    /// The content of the platform file.
    pub platform: Value,
    /// Additional flags.
    pub flags: Vec<&'static str>,
}

impl OperatorSetup {
    /// An operator that watches one namespace.
    pub fn new(api: &ApiProxy, namespace: &Namespace) -> Self {
        Self {
            api: api.clone(),
            namespaces: vec![namespace.name.clone()],
            identity: "one".to_owned(),
            // No node matches this selector: these tests run no pods.
            platform: json!({"sidecar": {
                "image": "registry.invalid/tributary-sidecar:test",
                "nodeSelector": {"tests": "nowhere"},
            }}),
            flags: Vec::new(),
        }
    }

    /// Sets a field of the platform file, by its path: `sidecar.image`.
    #[must_use]
    pub fn platform(mut self, path: &str, value: Value) -> Self {
        let place = path.split('.').fold(&mut self.platform, |place, name| &mut place[name]);
        *place = value;
        self
    }

    /// Starts the operator, and waits until it logs that it listens.
    ///
    /// # Panics
    /// If it exits, or does not listen within [`DEFAULT_TIMEOUT`].
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
        process.admin = until("the operator listens", DEFAULT_TIMEOUT, async || {
            let ended = process.child.try_wait().expect("the status of the process");
            let line = process.stdout.line("listening");
            assert!(line.is_some() || ended.is_none(), "the operator exited: {ended:?} {}", process.output());
            Some(format!("http://{}", line?["admin"].as_str()?))
        })
        .await;
        process
    }
}

/// A running operator process. It is killed on drop.
pub struct OperatorProcess {
    child: Child,
    stdout: Output,
    stderr: Output,
    admin: String,
    http: Http,
    _folder: TempDir,
}

impl OperatorProcess {
    /// The process ID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All output so far: standard output, then standard error.
    pub fn output(&self) -> String {
        self.stdout.text() + &self.stderr.text()
    }

    /// Whether it has logged this message.
    pub fn has_logged(&self, message: &str) -> bool {
        self.stdout.line(message).is_some()
    }

    /// Waits until it leads and its caches are complete.
    ///
    /// # Panics
    /// If it does not within `within`.
    pub async fn wait_leading(&self, within: Duration) {
        until("the operator leads", within, async || self.has_logged("the caches are complete").then_some(())).await;
    }

    /// Sends a GET request to the admin port.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn get_admin(&self, path: &str) -> Answer {
        let url = format!("{}{path}", self.admin);
        self.http.request(hyper::Method::GET, &url, &[], "").await.expect("an answer")
    }

    /// The value of a series without its `tributary_` prefix, such as `leader`; 0 if there is none.
    ///
    /// # Panics
    /// If the value is not a number.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.get_admin("/metrics").await.text();
        let series = format!("tributary_{series} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Sends a signal, such as `STOP`.
    ///
    /// # Panics
    /// If the command `kill` is missing or fails.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status();
        assert!(status.expect("the command kill").success(), "the operator is gone: {}", self.output());
    }

    /// Kills the process with SIGKILL, as the kernel does when memory runs out.
    ///
    /// # Panics
    /// If it can't be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("the exit of the process");
    }

    /// Waits until the process has exited, and returns its exit code.
    ///
    /// # Panics
    /// If it has not exited within [`DEFAULT_TIMEOUT`].
    pub async fn wait_exit(&mut self) -> Option<i32> {
        let child = &mut self.child;
        until("the operator exits", DEFAULT_TIMEOUT, async || child.try_wait().expect("the status of the process"))
            .await
            .code()
    }
}

impl Drop for OperatorProcess {
    fn drop(&mut self) {
        // It may have exited by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("the output of the operator {}:\n{}", self.child.id(), self.output());
        }
    }
}
