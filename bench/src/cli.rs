//! The command line: commands, options and their defaults.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use crate::double::Content;
use crate::event::EVENT_BYTES;
use crate::load::LoadShape;
use crate::peers::{Peer, PeerBinary};
use crate::sidecar;
use crate::target::{Others, Target};
use crate::workload::{BATCH_AGE, WORKLOADS, Workload};

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

/// What a floor does.
#[derive(Args)]
pub struct FloorOptions {
    /// The address of S3; without it, events are accepted and dropped.
    #[arg(long)]
    pub s3: Option<SocketAddr>,
    /// What the objects contain.
    #[arg(long, requires = "s3")]
    pub content: Option<Content>,
    /// Whether a request has many events.
    #[arg(long)]
    pub many: bool,
    /// The authority that S3's certificate is from; without it, S3 is used without TLS.
    #[arg(long, requires = "s3")]
    pub s3_authority: Option<PathBuf>,
    /// The folder with the certificate for clients; without it, they are served without TLS.
    #[arg(long)]
    pub tls: Option<PathBuf>,
}

/// What the double does.
#[derive(Args)]
pub struct DoubleOptions {
    /// What the objects contain.
    #[arg(long)]
    pub content: Content,
    /// Milliseconds that each PutObject is delayed.
    #[arg(long)]
    pub latency_ms: u64,
    /// The folder with its certificate; without it, it serves without TLS.
    #[arg(long)]
    pub tls: Option<PathBuf>,
}

/// The sidecar to load.
#[derive(Args)]
pub struct Binary {
    /// Path of a sidecar binary [default: what `cargo build --release -p tributary-sidecar` builds].
    #[arg(long, value_name = "PATH")]
    sidecar: Option<PathBuf>,
}

#[derive(Args)]
pub struct Options {
    /// Rounds per process; medians are printed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Seconds measured per round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Seconds of the same load before a round is measured.
    #[arg(long, default_value_t = 1)]
    warm_up: u64,
    /// Connections kept alive, with one request at a time on each [default: the workload's own number].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    connections: Option<u32>,
    /// Measure only this workload; can be given more than once.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(WORKLOADS.each_ref().map(|workload| workload.name)))]
    only: Vec<String>,
    /// Also measure the sidecar with this many worker threads, in Object and in Batch mode; a list, such as 1,2,8,64.
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=256))]
    worker_threads: Vec<u16>,
    /// Also measure another program, such as vector=/usr/bin/vector; can be given more than once. NAME is vector,
    /// fluent-bit or redpanda-connect.
    #[arg(long = "peer", value_name = "NAME=PATH")]
    peers: Vec<PeerBinary>,
    /// Also measure a function on Node.js with the AWS SDKs for JavaScript; run `npm ci` in bench/node first.
    #[arg(long)]
    node: bool,
    /// Also draw the CPU time per event, as an SVG in this file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    #[command(flatten)]
    pub binary: Binary,
}

#[derive(Args)]
pub struct StreamOptions {
    /// Events per second.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// Duration in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// Events per request.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=900))]
    pub events: u32,
    /// Milliseconds that S3 takes for an object; 80 is typical of a small one.
    #[arg(long, value_name = "MS", default_value_t = 80)]
    latency: u64,
    #[command(flatten)]
    pub binary: Binary,
}

impl Binary {
    /// The path of the sidecar's binary, which is built if none is given.
    pub async fn path(&self) -> Result<PathBuf> {
        match &self.sidecar {
            Some(path) => Ok(path.clone()),
            None => sidecar::build().await,
        }
    }
}

impl Options {
    /// What to measure, in the table's order. An open loop includes the workload that its rate depends on.
    pub fn targets(&self) -> Vec<Target> {
        let is_named = |workload: &Workload| self.only.iter().any(|name| name == workload.name);
        let is_needed = |workload: &Workload| {
            WORKLOADS.iter().any(|other| is_named(other) && other.half_of_peak == Some(workload.name))
        };
        let is_chosen = |workload: &&Workload| self.only.is_empty() || is_named(workload) || is_needed(workload);
        let others = Others {
            worker_threads: self.worker_threads.clone(),
            peers: self.peers.iter().map(|binary| binary.peer).collect(),
            node: self.node,
        };
        WORKLOADS.iter().filter(is_chosen).flat_map(|workload| Target::of(workload, &others)).collect()
    }

    /// The binary of `peer`, if it was given.
    pub fn peer_binary(&self, peer: Peer) -> Option<&Path> {
        self.peers.iter().find(|binary| binary.peer == peer).map(|binary| &*binary.path)
    }

    /// The load of `workload`, with the connections of the command line.
    pub fn shape(&self, workload: &Workload) -> LoadShape {
        let shape = workload.shape;
        LoadShape { connections: self.connections.unwrap_or(shape.connections), ..shape }
    }

    pub fn warm_up(&self) -> Duration {
        Duration::from_secs(self.warm_up)
    }

    pub fn measured(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl StreamOptions {
    pub fn latency(&self) -> Duration {
        Duration::from_millis(self.latency)
    }
}

/// The run's parameters, as the report shows them.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { rounds, seconds, warm_up, .. } = self;
        write!(
            f,
            "events of {EVENT_BYTES} bytes; medians of {rounds} interleaved rounds of {seconds} s after {warm_up} s; \
             batches wait {} ms",
            BATCH_AGE.as_millis()
        )
    }
}

impl fmt::Display for StreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamOptions { rate, seconds, events, latency, .. } = self;
        write!(
            f,
            "{rate} events/s for {seconds} s, of {EVENT_BYTES} bytes and {events} per request; Batch mode with its \
             defaults; S3 takes {latency} ms longer per object"
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
        let only = |args: &[&str]| {
            let targets = Cli::parse_from([&["tributary-bench"], args].concat()).options.targets();
            targets.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(only(&[]).len(), 2 * WORKLOADS.len() - 1);
        assert_eq!(only(&["--only", "object", "--only", "take"]), ["floor: take", "floor: object", "sidecar: object"]);
        assert_eq!(only(&["--only", "object-open"]).len(), 4);
        assert_eq!(only(&["--only", "object", "--worker-threads", "1,8", "--worker-threads", "64"]).len(), 5);
    }
}
