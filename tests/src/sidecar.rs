//! Starts the built sidecar binary as the operator's Deployment does, and observes and signals the process.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tributary_crds::sidecar_config::SecretUse;

use crate::mounted::MountedSecrets;
use crate::output::Output;
use crate::process::KillOnDrop;
use crate::wait::{DEFAULT_TIMEOUT, until};
use crate::world::{ACCESS_KEY_ID, EXTERNAL_ID, SECRET_ACCESS_KEY};
use crate::{Aws, Function, Ports, World};

/// The key of the external ID in its Secret.
const EXTERNAL_ID_KEY: &str = "externalId";

/// How to start a sidecar: its configuration, Secrets, credentials, endpoints and flags.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its configuration file.
    pub function: Function,
    /// The entries of its Secrets: which Secret, key, value.
    pub secrets: Vec<(SecretUse, &'static str, String)>,
    /// The base identity's access key, in the environment. Without it, the sidecar reads a shared credentials file,
    /// which a test may write later.
    pub keys: Option<(&'static str, &'static str)>,
    /// The URL of S3.
    pub s3: String,
    /// The URL of STS.
    pub sts: String,
    /// Whether the sidecar uses AWS's own host names, and ignores `s3` and `sts`.
    pub uses_aws_names: bool,
    /// The address for `--listen`, where it accepts events.
    pub listen: String,
    /// Additional flags.
    pub flags: Vec<&'static str>,
    /// Additional variables of the environment.
    pub environment: Vec<(&'static str, String)>,
}

impl Setup {
    /// A configuration that works with [`World::new`].
    pub fn new(aws: &Aws) -> Self {
        Self::at(aws.endpoint())
    }

    /// The same configuration, with the S3 and STS at this URL.
    pub fn at(endpoint: String) -> Self {
        Self {
            function: Function::new(),
            secrets: vec![(SecretUse::ExternalId, EXTERNAL_ID_KEY, EXTERNAL_ID.to_owned())],
            keys: Some((ACCESS_KEY_ID, SECRET_ACCESS_KEY)),
            sts: endpoint.clone(),
            s3: endpoint,
            uses_aws_names: false,
            listen: "127.0.0.1:0".to_owned(),
            flags: vec!["--drain-delay", "0"],
            environment: Vec::new(),
        }
    }

    /// Replaces the function.
    #[must_use]
    pub fn function(mut self, function: Function) -> Self {
        self.function = function;
        self
    }

    /// Makes the sidecar use AWS's own host names, as in production, and trust the authorities in this file.
    #[must_use]
    pub fn trusting(self, certificates: &Path) -> Self {
        self.with_aws_names().environment("SSL_CERT_FILE", certificates.display().to_string())
    }

    /// Makes the sidecar use AWS's own host names, as in production.
    #[must_use]
    pub fn with_aws_names(self) -> Self {
        Self { uses_aws_names: true, ..self }
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn environment(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Adds an entry to a Secret.
    #[must_use]
    pub fn secret(mut self, r#use: SecretUse, key: &'static str, value: &str) -> Self {
        self.secrets.push((r#use, key, value.to_owned()));
        self
    }

    /// Replaces all entries of the external ID's Secret.
    #[must_use]
    pub fn external_id(mut self, entries: &[(&'static str, &str)]) -> Self {
        self.secrets.retain(|(r#use, ..)| *r#use != SecretUse::ExternalId);
        entries.iter().fold(self, |setup, (key, value)| setup.secret(SecretUse::ExternalId, key, value))
    }

    /// Builds the command; its files go to `folder`.
    ///
    /// # Panics
    /// If the files can't be written.
    fn command(&self, folder: &Path, secrets: &MountedSecrets) -> Command {
        std::fs::write(folder.join("function.yaml"), self.function.text()).expect("a file");
        for r#use in [SecretUse::ExternalId, SecretUse::WriteKey, SecretUse::Signature, SecretUse::Tls] {
            let entries = self.secrets.iter().filter(|(other, ..)| *other == r#use);
            secrets.publish(r#use, &entries.map(|(_, key, value)| (*key, value)).collect::<Vec<_>>());
        }
        let mut command = Command::new(binary("tributary-sidecar"));
        command
            .args(["--listen", &self.listen, "--admin", "127.0.0.1:0", "--log-format", "json"])
            .arg("--config")
            .arg(folder.join("function.yaml"))
            .arg("--secrets-dir")
            .arg(secrets.path())
            .args(&self.flags)
            // Nothing of the developer's environment: no profile, no region, no proxy.
            .env_clear()
            .env("HOME", folder)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_SHARED_CREDENTIALS_FILE", folder.join("credentials"))
            .stdin(Stdio::null());
        if !self.uses_aws_names {
            command.env("AWS_ENDPOINT_URL_S3", &self.s3).env("AWS_ENDPOINT_URL_STS", &self.sts);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some((id, secret)) = self.keys {
            command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
        }
        command
    }

    /// Starts the process and captures its standard output and error.
    fn spawn(&self, folder: &Path, secrets: &MountedSecrets) -> (KillOnDrop, Output, Output) {
        let (stdout, stderr) = (Output::new(), Output::new());
        let child = self.command(folder, secrets).stdout(stdout.stdio()).stderr(stderr.stdio()).spawn();
        (KillOnDrop(child.expect("a process")), stdout, stderr)
    }

    /// Runs the sidecar until it exits by itself, for configurations with which it never listens.
    ///
    /// # Panics
    /// If it does not exit within [`DEFAULT_TIMEOUT`].
    pub async fn run(&self) -> ExitOutput {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secrets = MountedSecrets::new(folder.path().join("secrets"));
        let (mut child, stdout, stderr) = self.spawn(folder.path(), &secrets);
        let status = until("the sidecar exits", DEFAULT_TIMEOUT, async || {
            child.0.try_wait().expect("the status of the process")
        })
        .await;
        ExitOutput { code: status.code(), stdout: stdout.text(), stderr: stderr.text() }
    }

    /// Starts the sidecar, and waits until it logs that it listens.
    ///
    /// # Panics
    /// If it exits, or does not listen within [`DEFAULT_TIMEOUT`].
    pub async fn start(&self) -> SidecarProcess {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secrets = MountedSecrets::new(folder.path().join("secrets"));
        let (mut child, stdout, stderr) = self.spawn(folder.path(), &secrets);
        let line = until("the sidecar listens", DEFAULT_TIMEOUT, async || {
            let ended = child.0.try_wait().expect("the status of the process");
            let listening = stdout.line("listening").or_else(|| stderr.line("listening"));
            assert!(
                listening.is_some() || ended.is_none(),
                "the sidecar exited: {ended:?} {} {}",
                stdout.text(),
                stderr.text()
            );
            listening
        })
        .await;
        let address = |field: &str| line[field].as_str().and_then(|text| text.parse().ok()).expect("an address");
        let ports = Ports::new(address("events"), address("admin"));
        SidecarProcess { child, folder, secrets, stdout, stderr, ports }
    }
}

/// Starts an AWS with [`World::new`] and a sidecar with `function`, and waits until the sidecar is ready.
///
/// # Panics
/// If it does not become ready within [`DEFAULT_TIMEOUT`].
pub async fn start_ready(function: Function) -> (Aws, SidecarProcess) {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).function(function).start().await;
    sidecar.wait_ready().await;
    (aws, sidecar)
}

/// The exit code and output of a sidecar that never listened.
#[derive(Debug)]
pub struct ExitOutput {
    /// The exit code; `None` if a signal ended the process.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

/// A running sidecar process. It is killed on drop.
#[derive(Debug)]
pub struct SidecarProcess {
    child: KillOnDrop,
    folder: TempDir,
    secrets: MountedSecrets,
    stdout: Output,
    stderr: Output,
    ports: Ports,
}

impl Deref for SidecarProcess {
    type Target = Ports;

    fn deref(&self) -> &Ports {
        &self.ports
    }
}

impl SidecarProcess {
    /// The process ID.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// The peak resident memory (VmHWM) in bytes.
    ///
    /// # Panics
    /// If `/proc` does not report it.
    pub fn peak_memory(&self) -> usize {
        crate::process::peak_memory(self.pid())
    }

    /// The current resident memory (VmRSS) in bytes.
    ///
    /// # Panics
    /// If `/proc` does not report it.
    pub fn memory_now(&self) -> usize {
        crate::process::memory_now(self.pid())
    }

    /// Whether the process is still running.
    ///
    /// # Panics
    /// If its status can't be read.
    pub fn is_alive(&mut self) -> bool {
        self.child.0.try_wait().expect("the status of the process").is_none()
    }

    /// All output so far: standard output, then standard error.
    pub fn output(&self) -> String {
        self.stdout.text() + &self.stderr.text()
    }

    /// The log lines on standard output whose `message` is this one.
    pub fn log_lines(&self, message: &str) -> Vec<Value> {
        self.stdout.lines(message)
    }

    /// Replaces all entries of a Secret. With no entries, the Secret is missing for the sidecar.
    pub fn publish<V: AsRef<[u8]>>(&self, r#use: SecretUse, entries: &[(&str, V)]) {
        self.secrets.publish(r#use, entries);
    }

    /// Replaces the external ID in its Secret.
    pub fn write_external_id(&self, value: &str) {
        self.publish(SecretUse::ExternalId, &[(EXTERNAL_ID_KEY, value)]);
    }

    /// Writes the shared credentials file.
    ///
    /// # Panics
    /// If the file can't be written.
    pub fn write_credentials(&self, id: &str, secret: &str) {
        let text = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
        std::fs::write(self.folder.path().join("credentials"), text).expect("a file");
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// If the command `kill` is missing or fails.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Stops the process with SIGSTOP, until [`resume`](Self::resume).
    ///
    /// # Panics
    /// If the command `kill` is missing or fails.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Continues the process after [`pause`](Self::pause).
    ///
    /// # Panics
    /// If the command `kill` is missing or fails.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(status.expect("the command kill").success(), "the sidecar is gone");
    }

    /// Kills the process with SIGKILL, as the kernel does when memory runs out.
    ///
    /// # Panics
    /// If it can't be killed.
    pub fn kill(mut self) {
        self.child.0.kill().expect("a process to kill");
    }

    /// Waits until the process has exited.
    ///
    /// # Panics
    /// If it has not exited after `within`.
    pub async fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        let child = &mut self.child.0;
        until("the sidecar exits", within, async || child.try_wait().expect("the status of the process")).await
    }
}

/// The path of a binary of this workspace, in the target folder of the running test.
///
/// # Panics
/// If it is not built.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not there; build it first: cargo build -p {name}", path.display());
    path
}
