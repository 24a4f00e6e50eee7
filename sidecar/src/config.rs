//! What the process is started with: everything is read and judged before a port is bound.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use tributary_crds::function::DeliveryMode;
use tributary_crds::sidecar_config::SidecarConfig;
use tributary_crds::values::Variable;

use tributary_telemetry::LogFormat;

/// Takes one destination function's events over HTTP and stores them in its S3 bucket.
///
/// The operator starts it in a cluster; `tributary run` runs the same code without one.
#[derive(Clone, Debug, Parser)]
#[command(name = "tributary-sidecar", version)]
pub struct Flags {
    /// The function, as the operator writes it: YAML with namespace, name and spec.
    #[arg(long, value_name = "FILE", default_value = "/etc/tributary/function.yaml")]
    pub config: PathBuf,

    /// The SHA-256 that the function must have: nobody but who started the sidecar can change it then.
    #[arg(long, env = "TRIBUTARY_CONFIG_SHA256", value_name = "HEX")]
    pub config_sha256: Option<String>,

    /// Where the function's Secrets are mounted: external-id, write-key, signature and tls below it.
    #[arg(long, value_name = "DIR", default_value = "/var/run/secrets/tributary")]
    pub secrets_dir: PathBuf,

    /// Where events are taken.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// Where the platform asks: /healthz, /readyz, /metrics, /status.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8081")]
    pub admin: SocketAddr,

    /// Seconds to go on accepting after SIGTERM, while a Service still leads here.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub drain_delay: u64,

    /// Seconds that requests may take to end after that.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub drain_grace: u64,

    /// Threads that work on requests, 1 to 256; by default as many as the CPU limit allows or the
    /// machine has, and at most 8.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub worker_threads: Option<u16>,

    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// The region whose STS is asked, unless the function names one.
    #[arg(long, env = "AWS_REGION", value_name = "REGION")]
    pub region: Option<String>,
}

/// Why the process can't start as it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system or the parser says.
        source: std::io::Error,
    },
    /// The file is not a function.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the system or the parser says.
        source: serde_yaml::Error,
    },
    /// The file is another function than the one that was meant.
    #[error(
        "{} is not what the operator wrote: its SHA-256 is {found}, and {expected} is expected; the operator makes \
         the ConfigMap again within seconds, and if it does not, delete it", path.display()
    )]
    Forged {
        /// The file.
        path: PathBuf,
        /// Its digest.
        found: String,
        /// The digest that it must have.
        expected: String,
    },
    /// The template of keys lacks something.
    #[error("spec.delivery.key has {0}")]
    Key(&'static str),
}

/// Worker threads where no flag says how many. Without a CPU limit a pod sees all cores of its node; a
/// sidecar has no use for more than these, and each costs memory and wake-ups.
const MAX_DEFAULT_WORKER_THREADS: usize = 8;

impl Flags {
    /// How many threads work on requests.
    pub fn worker_threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        self.worker_threads.map_or_else(|| cores().min(MAX_DEFAULT_WORKER_THREADS), usize::from)
    }

    /// How the servers end.
    pub fn drain(&self) -> crate::Drain {
        crate::Drain { delay: Duration::from_secs(self.drain_delay), grace: Duration::from_secs(self.drain_grace) }
    }
}

/// Reads the function, which must have the digest `expected`, if there is one.
///
/// # Errors
/// When the file can't be read, is not a function, is another one, or two of its objects could have one
/// key.
pub fn load(path: &Path, expected: Option<&str>) -> Result<SidecarConfig, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let config: SidecarConfig =
        serde_yaml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.to_owned(), source })?;
    if let Some(expected) = expected {
        let found = config.digest();
        if found != expected {
            return Err(ConfigError::Forged { path: path.to_owned(), found, expected: expected.to_owned() });
        }
    }
    distinct_keys(&config)?;
    Ok(config)
}

/// Refuses keys under which two objects could be one: the API server does too, but not of a file.
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
             {type}/{millis}-{batchId}.ndjson.gz",
        )),
        DeliveryMode::Object | DeliveryMode::Batch => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_worker_threads_as_cores_up_to_eight_unless_a_flag_says_otherwise() {
        let threads = |flags: &[&str]| {
            let always = ["tributary-sidecar", "--config", "function.yaml"];
            Flags::try_parse_from(always.iter().chain(flags)).unwrap().worker_threads()
        };
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!(threads(&[]), cores.min(8));
        assert_eq!(threads(&["--worker-threads", "64"]), 64);
    }
}
