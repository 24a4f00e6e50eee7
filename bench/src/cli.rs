//! The command line: the commands, each with the options of the module that runs it.

use clap::{Parser, Subcommand};

use crate::double::DoubleOptions;
use crate::floors::FloorOptions;
use crate::options::Options;
use crate::stream::StreamOptions;

/// Puts load on the release sidecar and on its floors (programs that do only the minimum), and prints the cost per event.
#[derive(Parser)]
#[command(name = "tributary-bench", args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub options: Options,
}

/// Commands other than the table. The hidden ones are processes that the bench starts from its own binary, so that the
/// CPU time of each is counted separately.
#[derive(Subcommand)]
pub enum Command {
    /// Sends a steady stream of events to a sidecar in Batch mode with its default settings, and prints the results.
    ///
    /// Requests are sent when they are due, whether or not earlier ones have been answered. It fails if an answer is
    /// not 200, or if an event that was answered 200 is not in S3 exactly once.
    Stream(StreamOptions),
    /// The floor of accepting events and, if there is an S3, of storing them.
    #[command(hide = true)]
    Floor(FloorOptions),
    /// The double of S3 and STS.
    #[command(hide = true)]
    Double(DoubleOptions),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
