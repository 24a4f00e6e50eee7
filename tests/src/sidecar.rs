//! The built binary, started as the operator starts it.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tributary_crds::sidecar_config::SecretUse;

use crate::mounted::Mounted;
use crate::output::Output;
use crate::wait::{SOON, until};
use crate::world::{ACCESS_KEY_ID, EXTERNAL_ID, SECRET_ACCESS_KEY};
use crate::{Aws, Function, Ports, World};

/// The key of the Secret.
const KEY: &str = "externalId";

/// How a sidecar is started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The function.
    pub function: Function,
    /// What its Secrets hold.
    pub secrets: Vec<(SecretUse, &'static str, String)>,
    /// The base identity's keys in the environment; without, a credentials file that may come later.
    pub keys: Option<(&'static str, &'static str)>,
    /// Where S3 is.
    pub s3: String,
    /// Where STS is.
    pub sts: String,
    /// Whom it trusts to be AWS. With this, `s3` and `sts` are not used: it asks AWS's own names.
    pub trusted: Option<PathBuf>,
    /// Where it takes events.
    pub listen: String,
    /// More flags.
    pub flags: Vec<&'static str>,
}

impl Setup {
    /// One in which everything is right.
    pub fn new(aws: &Aws) -> Self {
        Self {
            function: Function::new(),
            secrets: vec![(SecretUse::ExternalId, KEY, EXTERNAL_ID.to_owned())],
            keys: Some((ACCESS_KEY_ID, SECRET_ACCESS_KEY)),
            s3: aws.endpoint(),
            sts: aws.endpoint(),
            trusted: None,
            listen: "127.0.0.1:0".to_owned(),
            flags: vec!["--drain-delay", "0"],
        }
    }

    /// With another function.
    #[must_use]
    pub fn function(mut self, function: Function) -> Self {
        self.function = function;
        self
    }

    /// As in production: it asks AWS's own names, and trusts the certificates in this file.
    #[must_use]
    pub fn trusting(mut self, certificates: &Path) -> Self {
        self.trusted = Some(certificates.to_owned());
        self
    }

    /// With one more key of a Secret.
    #[must_use]
    pub fn secret(mut self, r#use: SecretUse, key: &'static str, value: &str) -> Self {
        self.secrets.push((r#use, key, value.to_owned()));
        self
    }

    /// With nothing but this in the external ID's Secret.
    #[must_use]
    pub fn external_id(mut self, entries: &[(&'static str, &str)]) -> Self {
        self.secrets.retain(|(r#use, ..)| *r#use != SecretUse::ExternalId);
        entries.iter().fold(self, |setup, (key, value)| setup.secret(SecretUse::ExternalId, key, value))
    }

    /// The command, with its files in `folder`.
    ///
    /// # Panics
    /// If the files can't be written.
    fn command(&self, folder: &Path, secrets: &Mounted) -> Command {
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
            // Nothing of whoever runs the tests: no profile, no region, no proxy.
            .env_clear()
            .env("HOME", folder)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_SHARED_CREDENTIALS_FILE", folder.join("credentials"))
            .stdin(Stdio::null());
        match &self.trusted {
            Some(certificates) => command.env("SSL_CERT_FILE", certificates),
            None => command.env("AWS_ENDPOINT_URL_S3", &self.s3).env("AWS_ENDPOINT_URL_STS", &self.sts),
        };
        if let Some((id, secret)) = self.keys {
            command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
        }
        command
    }

    /// Starts the process, with all that it writes.
    fn spawn(&self, folder: &Path, secrets: &Mounted) -> (Killed, Output, Output) {
        let (stdout, stderr) = (Output::new(), Output::new());
        let child = self.command(folder, secrets).stdout(stdout.stdio()).stderr(stderr.stdio()).spawn();
        (Killed(child.expect("a process")), stdout, stderr)
    }

    /// Runs it to its end, which comes before it listens.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn run(&self) -> Ended {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secrets = Mounted::new(folder.path().join("secrets"));
        let (mut child, stdout, stderr) = self.spawn(folder.path(), &secrets);
        let status =
            until("the sidecar has ended", SOON, async || child.0.try_wait().expect("a process to ask for")).await;
        Ended { code: status.code(), stdout: stdout.text(), stderr: stderr.text() }
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    /// If it does not.
    pub async fn start(&self) -> SidecarProcess {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secrets = Mounted::new(folder.path().join("secrets"));
        let (mut child, stdout, stderr) = self.spawn(folder.path(), &secrets);
        let line = until("the sidecar listens", SOON, async || {
            let ended = child.0.try_wait().expect("a process to ask for");
            let listening = stdout.line("listening").or_else(|| stderr.line("listening"));
            assert!(listening.is_some() || ended.is_none(), "it ended: {ended:?} {} {}", stdout.text(), stderr.text());
            listening
        })
        .await;
        let address = |field: &str| line[field].as_str().and_then(|text| text.parse().ok()).expect("an address");
        let ports = Ports::new(address("events"), address("admin"));
        SidecarProcess { child, folder, secrets, stdout, stderr, ports }
    }
}

/// An AWS in which everything is right, and a sidecar of `function` that is ready.
///
/// # Panics
/// If it does not get so.
pub async fn started(function: Function) -> (Aws, SidecarProcess) {
    let aws = Aws::start(&World::new()).await;
    let sidecar = Setup::new(&aws).function(function).start().await;
    sidecar.wait_ready().await;
    (aws, sidecar)
}

/// How a sidecar that never listened ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// And to standard error.
    pub stderr: String,
}

/// A process that does not outlive the test.
#[derive(Debug)]
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A sidecar that runs.
#[derive(Debug)]
pub struct SidecarProcess {
    child: Killed,
    folder: TempDir,
    secrets: Mounted,
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
    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// The most memory that it has taken, in bytes.
    ///
    /// # Panics
    /// Where the kernel does not say.
    pub fn peak_memory(&self) -> usize {
        crate::process::peak_memory(self.pid())
    }

    /// The memory that it takes now, in bytes.
    ///
    /// # Panics
    /// If the kernel does not say.
    pub fn memory_now(&self) -> usize {
        crate::process::memory_now(self.pid())
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// If it can't be asked for.
    pub fn is_alive(&mut self) -> bool {
        self.child.0.try_wait().expect("a process to ask for").is_none()
    }

    /// Everything it has written so far.
    pub fn output(&self) -> String {
        self.stdout.text() + &self.stderr.text()
    }

    /// All log lines with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        self.stdout.lines(message)
    }

    /// Makes a Secret hold these and nothing else; with nothing at all, it is gone.
    pub fn publish<V: AsRef<[u8]>>(&self, r#use: SecretUse, entries: &[(&str, V)]) {
        self.secrets.publish(r#use, entries);
    }

    /// Rotates the external ID.
    pub fn write_external_id(&self, value: &str) {
        self.publish(SecretUse::ExternalId, &[(KEY, value)]);
    }

    /// Writes the shared credentials file.
    ///
    /// # Panics
    /// If it can't.
    pub fn write_credentials(&self, id: &str, secret: &str) {
        let text = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
        std::fs::write(self.folder.path().join("credentials"), text).expect("a file");
    }

    /// Asks it to end.
    ///
    /// # Panics
    /// If there is no `kill`.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Takes all processor time from it, until it is resumed.
    ///
    /// # Panics
    /// If there is no `kill`.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If there is no `kill`.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(status.expect("the command kill").success(), "the sidecar is gone");
    }

    /// Ends it as the kernel does when memory runs out.
    ///
    /// # Panics
    /// If it can't be killed.
    pub fn kill(mut self) {
        self.child.0.kill().expect("a process to kill");
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// If it does not.
    pub async fn wait_end(&mut self, within: Duration) -> ExitStatus {
        let child = &mut self.child.0;
        until("the sidecar has ended", within, async || child.try_wait().expect("a process to ask for")).await
    }
}

/// A binary of this workspace, beside the test that runs.
///
/// # Panics
/// If it was not built.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not there; build it first: cargo build -p {name}", path.display());
    path
}
