//! `floor: object`: stores each event with one PUT, and answers when S3 has stored it.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;

use super::put::Bucket;
use super::{Envelope, Floor};

#[derive(Clone)]
struct ObjectFloor(Bucket);

/// Serves the floor, with S3 at `s3`.
pub fn run(s3: SocketAddr) -> Result<()> {
    super::serve(ObjectFloor(Bucket::at(s3)))
}

impl Floor for ObjectFloor {
    async fn handle(&self, event: Bytes) -> Result<()> {
        let envelope = Envelope::parse(&event)?;
        let key = format!("{}/{}.json", envelope.kind, envelope.message_id);
        self.0.put(&key, event).await
    }
}
