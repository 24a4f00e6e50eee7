//! `floor: take`: reads an event, parses its envelope, and answers.

use anyhow::Result;
use bytes::Bytes;

use super::{Envelope, Floor};

#[derive(Clone)]
struct Take;

/// Serves the floor.
pub fn run() -> Result<()> {
    super::serve(Take)
}

impl Floor for Take {
    async fn take(&self, event: Bytes) -> Result<()> {
        Envelope::of(&event).map(drop)
    }
}
