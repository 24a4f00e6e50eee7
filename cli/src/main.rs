//! `tributary`: runs, checks and prepares destination functions from the command line.
//!
//! Each subcommand is a module with its arguments and a `run` function that returns an [`Outcome`].
//! Only this file prints outcomes and chooses the exit code; the long-running subcommands (`run`,
//! `send`, `local-aws`) also print what happens while they run.

mod base64;
mod check;
mod external_id;
mod local_aws;
mod manifest;
mod policy;
mod run;
mod secret_check;
mod send;
mod yaml;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};
use tributary_runtime::errors::one_line;

/// Exit code if the subcommand ran and failed.
const EXIT_FAILED: u8 = 1;
/// Exit code for wrong usage or configuration: `EX_USAGE` of sysexits.h.
const EXIT_USAGE: u8 = 64;

/// Runs, checks and prepares destination functions, without a cluster or a cloud.
#[derive(Parser)]
#[command(name = "tributary", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 success, 1 failure, 64 wrong usage or configuration.

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

/// The result of a subcommand, which decides the output and the exit code.
enum Outcome {
    /// Success: the text goes to standard output, exit code 0.
    Done(String),
    /// Failure: the text goes to standard output, exit code 1.
    Failed(String),
    /// An error that ended the program: one line for standard error, exit code 1.
    Error(String),
    /// Wrong usage or configuration: one line for standard error, exit code 64.
    Usage(String),
    /// Some of the files can't be used, and the others were: the text goes to standard output and a line per unusable
    /// file to standard error, exit code 64.
    Incomplete { text: String, errors: Vec<String> },
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
        Err(error) if error.use_stderr() => Outcome::Usage(usage_error(&error)),
        Err(help) => Outcome::Done(help.to_string()),
    };
    match outcome {
        Outcome::Done(text) => print(&text, ExitCode::SUCCESS),
        Outcome::Failed(text) => print(&text, ExitCode::from(EXIT_FAILED)),
        Outcome::Error(line) => {
            print_error(&line);
            ExitCode::from(EXIT_FAILED)
        }
        Outcome::Usage(line) => {
            print_error(&line);
            ExitCode::from(EXIT_USAGE)
        }
        Outcome::Incomplete { text, errors } => {
            let code = print(&text, ExitCode::from(EXIT_USAGE));
            errors.iter().for_each(|line| print_error(line));
            code
        }
    }
}

/// The error of a command line, with the nearest valid text, and the help to read.
fn usage_error(error: &clap::Error) -> String {
    let suggestion = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
        .into_iter()
        .find_map(|kind| error.get(kind))
        .map(|suggestion| format!("; did you mean {suggestion}?"))
        .unwrap_or_default();
    let given = std::env::args().nth(1).unwrap_or_default();
    let commands = Arguments::command();
    let command = commands.get_subcommands().find(|command| command.get_name() == given);
    let command = command.map(|command| format!(" {}", command.get_name())).unwrap_or_default();
    format!("{}{suggestion} (see tributary{command} --help)", one_line(&error.to_string()))
}

/// Parses an address of a flag.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "not an IP address with a port; write it like 127.0.0.1:8090")
}

/// The error of a port that can't be used, with the fix.
fn cannot_listen(address: SocketAddr, error: &io::Error, flag: &str) -> String {
    format!("can't listen on {address}: {error}; choose another address with {flag}")
}

fn print_error(line: &str) {
    eprintln!("tributary: {line}");
}

/// Prints `text`. A closed pipe, as after `| head`, gives exit code 1 rather than a panic.
fn print(text: &str, code: ExitCode) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::from(EXIT_FAILED),
    }
}
