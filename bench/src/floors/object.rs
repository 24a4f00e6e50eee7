//! The floor of Object mode: stores each event with one PUT, and answers when S3 has stored it.

use anyhow::Result;
use bytes::Bytes;
use futures_util::future::try_join_all;

use super::put::Bucket;
use super::{Envelope, Floor, events};

#[derive(Clone)]
pub(super) struct ObjectFloor {
    pub(super) bucket: Bucket,
    /// Whether a request has many events.
    pub(super) many: bool,
}

impl Floor for ObjectFloor {
    async fn handle(&self, body: Bytes) -> Result<()> {
        if !self.many {
            return self.store(body).await;
        }
        let events = events(&body, true)?;
        try_join_all(events.into_iter().map(|event| self.store(body.slice_ref(event)))).await.map(drop)
    }
}

impl ObjectFloor {
    async fn store(&self, event: Bytes) -> Result<()> {
        let envelope = Envelope::parse(&event)?;
        let key = format!("{}/{}.json", envelope.kind, envelope.message_id);
        self.bucket.put(&key, event).await
    }
}
