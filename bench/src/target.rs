//! The rows of the report: a program under a workload.

use std::fmt;

use crate::double::Content;
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
    Sidecar { worker_threads: Option<u16> },
}

impl Program {
    /// The sidecar as it is used by default.
    pub const SIDECAR: Program = Program::Sidecar { worker_threads: None };
}

impl Target {
    /// The rows of a workload: the floor, the sidecar, and the sidecar with each of these numbers of worker threads.
    pub fn of(workload: &'static Workload, worker_threads: &[u16]) -> Vec<Target> {
        let mut programs = vec![Program::Floor];
        if workload.content.is_some() {
            programs.push(Program::SIDECAR);
        }
        if THREAD_WORKLOADS.contains(&workload.name) {
            programs.extend(worker_threads.iter().map(|&threads| Program::Sidecar { worker_threads: Some(threads) }));
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_that_stores_events_has_a_floor_and_a_sidecar() {
        let programs = |name| {
            let targets = Target::of(Workload::named(name), &[1, 64]);
            targets.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(programs("take"), ["floor: take"]);
        assert_eq!(
            programs("object"),
            ["floor: object", "sidecar: object", "sidecar, 1 thread: object", "sidecar, 64 threads: object"]
        );
        assert_eq!(programs("object-tls"), ["floor: object, TLS to S3", "sidecar: object, TLS to S3"]);
    }
}
