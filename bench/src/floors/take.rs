//! `floor: take`: read the event, look at its envelope, answer.

use anyhow::Result;
use bytes::Bytes;

use super::{Envelope, Floor};

#[derive(Clone)]
struct Take;

/// Serves it.
pub fn run() -> Result<()> {
    super::serve(Take)
}

impl Floor for Take {
    async fn take(&self, event: Bytes) -> Result<()> {
        Envelope::of(&event).map(drop)
    }
}
