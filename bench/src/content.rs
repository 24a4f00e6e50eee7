//! The content of stored objects.

use clap::ValueEnum;

/// What the objects contain.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Content {
    /// One event.
    Event,
    /// Events, one per line, compressed with gzip.
    Gzip,
    /// The same, compressed with Zstandard.
    Zstd,
}

impl Content {
    /// Its name on a helper's command line.
    pub fn name(self) -> String {
        self.to_possible_value().expect("no content is skipped").get_name().to_owned()
    }
}
