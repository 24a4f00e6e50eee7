//! What the process is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use tributary_crds::function::LogLevel;
use tributary_telemetry::LogFormat;

use crate::watch::Scope;

/// Makes a running sidecar of every DestinationFunction, and keeps its status true.
///
/// The Helm chart starts it. Several replicas may run: one leads, the others stand by.
#[derive(Clone, Debug, Parser)]
#[command(name = "tributary-operator", version)]
pub struct Flags {
    /// What the platform says: images, bounds, base identities, policy; YAML, as the chart writes it.
    #[arg(long, value_name = "FILE", default_value = "/etc/tributary/platform.yaml")]
    pub platform: PathBuf,

    /// A namespace to look after functions in; may be given several times. Without it, all.
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,

    /// The Lease that the leader holds.
    #[arg(long, value_name = "NAME", default_value = "tributary-operator")]
    pub lease: String,

    /// The Lease's namespace; by default the process's own.
    #[arg(long, value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,

    /// What the process is called in the Lease: no two at once may be called the same.
    #[arg(long, env = "HOSTNAME", value_name = "NAME")]
    pub identity: String,

    /// Where the platform asks: /healthz, /readyz, /metrics.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// Seconds after which a watch is begun anew. Load balancers drop connections that say nothing for
    /// longer than about 240.
    #[arg(long, value_name = "SECONDS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=290))]
    pub watch_timeout: u32,

    /// How much is logged.
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log_level)]
    pub log_level: LogLevel,

    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    serde_yaml::from_str(text).map_err(|_| "it is one of error, warn, info, debug and trace".to_owned())
}

impl Flags {
    /// Where functions are looked after.
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
