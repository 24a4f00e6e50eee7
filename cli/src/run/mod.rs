//! `tributary run`: one function of a file, with no cluster and, unless asked for, no cloud.
//!
//! The sidecar is the very code that a pod runs. What a cluster does around it is done here: the
//! Secret is put into a folder as the kubelet would, an edited function is rolled, and what the
//! sidecar says of itself is shown. [`cloud`] is the AWS around it.

mod account_book;
mod cloud;
mod console;
mod first_event;
mod folded;
mod function;
mod mount;
mod screen;
mod supervisor;
mod watched;

use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use tributary_crds::function::LogLevel;
use tributary_telemetry::{self as telemetry, LogFormat, Targets};

use crate::Outcome;
use cloud::Cloud;
use console::Console;
use screen::Screen;
use supervisor::Supervisor;

/// Runs a function of a file, with an S3 and an STS of its own.
///
/// The embedded AWS keeps AWS's rules: it demands the external ID, checks signatures and session
/// policies, and ends sessions. It is set up to match the file as it is at the start, or from an
/// accounts file of yours. Edits of both files are taken up while it runs.
#[derive(clap::Args)]
#[command(after_help = "\
Objects land as files in DIR/<bucket>/<key>. Ctrl-C answers what is in flight and ends it, with a
summary; a second Ctrl-C ends it at once. The exit code is 1 if requests are left without an answer.

Examples:
  tributary run examples/orders.yaml
  tributary run examples/orders.yaml --accounts examples/accounts.yaml
  tributary run function.yaml --aws")]
pub struct Arguments {
    /// YAML documents: one DestinationFunction and the Secret with its external ID; - is standard input, whose
    /// edits nobody can see
    file: PathBuf,

    /// Where events are taken
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Where /healthz, /readyz, /metrics and /status are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    admin: SocketAddr,

    /// Where the embedded S3 keeps its objects
    #[arg(long, value_name = "DIR", default_value = "tributary-data", conflicts_with = "aws")]
    data: PathBuf,

    /// Accounts, roles, principals, buckets and faults of the embedded AWS, as YAML
    #[arg(long, value_name = "FILE", conflicts_with = "aws")]
    accounts: Option<PathBuf>,

    /// Use the real AWS, or the endpoints that the function names, with the usual credentials
    #[arg(long)]
    aws: bool,

    /// Print the sidecar's own log too, as much of it as spec.logLevel says
    #[arg(long)]
    logs: bool,
}

/// Runs until Ctrl-C or SIGTERM.
pub fn run(arguments: &Arguments) -> Outcome {
    match prepare(arguments) {
        Ok(supervisor) => supervisor.run(),
        Err(outcome) => outcome,
    }
}

/// Everything that can be wrong before something runs.
fn prepare(arguments: &Arguments) -> Result<Supervisor, Outcome> {
    let usage = |says: String| Outcome::Usage(says);
    let function = function::Watched::load(&arguments.file).map_err(usage)?;
    let cloud = if arguments.aws {
        Cloud::real()
    } else {
        Cloud::embedded(&arguments.data, arguments.accounts.as_deref(), function.current()).map_err(usage)?
    };
    let listen = |address: SocketAddr, flag| {
        let says = |error| Outcome::Failed(format!("can't listen on {address}: {error}; choose another with {flag}\n"));
        TcpListener::bind(address).map_err(says)
    };
    let (events, admin) = (listen(arguments.listen, "--listen")?, listen(arguments.admin, "--admin")?);
    let log_level = function.current().config.spec.log_level;
    let log = arguments.logs.then(|| telemetry::start(targets(log_level), log_format()));
    Ok(Supervisor { function, cloud, events, admin, console: Console::new(Screen::new(arguments.logs)), log })
}

/// Lines without colours on a terminal, like the console's between them.
fn log_format() -> LogFormat {
    if io::stdout().is_terminal() { LogFormat::Text } else { LogFormat::Json }
}

/// What is logged at `level`: nothing of s3s, which logs every refusal as an error of its own, and
/// headers with them.
fn targets(level: LogLevel) -> Targets {
    telemetry::targets(level).with_target("s3s", None)
}
