//! The rows of the report: a program under a workload.

use std::fmt;

use clap::ValueEnum;

use crate::content::Content;
use crate::node::AwsSdk;
use crate::peers::Peer;
use crate::sidecar::{BatchSettings, Delivery};
use crate::workload::{BATCH_AGE, Workload};

/// The workloads that are also measured with other numbers of worker threads.
const THREAD_WORKLOADS: [&str; 3] = ["object", "batch", "batch-100"];

/// What is measured in one row of the report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    pub workload: &'static Workload,
    pub program: Program,
}

/// A program under test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Program {
    /// The minimum that the workload can cost.
    Floor,
    /// The sidecar; with its own number of worker threads, unless one is given.
    Sidecar {
        worker_threads: Option<u16>,
    },
    Peer(Peer),
    /// The function on Node.js.
    Node(AwsSdk),
}

/// The programs to measure in addition to floor and sidecar.
#[derive(Default)]
pub struct Others {
    /// Numbers of worker threads for more rows of the sidecar.
    pub worker_threads: Vec<u16>,
    pub peers: Vec<Peer>,
    /// Whether to measure the function on Node.js.
    pub node: bool,
}

impl Program {
    /// The sidecar as it is used by default.
    pub const SIDECAR: Program = Program::Sidecar { worker_threads: None };
}

impl Target {
    /// The rows of a workload: the floor, the sidecar, and those of the others that support the workload.
    pub fn of(workload: &'static Workload, others: &Others) -> Vec<Target> {
        let mut programs = vec![Program::Floor];
        if workload.content.is_some() {
            programs.push(Program::SIDECAR);
        }
        if THREAD_WORKLOADS.contains(&workload.name) {
            let threads = others.worker_threads.iter();
            programs.extend(threads.map(|&threads| Program::Sidecar { worker_threads: Some(threads) }));
        }
        programs.extend(others.peers.iter().filter(|peer| peer.supports(workload)).map(|&peer| Program::Peer(peer)));
        if others.node && AwsSdk::supports(workload) {
            programs.extend(AwsSdk::value_variants().iter().map(|&sdk| Program::Node(sdk)));
        }
        programs.into_iter().map(|program| Target { workload, program }).collect()
    }

    /// The floor with which its cost is compared. A floor's floor is itself.
    pub fn floor(self) -> Target {
        Target { program: Program::Floor, ..self }
    }

    /// The sidecar's delivery mode for the workload; `None` if it stores nothing.
    pub fn delivery(self) -> Option<Delivery> {
        Some(match self.workload.content? {
            Content::Event => Delivery::Object,
            content => Delivery::Batch(BatchSettings { max_age: Some(BATCH_AGE), zstd: content == Content::Zstd }),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.program, self.workload.title)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Program::Floor => f.write_str("floor"),
            Program::Sidecar { worker_threads: None } => f.write_str("sidecar"),
            Program::Sidecar { worker_threads: Some(1) } => f.write_str("sidecar, 1 thread"),
            Program::Sidecar { worker_threads: Some(threads) } => write!(f, "sidecar, {threads} threads"),
            Program::Peer(peer) => peer.fmt(f),
            Program::Node(sdk) => write!(f, "Node, aws-sdk {sdk}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_has_the_programs_that_support_it() {
        let others = Others { worker_threads: vec![1, 64], peers: vec![Peer::FluentBit, Peer::Vector], node: true };
        let programs = |name| {
            let targets = Target::of(Workload::named(name), &others);
            targets.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(programs("take"), ["floor: take"]);
        assert_eq!(
            programs("object"),
            [
                "floor: object",
                "sidecar: object",
                "sidecar, 1 thread: object",
                "sidecar, 64 threads: object",
                "Vector: object",
                "Node, aws-sdk v2: object",
                "Node, aws-sdk v3: object",
            ]
        );
        assert_eq!(programs("object-tls"), ["floor: object, TLS to S3", "sidecar: object, TLS to S3"]);
    }
}
