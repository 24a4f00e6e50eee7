//! The processes under test.

use std::fmt;

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// The least that taking an event can cost: hyper and a look at the envelope.
    Take,
    /// The same and one signed PUT an event: the least that Object mode can cost.
    Object,
    /// The product, in Object mode.
    Sidecar,
}

impl Target {
    pub const ALL: [Target; 3] = [Target::Take, Target::Object, Target::Sidecar];

    /// What its cost is compared with.
    pub fn floor(self) -> Option<Target> {
        match self {
            Target::Take => None,
            Target::Object | Target::Sidecar => Some(Target::Object),
        }
    }

    /// Whether it stores what it takes, and so needs S3 behind it.
    pub fn stores(self) -> bool {
        self != Target::Take
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Target::Take => "floor: take",
            Target::Object => "floor: object",
            Target::Sidecar => "tributary-sidecar",
        })
    }
}
