//! `floor: object`: stores each event with one PUT, and answers when S3 has stored it.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;

use super::put::Bucket;
use super::{Envelope, Floor};

#[derive(Clone)]
struct Object(Bucket);

/// Serves the floor, with S3 at `s3`.
pub fn run(s3: SocketAddr) -> Result<()> {
    super::serve(Object(Bucket::at(s3)))
}

impl Floor for Object {
    async fn take(&self, event: Bytes) -> Result<()> {
        let envelope = Envelope::of(&event)?;
        let key = format!("{}/{}.json", envelope.kind, envelope.message_id);
        self.0.put(&key, event).await
    }
}
