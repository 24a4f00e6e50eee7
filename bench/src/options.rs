//! The options of a comparison, and their defaults.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::event::EVENT_BYTES;
use crate::load::LoadShape;
use crate::peers::{Peer, PeerBinary};
use crate::sidecar::Binary;
use crate::target::{Others, Target};
use crate::workload::{BATCH_AGE, WORKLOADS, Workload};

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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn only_keeps_the_order_of_the_table() {
        let only = |args: &[&str]| {
            let targets = CommandLine::parse_from([&["tributary-bench"], args].concat()).options.targets();
            targets.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(only(&[]).len(), 2 * WORKLOADS.len() - 1);
        assert_eq!(only(&["--only", "object", "--only", "take"]), ["floor: take", "floor: object", "sidecar: object"]);
        assert_eq!(only(&["--only", "object-open"]).len(), 4);
        assert_eq!(only(&["--only", "object", "--worker-threads", "1,8", "--worker-threads", "64"]).len(), 5);
    }
}
