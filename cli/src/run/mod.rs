//! `tributary run`: runs one function from a file, without a cluster and, by default, without AWS.
//!
//! The sidecar is the same code that runs in a pod. This module replaces the cluster: it writes the Secrets to
//! folders as the kubelet does, rolls the sidecar when the function is edited, and prints the sidecar's conditions.
//! [`supervisor`] is its main loop, [`cloud`] provides the embedded or the real AWS, and [`console`] prints.

mod cloud;
mod console;
mod embedded_accounts;
mod first_event;
mod function;
mod mount;
mod repetitions;
mod screen;
mod stopped;
mod supervisor;
mod watched_file;

use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use tributary_crds::function::LogLevel;
use tributary_runtime::log::{self, LogFormat, Targets};

use crate::{Outcome, address, cannot_listen};
use cloud::Cloud;
use console::Console;
use screen::Screen;
use supervisor::Supervisor;

/// Runs a function from a file, with an embedded S3 and STS.
///
/// The embedded AWS enforces AWS's rules: it requires the external ID, checks signatures and session
/// policies, and expires sessions. Its accounts come from --accounts; without --accounts, they match the function as
/// it is at the start. Edits of either file take effect while the function runs.
#[derive(clap::Args)]
#[command(after_help = "\
The embedded S3 stores objects as files, DIR/<bucket>/<key>. Ctrl-C or SIGTERM answers the requests in
flight, prints a summary and exits; a second one exits immediately. The exit code is 1 if requests got
no answer.

Examples:
  tributary run examples/orders.yaml
  tributary run examples/orders.yaml --accounts examples/accounts.yaml
  tributary run function.yaml --aws")]
pub struct Arguments {
    /// YAML file with one DestinationFunction and its Secrets; - reads standard input, once
    file: PathBuf,

    /// Address that receives events
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    listen: SocketAddr,

    /// Address of /healthz, /readyz, /metrics and /status
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081", value_parser = address)]
    admin: SocketAddr,

    /// Directory in which the embedded S3 stores objects
    #[arg(long, value_name = "DIR", default_value = "tributary-data", conflicts_with = "aws")]
    data: PathBuf,

    /// YAML file with accounts, roles, users, buckets and faults of the embedded AWS
    #[arg(long, value_name = "FILE", conflicts_with = "aws")]
    accounts: Option<PathBuf>,

    /// Use the real AWS, or the endpoints in the function's spec, with AWS's default credential chain
    #[arg(long)]
    aws: bool,

    /// Also print the sidecar's log, at the level of spec.logLevel
    #[arg(long)]
    logs: bool,
}

/// Runs the function until Ctrl-C or SIGTERM.
pub fn run(arguments: &Arguments) -> Outcome {
    match prepare(arguments) {
        Ok(supervisor) => supervisor.run(),
        Err(outcome) => outcome,
    }
}

/// Reads the files and binds the ports, so that mistakes are reported before anything runs.
fn prepare(arguments: &Arguments) -> Result<Supervisor, Outcome> {
    let function = function::WatchedFunction::load(&arguments.file).map_err(Outcome::Usage)?;
    let cloud = if arguments.aws {
        Cloud::real().map_err(Outcome::Usage)?
    } else {
        Cloud::embedded(&arguments.data, arguments.accounts.as_deref(), function.current()).map_err(Outcome::Usage)?
    };
    let listen = |address: SocketAddr, flag| {
        TcpListener::bind(address).map_err(|error| Outcome::Error(cannot_listen(address, &error, flag)))
    };
    let (events, admin) = (listen(arguments.listen, "--listen")?, listen(arguments.admin, "--admin")?);
    let log_level = function.current().config.spec.log_level;
    let log = arguments.logs.then(|| log::start(targets(log_level), log_format()));
    Ok(Supervisor { function, cloud, events, admin, console: Console::new(Screen::new(arguments.logs)), log })
}

/// On a terminal, text without colours, like the console's lines; elsewhere JSON.
fn log_format() -> LogFormat {
    if io::stdout().is_terminal() { LogFormat::Text } else { LogFormat::Json }
}

/// The log targets at `level`, without s3s, which logs every refusal as an error with the request's headers.
fn targets(level: LogLevel) -> Targets {
    log::targets(level).with_target("s3s", None)
}
