//! The operator's process: flags, platform file, logs, admin port, then lead or stand by until a signal.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use kube::api::Api;
use kube::{Client, Config};
use tracing::{error, info};
use tributary_operator::client::{WatchActivity, connect, without_retries};
use tributary_operator::leader::{Elector, Leadership};
use tributary_operator::metrics::Metrics;
use tributary_operator::operator::Operator;
use tributary_operator::platform::Platform;
use tributary_operator::process::admin;
use tributary_operator::process::flags::Flags;
use tributary_operator::process::health::Health;
use tributary_operator::status::events::Events;
use tributary_runtime::{errors, listen, log, signals};

/// Exit code for wrong flags or a wrong platform file: EX_USAGE of sysexits.h.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if error.use_stderr() => return usage(&error.to_string()),
        Err(help) => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let platform = match Platform::load(&flags.platform) {
        Ok(platform) => platform,
        Err(error) => return usage(&error.to_string()),
    };
    log::start(log::targets(flags.log_level), flags.log_format);
    // rustls needs one process-wide provider before the first use of TLS.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    info!(version = env!("CARGO_PKG_VERSION"), identity = flags.identity, sidecar = platform.sidecar.image, "starting");
    match run(&flags, platform) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the error in the flags or the platform file on one line.
fn usage(error: &str) -> ExitCode {
    eprintln!("tributary-operator: {}", errors::one_line(error));
    ExitCode::from(USAGE)
}

#[tokio::main]
async fn run(flags: &Flags, mut platform: Platform) -> anyhow::Result<()> {
    use anyhow::Context;

    let shutdown = signals::shutdown()?;
    let config = Config::infer().await.context("finding a cluster")?;
    let (leadership, activity, metrics) = (Leadership::none(), WatchActivity::default(), Metrics::new());
    let health = Health::new(leadership.clone(), activity.clone(), flags.watch_timeout);
    let listener = listen(flags.listen).with_context(|| format!("binding {}", flags.listen))?;
    info!(admin = %listener.local_addr()?, "listening");
    tokio::spawn(admin::serve(listener, Arc::clone(&health), Arc::clone(&metrics)));

    let namespace = flags.lease_namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    // A separate client without the leadership fence: a standby must be able to acquire the Lease.
    let leases = Api::namespaced(Client::try_from(without_retries(&config))?, &namespace);
    let mut elector = Elector::new(leases, flags.lease.clone(), flags.identity.clone(), leadership.clone());
    let counted = Arc::clone(&metrics);
    let client = connect(&config, &leadership, &activity, move |request| counted.api_request(request))?;
    let events = Events::new(client.clone(), &flags.identity, &flags.lease, &namespace);
    platform.operator = Some(format!("{namespace}/{}", flags.lease));
    let operator = Operator::new(client, flags, events, platform, metrics, health);
    tokio::select! {
        () = lead_when_elected(&mut elector, &operator) => {}
        () = shutdown => {}
    }
    info!("ending");
    elector.release().await;
    Ok(())
}

async fn lead_when_elected(elector: &mut Elector, operator: &Operator) {
    loop {
        elector.acquire().await;
        tokio::select! {
            () = elector.renew_while_holding() => {}
            () = operator.run_controllers() => {}
        }
        operator.stand_by();
    }
}
