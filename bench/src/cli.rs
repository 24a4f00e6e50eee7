//! The command line.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::sidecar;
use crate::target::Target;

/// Loads the release sidecar and the floors below it, and prints what an event costs.
#[derive(Parser)]
#[command(name = "tributary-bench", args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What this process is, when the bench has started itself again.
    #[command(subcommand)]
    pub role: Option<Role>,
    #[command(flatten)]
    pub options: Options,
}

/// The processes that the bench starts itself again as, so that each one's CPU is its own.
#[derive(Subcommand)]
pub enum Role {
    /// The floor of taking an event.
    #[command(hide = true)]
    Take,
    /// The floor of taking an event and storing it as an object.
    #[command(hide = true)]
    Object {
        /// Where S3 is.
        s3: SocketAddr,
    },
    /// S3 and STS.
    #[command(hide = true)]
    Double {
        /// Milliseconds that each PutObject takes.
        latency_ms: u64,
    },
}

#[derive(Args)]
pub struct Options {
    /// Rounds for each process; medians are printed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Seconds measured in a round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Seconds of the same load before a round is measured.
    #[arg(long, default_value_t = 1)]
    warm_up: u64,
    /// Connections kept alive, one event at a time on each.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Only this one; can be given more than once.
    #[arg(long, value_name = "NAME", value_enum)]
    only: Vec<Target>,
    /// A sidecar that is built already [default: what `cargo build --release -p tributary-sidecar` makes].
    #[arg(long, value_name = "PATH")]
    sidecar: Option<PathBuf>,
}

impl Options {
    /// What to measure, in the table's order.
    pub fn targets(&self) -> Vec<Target> {
        Target::ALL.into_iter().filter(|target| self.only.is_empty() || self.only.contains(target)).collect()
    }

    /// The sidecar's binary, built if none is given.
    pub async fn sidecar(&self) -> Result<PathBuf> {
        match &self.sidecar {
            Some(path) => Ok(path.clone()),
            None => sidecar::build().await,
        }
    }

    pub fn warm_up(&self) -> Duration {
        Duration::from_secs(self.warm_up)
    }

    pub fn measured(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// The run's parameters, as the report shows them.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { rounds, seconds, warm_up, connections, .. } = self;
        write!(
            f,
            "{connections} connections, one event of {} bytes a request; medians of {rounds} interleaved rounds \
             of {seconds} s after {warm_up} s",
            crate::event::EVENT_BYTES,
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn only_keeps_the_order_of_the_table() {
        let only = |args: &[&str]| Cli::parse_from([&["tributary-bench"], args].concat()).options.targets();
        assert_eq!(only(&[]), Target::ALL);
        assert_eq!(only(&["--only", "object", "--only", "take"]), [Target::Take, Target::Object]);
    }
}
