//! `floor: take`: read the event, look at its envelope, answer.

use anyhow::{Result, ensure};
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
        let envelope: Envelope<'_> = serde_json::from_slice(&event)?;
        ensure!(!envelope.kind.is_empty() && !envelope.message_id.is_empty(), "an event has a type and a messageId");
        Ok(())
    }
}
