//! `floor: take`: reads an event, parses its envelope, and answers.

use anyhow::Result;
use bytes::Bytes;

use super::{Envelope, Floor};

#[derive(Clone)]
pub(super) struct TakeFloor;

impl Floor for TakeFloor {
    async fn handle(&self, event: Bytes) -> Result<()> {
        Envelope::parse(&event).map(drop)
    }
}
