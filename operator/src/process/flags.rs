//! Command-line flags. Their doc comments are the text of `--help`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use tributary_crds::function::LogLevel;
use tributary_runtime::log::LogFormat;

use crate::watch::Scope;

/// Runs the sidecars of every DestinationFunction, and keeps its status up to date.
///
/// The Helm chart starts it. Several replicas may run: one leads, the others stand by.
#[derive(Clone, Debug, Parser)]
#[command(name = "tributary-operator", version)]
pub struct Flags {
    /// The platform's settings: images, limits, base identities, policy; YAML, as the chart writes it.
    #[arg(long, value_name = "FILE", default_value = "/etc/tributary/platform.yaml")]
    pub platform: PathBuf,

    /// A namespace whose functions to manage; may be repeated. Without it, all namespaces.
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,

    /// Name of the Lease that the leader holds.
    #[arg(long, value_name = "NAME", default_value = "tributary-operator")]
    pub lease: String,

    /// Namespace of the Lease; by default the process's own.
    #[arg(long, value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,

    /// Identity of the process in the Lease; must be unique among the replicas.
    #[arg(long, env = "HOSTNAME", value_name = "NAME")]
    pub identity: String,

    /// Address of the admin port: /healthz, /readyz, /metrics.
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8080")]
    pub listen: SocketAddr,

    /// Seconds after which a watch is restarted. Load balancers drop connections that are idle for more than about 240.
    #[arg(long, value_name = "SECONDS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=290))]
    pub watch_timeout: u32,

    /// Log level: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log_level)]
    pub log_level: LogLevel,

    /// Format of log lines.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    serde_yaml::from_str(text).map_err(|_| "it must be one of error, warn, info, debug and trace".to_owned())
}

impl Flags {
    /// One scope per namespace given, without duplicates; the whole cluster if none is.
    pub fn scopes(&self) -> Vec<Scope> {
        if self.namespaces.is_empty() {
            return vec![Scope::Cluster];
        }
        let mut namespaces = self.namespaces.clone();
        namespaces.sort_unstable();
        namespaces.dedup();
        namespaces.into_iter().map(Scope::Namespace).collect()
    }
}
