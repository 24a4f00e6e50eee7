//! The processes under test: the floors and the sidecar, what each stores, and its load.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

use crate::double::Content;
use crate::load::LoadShape;
use crate::sidecar::Delivery;

/// How long a batch waits for more events (`maxAge`): the minimum, because in a closed loop the next requests wait for
/// these answers, and nothing happens meanwhile.
pub const BATCH_AGE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// The minimum that accepting an event can cost: hyper, and parsing the envelope.
    Take,
    /// The same and one signed PUT per event: the minimum that Object mode can cost.
    Object,
    /// The sidecar in Object mode.
    Sidecar,
    /// The minimum that accepting an event and compressing it can cost, with one PUT for many of them.
    Batch,
    /// The sidecar in Batch mode.
    SidecarBatch,
    /// The floor of Batch mode with 100 events per request.
    #[value(name = "batch-100")]
    Batch100,
    /// The sidecar in Batch mode with 100 events per request.
    #[value(name = "sidecar-batch-100")]
    SidecarBatch100,
}

impl Target {
    pub const ALL: [Target; 7] = [
        Target::Take,
        Target::Object,
        Target::Sidecar,
        Target::Batch,
        Target::SidecarBatch,
        Target::Batch100,
        Target::SidecarBatch100,
    ];

    /// The floor with which its cost is compared. A floor's floor is itself; `Take` has none.
    pub fn floor(self) -> Option<Target> {
        match self {
            Target::Take => None,
            Target::Object | Target::Sidecar => Some(Target::Object),
            Target::Batch | Target::SidecarBatch => Some(Target::Batch),
            Target::Batch100 | Target::SidecarBatch100 => Some(Target::Batch100),
        }
    }

    /// The content of the objects that it stores; `None` if it stores nothing and needs no S3.
    pub fn content(self) -> Option<Content> {
        match self {
            Target::Take => None,
            Target::Object | Target::Sidecar => Some(Content::Event),
            Target::Batch | Target::SidecarBatch | Target::Batch100 | Target::SidecarBatch100 => Some(Content::Lines),
        }
    }

    /// The sidecar's delivery mode; `None` for a floor.
    pub fn sidecar(self) -> Option<Delivery> {
        match self {
            Target::Take | Target::Object | Target::Batch | Target::Batch100 => None,
            Target::Sidecar => Some(Delivery::Object),
            Target::SidecarBatch | Target::SidecarBatch100 => Some(Delivery::Batch { max_age: Some(BATCH_AGE) }),
        }
    }

    /// The load: connections, and events per request.
    pub fn shape(self) -> LoadShape {
        match self {
            Target::Take | Target::Object | Target::Sidecar => LoadShape { connections: 64, events: 1 },
            // All connections wait for the same batch, so fewer connections would make it small.
            Target::Batch | Target::SidecarBatch => LoadShape { connections: 512, events: 1 },
            Target::Batch100 | Target::SidecarBatch100 => LoadShape { connections: 64, events: 100 },
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Target::Take => "floor: take",
            Target::Object => "floor: object",
            Target::Sidecar => "sidecar, Object",
            Target::Batch => "floor: batch, 1 event per request",
            Target::SidecarBatch => "sidecar, Batch, 1 event per request",
            Target::Batch100 => "floor: batch, 100 events per request",
            Target::SidecarBatch100 => "sidecar, Batch, 100 events per request",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_has_the_same_load_and_content_as_its_sidecar() {
        for target in Target::ALL {
            let Some(floor) = target.floor() else { continue };
            assert_eq!(floor.floor(), Some(floor));
            assert_eq!((floor.shape(), floor.content(), floor.sidecar()), (target.shape(), target.content(), None));
        }
    }
}
