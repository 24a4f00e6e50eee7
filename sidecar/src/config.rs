//! Command-line flags and the function's configuration file, both validated before a port is bound. The doc comments of
//! [`Flags`] are the text of `--help`.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use tributary_crds::function::DeliveryMode;
use tributary_crds::sidecar_config::SidecarConfig;
use tributary_crds::values::Variable;

use tributary_runtime::log::LogFormat;

/// Accepts one destination function's events over HTTP and stores them in its S3 bucket.
///
/// In a cluster the operator starts it; `tributary run` runs the same code without a cluster.
#[derive(Clone, Debug, Parser)]
#[command(name = "tributary-sidecar", version)]
pub struct Flags {
    /// File with the function, as the operator writes it: YAML with namespace, name and spec.
    #[arg(long, value_name = "FILE", default_value = "/etc/tributary/function.yaml")]
    pub config: PathBuf,

    /// Expected SHA-256 of the function, in hex: with any other function the sidecar does not start. By default it is
    /// not checked.
    #[arg(long, env = "TRIBUTARY_CONFIG_SHA256", value_name = "HEX")]
    pub config_sha256: Option<String>,

    /// Directory with the function's Secrets, in the subdirectories external-id, write-key, signature and tls.
    #[arg(long, value_name = "DIR", default_value = "/var/run/secrets/tributary")]
    pub secrets_dir: PathBuf,

    /// Address for clients that send events; the default is every IPv6 and IPv4 address.
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8080")]
    pub listen: SocketAddr,

    /// Address of the admin port: /healthz, /readyz, /metrics, /status.
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8081")]
    pub admin: SocketAddr,

    /// Seconds to keep accepting connections after SIGTERM, while the Service may still route clients here.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub drain_delay: u64,

    /// Seconds after the drain delay for which open requests are still answered; then the process exits.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub drain_grace: u64,

    /// Number of worker threads for requests, 1 to 256; by default the number of CPUs that the limit allows or the
    /// machine has, at most 8.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub worker_threads: Option<u16>,

    /// Format of log lines.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// AWS region whose STS is used, unless the function sets one; by default the bucket's region.
    #[arg(long, env = "AWS_REGION", value_name = "REGION", value_parser = region)]
    pub region: Option<String>,
}

/// Parses a region. It becomes part of a host name, so another text would look like an STS that can't be reached. An
/// empty variable counts as unset, as AWS's own tools treat it.
fn region(text: &str) -> Result<String, &'static str> {
    let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_region = text.len() <= 63 && text.bytes().all(is_valid) && !text.starts_with('-') && !text.ends_with('-');
    is_region.then(|| text.to_owned()).ok_or("a region has lower-case letters, digits and hyphens, like us-west-2")
}

/// Why the configuration can't be used; the process does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is not a valid function.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The path of the file.
        path: PathBuf,
        /// The error of the parser.
        source: serde_yaml::Error,
    },
    /// The function does not have the expected digest: it was changed by someone other than the operator.
    #[error(
        "{} was not written by the operator: its SHA-256 is {found}, and {expected} is expected; the operator \
         re-creates the ConfigMap within seconds; if it does not, delete the ConfigMap", path.display()
    )]
    DigestMismatch {
        /// The path of the file.
        path: PathBuf,
        /// The digest of the function in the file, SHA-256 in hex.
        found: String,
        /// The expected digest.
        expected: String,
    },
    /// `spec.delivery.key` lacks a variable that makes keys unique.
    #[error("spec.delivery.key has {0}")]
    Key(&'static str),
}

/// Maximum number of worker threads if no flag sets it. Without a CPU limit a pod sees all cores of its node; a sidecar
/// gains nothing from more threads than this, and each costs memory and wake-ups.
const MAX_DEFAULT_WORKER_THREADS: usize = 8;

impl Flags {
    /// The number of worker threads for requests.
    pub fn worker_threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        self.worker_threads.map_or_else(|| cores().min(MAX_DEFAULT_WORKER_THREADS), usize::from)
    }

    /// The drain periods of the server for events.
    pub fn drain(&self) -> crate::Drain {
        crate::Drain { delay: Duration::from_secs(self.drain_delay), grace: Duration::from_secs(self.drain_grace) }
    }
}

/// Reads the function from `path`; if `expected` is given, the function must have that digest
/// ([`SidecarConfig::digest`]).
///
/// # Errors
/// When the file can't be read, is not a valid function, has another digest, or its key template could give two objects
/// the same key.
pub fn load(path: &Path, expected: Option<&str>) -> Result<SidecarConfig, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let config: SidecarConfig =
        serde_yaml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.to_owned(), source })?;
    if let Some(expected) = expected {
        let found = config.digest();
        if found != expected {
            return Err(ConfigError::DigestMismatch { path: path.to_owned(), found, expected: expected.to_owned() });
        }
    }
    distinct_keys(&config)?;
    Ok(config)
}

/// Refuses a key template under which two objects could share a key. The API server refuses it too, but the file may
/// come from elsewhere.
fn distinct_keys(config: &SidecarConfig) -> Result<(), ConfigError> {
    let delivery = &config.spec.delivery;
    let lacks = |variable| delivery.key.as_ref().is_some_and(|key| !key.has(variable));
    match delivery.mode {
        DeliveryMode::Object if lacks(Variable::MessageId) => Err(ConfigError::Key(
            "no {messageId}, without which two events could share a key; write it like \
             {type}/{millis}-{messageId}.json",
        )),
        DeliveryMode::Batch if lacks(Variable::BatchId) => Err(ConfigError::Key(
            "no {batchId}, without which two batches could share a key; write it like \
             type={type}/{millis}-{batchId}.ndjson.gz",
        )),
        DeliveryMode::Object | DeliveryMode::Batch => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_threads_default_to_the_cores_up_to_eight() {
        let threads = |flags: &[&str]| {
            let always = ["tributary-sidecar", "--config", "function.yaml"];
            Flags::try_parse_from(always.iter().chain(flags)).unwrap().worker_threads()
        };
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!(threads(&[]), cores.min(8));
        assert_eq!(threads(&["--worker-threads", "64"]), 64);
    }
}
