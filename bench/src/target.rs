//! The rows of the report: a program under a workload.

use std::fmt;

use crate::double::Content;
use crate::sidecar::{BatchSettings, Delivery};
use crate::workload::{BATCH_AGE, Workload};

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
    Sidecar,
}

impl Target {
    /// The rows of a workload, the floor first.
    pub fn of(workload: &'static Workload) -> Vec<Target> {
        let sidecar = workload.content.map(|_| Program::Sidecar);
        [Some(Program::Floor), sidecar].into_iter().flatten().map(|program| Target { workload, program }).collect()
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
        f.write_str(match self {
            Program::Floor => "floor",
            Program::Sidecar => "sidecar",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_that_stores_events_has_a_floor_and_a_sidecar() {
        let programs = |name| Target::of(Workload::named(name)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(programs("take"), ["floor: take"]);
        assert_eq!(programs("object"), ["floor: object", "sidecar: object"]);
    }
}
