//! What the process is started with: everything is read and judged before a port is bound.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use tributary_crds::function::DeliveryMode;
use tributary_crds::sidecar_config::SidecarConfig;
use tributary_crds::values::Variable;

use crate::telemetry::LogFormat;

/// Takes one destination function's events over HTTP and stores them in its S3 bucket.
///
/// The operator starts it in a cluster; `tributary run` runs the same code without one.
#[derive(Clone, Debug, Parser)]
#[command(name = "tributary-sidecar", version)]
pub struct Flags {
    /// The function, as the operator writes it: YAML with namespace, name and spec.
    #[arg(long, value_name = "FILE", default_value = "/etc/tributary/function.yaml")]
    pub config: PathBuf,

    /// The folder that the Secret with the external ID is mounted on.
    #[arg(long, value_name = "DIR", default_value = "/var/run/secrets/tributary/external-id")]
    pub external_id_dir: PathBuf,

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
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a function.
    #[error("{}: {source}", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_yaml::Error,
    },
    /// The function asks for what this version does not do.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl Flags {
    /// How the servers end.
    pub fn drain(&self) -> crate::Drain {
        crate::Drain { delay: Duration::from_secs(self.drain_delay), grace: Duration::from_secs(self.drain_grace) }
    }
}

/// An error on one line: of clap's, the first paragraph, which says what is wrong; the rest is the
/// usage.
pub fn one_line(error: &str) -> String {
    let paragraph = error.split("\n\n").next().unwrap_or(error).trim_start_matches("error: ");
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads the function.
///
/// # Errors
/// When the file can't be read, is not a function, or asks for what can't be done.
pub fn load(path: &Path) -> Result<SidecarConfig, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let config: SidecarConfig =
        serde_yaml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.to_owned(), source })?;
    supported(&config)?;
    Ok(config)
}

/// Refuses what would otherwise be left out in silence.
///
/// # Errors
/// When the function asks for something that this version does not do.
pub fn supported(config: &SidecarConfig) -> Result<(), ConfigError> {
    let spec = &config.spec;
    if spec.delivery.mode == DeliveryMode::Batch {
        return Err(ConfigError::Unsupported("spec.delivery.mode: Batch is not supported yet; use Object"));
    }
    if spec.delivery.key.as_ref().is_some_and(|key| !key.has(Variable::MessageId)) {
        return Err(ConfigError::Unsupported(
            "spec.delivery.key has no {messageId}, without which two events could share a key; write it like \
             {type}/{millis}-{messageId}.json",
        ));
    }
    if spec.ingest.as_ref().is_some_and(|ingest| {
        ingest.write_key_secret_ref.is_some()
            || ingest.signature_secret_ref.is_some()
            || ingest.tls_secret_ref.is_some()
            || ingest.cors.is_some()
    }) {
        return Err(ConfigError::Unsupported("of spec.ingest only maxEventBytes is supported yet; leave the rest out"));
    }
    Ok(())
}
