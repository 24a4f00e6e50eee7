//! `floor: object`: stores each event with one PUT, and answers when S3 has stored it.

use anyhow::Result;
use bytes::Bytes;

use super::put::Bucket;
use super::{Envelope, Floor};

#[derive(Clone)]
pub(super) struct ObjectFloor(pub(super) Bucket);

impl Floor for ObjectFloor {
    async fn handle(&self, event: Bytes) -> Result<()> {
        let envelope = Envelope::parse(&event)?;
        let key = format!("{}/{}.json", envelope.kind, envelope.message_id);
        self.0.put(&key, event).await
    }
}
