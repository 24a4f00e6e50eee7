//! `tributary`: runs, checks and prepares destination functions from the command line.
//!
//! Each subcommand is a module with its arguments and one function, which returns what to print:
//! but for those that go on, and show what happens as it happens, only this file writes to the
//! terminal, and it alone chooses the exit code.

mod check;
mod external_id;
mod local_aws;
mod manifest;
mod policy;
mod run;
mod send;

use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use tributary_telemetry::one_line;

/// The work was done, and its result is bad.
const FAILED: u8 = 1;
/// Wrong usage or configuration: `EX_USAGE` of sysexits.
const USAGE: u8 = 64;

/// Runs, checks and prepares destination functions: no cluster and no cloud needed.
#[derive(Parser)]
#[command(name = "tributary", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 the work failed, 64 wrong usage or configuration.

Examples:
  tributary run examples/orders.yaml
  tributary external-id orders-lake > secret.yaml
  tributary check function.yaml
  tributary policy function.yaml --principal arn:aws:iam::210987654321:role/tributary";

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    Check(check::Arguments),
    Policy(policy::Arguments),
    ExternalId(external_id::Arguments),
    LocalAws(local_aws::Arguments),
    Send(send::Arguments),
}

/// What a subcommand comes to.
enum Outcome {
    /// Done; this is printed.
    Done(String),
    /// The work failed; this is printed too.
    Failed(String),
    /// It could not begin: one line for standard error.
    Usage(String),
}

fn main() -> ExitCode {
    let outcome = match Arguments::try_parse() {
        Ok(arguments) => match arguments.command {
            Command::Run(arguments) => run::run(&arguments),
            Command::Check(arguments) => check::run(&arguments),
            Command::Policy(arguments) => policy::run(&arguments),
            Command::ExternalId(arguments) => external_id::run(&arguments),
            Command::LocalAws(arguments) => local_aws::run(&arguments),
            Command::Send(arguments) => send::run(&arguments),
        },
        Err(help) if help.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Outcome::Done(help.to_string())
        }
        Err(error) if error.use_stderr() => {
            Outcome::Usage(format!("{} (see tributary --help)", one_line(&error.to_string())))
        }
        Err(help) => Outcome::Done(help.to_string()),
    };
    match outcome {
        Outcome::Done(text) => print(&text, ExitCode::SUCCESS),
        Outcome::Failed(text) => print(&text, ExitCode::from(FAILED)),
        Outcome::Usage(line) => {
            eprintln!("tributary: {line}");
            ExitCode::from(USAGE)
        }
    }
}

/// Prints `text`; a reader that has gone away, as `head` does, is no reason to panic.
fn print(text: &str, code: ExitCode) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::from(FAILED),
    }
}
