//! The sidecar's binary: parses flags, loads the function, starts logging, binds the ports, runs and drains.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use tracing::{error, info};
use tributary_crds::function::DestinationFunctionSpec;
use tributary_crds::sidecar_config::SidecarConfig;
use tributary_runtime::{errors, listen, log, open_files, signals};
use tributary_sidecar::clock::MachineClock;
use tributary_sidecar::config::{self, Flags};
use tributary_sidecar::{AwsChanges, BaseIdentity, Dependencies, Endpoints, Network, Sidecar};

/// Exit code for invalid flags or configuration: EX_USAGE of sysexits.h.
const USAGE: u8 = 64;

/// jemalloc returns memory to the kernel after a burst and uses less CPU per event than glibc's allocator
/// (docs/performance.md). Its settings are in `.cargo/config.toml`.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if error.use_stderr() => return usage(&error.to_string()),
        Err(help) => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let config = match config::load(&flags.config, flags.config_sha256.as_deref()) {
        Ok(config) => config,
        Err(error) => return usage(&error.to_string()),
    };
    let network = match network(&config) {
        Ok(network) => network,
        Err(error) => return usage(&error),
    };
    let log = log::start(log::targets(config.spec.log_level), flags.log_format);
    // Explicitly, since rustls can't choose a default if several providers are compiled in.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    info!(version = env!("CARGO_PKG_VERSION"), namespace = config.namespace, function = config.name, "starting");

    let dependencies = Dependencies {
        identity: BaseIdentity::Chain,
        secrets: flags.secrets_dir.clone(),
        endpoints: endpoints(&config.spec),
        network,
        // An empty variable counts as unset, as AWS's own tools treat it.
        region: flags.region.clone().filter(|region| !region.is_empty()),
        clock: Arc::new(MachineClock::new()),
        // In a cluster nothing reports a change.
        aws_changes: AwsChanges::default(),
        drain: flags.drain(),
        log: Some(log),
    };
    match run(&flags, Sidecar::new(config, dependencies)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The S3 and STS endpoints of the environment, where the function sets none.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
fn endpoints(spec: &DestinationFunctionSpec) -> Endpoints {
    let named = |name, by_function: bool| std::env::var(name).ok().filter(|_| !by_function);
    let sts = spec.sts.as_ref().is_some_and(|sts| sts.endpoint.is_some());
    Endpoints { s3: named("AWS_ENDPOINT_URL_S3", spec.s3.endpoint.is_some()), sts: named("AWS_ENDPOINT_URL_STS", sts) }
}

/// How AWS is reached: by the environment, and with the platform's authorities.
fn network(config: &SidecarConfig) -> Result<Network, String> {
    let Network { proxies, authorities, variant } = Network::of_environment()?;
    let authorities = match &config.ca_bundle {
        Some(own) => authorities.and(own).map_err(|why| format!("caBundle of the configuration: {why}"))?,
        None => authorities,
    };
    Ok(Network { proxies, authorities, variant })
}

/// Prints the error in the flags or the function on one line; returns [`USAGE`].
fn usage(error: &str) -> ExitCode {
    eprintln!("tributary-sidecar: {}", errors::one_line(error));
    ExitCode::from(USAGE)
}

fn run(flags: &Flags, sidecar: Sidecar) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(flags.worker_threads()).enable_all().build();
    let runtime = runtime.context("starting the worker threads")?;
    let result = runtime.block_on(serve(flags, sidecar));
    // No client waits for the remaining tasks. A DNS lookup can't be interrupted, so waiting for it would delay the
    // exit for as long as a name server does not answer.
    runtime.shutdown_background();
    result
}

async fn serve(flags: &Flags, sidecar: Sidecar) -> anyhow::Result<()> {
    open_files::raise_limit();
    let bind = |address| listen(address).with_context(|| format!("binding {address}"));
    let (events, admin) = (bind(flags.listen)?, bind(flags.admin)?);
    info!(events = %events.local_addr()?, admin = %admin.local_addr()?, "listening");
    sidecar.run(events, admin, signals::shutdown()?).await;
    Ok(())
}
