//! Builds, configures and starts the release sidecar, and waits until it is ready.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tributary_crds::sidecar_config::SecretUse;

use crate::double::{self, Double};
use crate::external::log_tail;
use crate::response::Reader;
use crate::tls::{CERTIFICATE_FILE, Certificates, KEY_FILE};

/// Time limit for the sidecar to be ready, which includes its first session.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// Interval at which it is polled until then.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The sidecar's delivery mode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delivery {
    Object,
    Batch(BatchSettings),
}

/// The settings of Batch mode; everything else has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchSettings {
    pub max_age: Option<Duration>,
    /// Whether batches are compressed with Zstandard instead of gzip.
    pub zstd: bool,
}

/// How a sidecar is set up.
pub struct Setup<'a> {
    /// The double that it uses as S3 and STS.
    pub double: &'a Double,
    pub delivery: Delivery,
    /// The certificate for clients; `None` to serve them without TLS.
    pub client_tls: Option<&'a Certificates>,
    /// `None` for its default.
    pub worker_threads: Option<u16>,
}

impl Setup<'_> {
    /// A sidecar that serves clients without TLS, with its default number of worker threads.
    pub fn new(double: &Double, delivery: Delivery) -> Setup<'_> {
        Setup { double, delivery, client_tls: None, worker_threads: None }
    }
}

/// The sidecar to load.
#[derive(Args)]
pub struct Binary {
    /// Path of a sidecar binary [default: what `cargo build --release -p tributary-sidecar` builds].
    #[arg(long, value_name = "PATH")]
    sidecar: Option<PathBuf>,
}

impl Binary {
    /// The path of the sidecar's binary, which is built if none is given.
    pub async fn path(&self) -> Result<PathBuf> {
        match &self.sidecar {
            Some(path) => Ok(path.clone()),
            None => build().await,
        }
    }
}

/// Builds the sidecar in release mode, and returns the path of its binary.
async fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "-p", "tributary-sidecar", "--message-format=json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("running cargo")?;
    ensure!(output.status.success(), "the sidecar does not build");
    executable(&String::from_utf8_lossy(&output.stdout)).context("tributary-sidecar has no binary; give --sidecar PATH")
}

/// The path of the sidecar's binary in cargo's messages, which are one JSON object per line.
fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    messages
        .filter(|message| message["target"]["name"] == "tributary-sidecar")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// A running sidecar.
pub struct Sidecar {
    /// Kills the process when dropped.
    child: Child,
    /// Configuration, external ID and log; removed when dropped.
    folder: TempDir,
    pub pid: u32,
    pub address: SocketAddr,
    /// Time from the start of the process until `/healthz` answered 200.
    pub healthy_after: Duration,
    /// Time from the start of the process until `/readyz` answered 200: it has a session, and has checked the bucket.
    pub ready_after: Duration,
}

impl Sidecar {
    /// Starts `binary` and waits until it is ready.
    pub async fn start(binary: &Path, setup: &Setup<'_>) -> Result<Sidecar> {
        let folder = TempDir::new()?;
        let config = folder.path().join("config.yaml");
        let external_id = folder.path().join(SecretUse::ExternalId.folder());
        fs::write(&config, configuration(setup))?;
        fs::create_dir(&external_id)?;
        fs::write(external_id.join("externalId"), double::EXTERNAL_ID)?;

        if let Some(certificates) = setup.client_tls {
            let tls = folder.path().join(SecretUse::Tls.folder());
            fs::create_dir(&tls)?;
            for file in [CERTIFICATE_FILE, KEY_FILE] {
                fs::copy(certificates.folder().join(file), tls.join(file))?;
            }
        }

        let [address, admin] = free_addresses()?;
        let started = Instant::now();
        let child = Command::new(binary)
            .arg("--config")
            .arg(&config)
            .arg("--secrets-dir")
            .arg(folder.path())
            .args(["--listen", &address.to_string(), "--admin", &admin.to_string()])
            .args(setup.worker_threads.map(|threads| format!("--worker-threads={threads}")))
            // The machine's own AWS settings must not affect the sidecar.
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", double::ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", double::SECRET_ACCESS_KEY)
            .env("AWS_REGION", double::REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(setup.double.authority().map(|authority| ("SSL_CERT_FILE", authority)))
            .stdin(Stdio::null())
            .stdout(File::create(log(&folder))?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let pid = child.id().context("the sidecar has exited")?;
        let mut sidecar =
            Sidecar { child, folder, pid, address, healthy_after: Duration::ZERO, ready_after: Duration::ZERO };
        sidecar.healthy_after = sidecar.wait_for(admin, "/healthz", started).await?;
        sidecar.ready_after = sidecar.wait_for(admin, "/readyz", started).await?;
        Ok(sidecar)
    }

    /// The last lines of its log, for an error.
    pub fn log_tail(&self) -> String {
        log_tail(&log(&self.folder))
    }

    /// Waits until `path` answers 200. Returns how long after `started` that was.
    async fn wait_for(&mut self, admin: SocketAddr, path: &str, started: Instant) -> Result<Duration> {
        while !answers_200(admin, path).await {
            if let Some(status) = self.child.try_wait()? {
                bail!("the sidecar exited with {status}{}", self.log_tail());
            }
            ensure!(started.elapsed() < READY_TIMEOUT, "{path} is not 200{}", self.log_tail());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(started.elapsed())
    }
}

fn log(folder: &TempDir) -> PathBuf {
    folder.path().join("log")
}

/// Two addresses with free ports. If another process takes one before the sidecar does, the sidecar fails to start with
/// an error.
fn free_addresses() -> Result<[SocketAddr; 2]> {
    let listeners = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
    Ok([listeners[0].local_addr()?, listeners[1].local_addr()?])
}

/// Whether `path` answers 200. Any other answer, or none, means "not yet".
async fn answers_200(admin: SocketAddr, path: &str) -> bool {
    let exchange = async {
        let mut stream = TcpStream::connect(admin).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {admin}\r\n\r\n").as_bytes()).await?;
        Reader::default().read(&mut stream).await.map(|response| response.status)
    };
    matches!(tokio::time::timeout(READY_TIMEOUT, exchange).await, Ok(Ok(200)))
}

/// The sidecar's configuration file.
fn configuration(setup: &Setup<'_>) -> String {
    let (role_arn, bucket, region) = (double::ROLE_ARN, double::BUCKET, double::REGION);
    let aws = setup.double.endpoint();
    let ingest = if setup.client_tls.is_some() { "{tlsSecretRef: {name: bench}}" } else { "{}" };
    let delivery = match setup.delivery {
        Delivery::Object => "{mode: Object}".to_owned(),
        Delivery::Batch(BatchSettings { max_age, zstd }) => {
            let max_age = max_age.map(|age| format!(", maxAge: {}ms", age.as_millis())).unwrap_or_default();
            let compression = if zstd { "zstd" } else { "gzip" };
            format!("{{mode: Batch, batch: {{compression: {compression}{max_age}}}}}")
        }
    };
    format!(
        "namespace: default\n\
         name: bench\n\
         spec:\n  \
           roleArn: {role_arn}\n  \
           externalIdSecretRef: {{name: bench}}\n  \
           s3: {{bucket: {bucket}, region: {region}, endpoint: \"{aws}\", forcePathStyle: true}}\n  \
           sts: {{endpoint: \"{aws}\"}}\n  \
           ingest: {ingest}\n  \
           delivery: {delivery}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_in_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"tributary_sidecar"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"tributary-sidecar"},"executable":"/t/release/tributary-sidecar"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/release/tributary-sidecar")));
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    }

    #[test]
    fn the_two_addresses_differ() {
        let [address, admin] = free_addresses().unwrap();
        assert_ne!(address, admin);
    }
}
