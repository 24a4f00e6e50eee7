//! Records what the double has stored: the `messageId` of every event and the key of every object.
//!
//! An object of one event is read when it is stored, and dropped, so that a run of any length needs little memory. A
//! batch is kept and read after the run, because the time to decompress it would be taken from the process under test.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};

use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::content::Content;

/// The objects stored so far.
pub struct StoredEvents {
    content: Content,
    /// MessageIds of the events that have been read, with repetitions.
    ids: Vec<u128>,
    /// The first 128 bits of each key's SHA-256.
    keys: HashSet<u128>,
    /// The number of objects whose key an earlier one has: in a bucket, they would have replaced it.
    pub repeated_keys: u64,
    /// Total size of all objects, in bytes.
    pub bytes: u64,
    /// Objects that have not been read yet.
    unread: Vec<Bytes>,
    /// Why the first object that can't be read can't be.
    error: Option<anyhow::Error>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "messageId")]
    message_id: &'a str,
}

impl StoredEvents {
    pub fn new(content: Content) -> StoredEvents {
        StoredEvents {
            content,
            ids: Vec::new(),
            keys: HashSet::new(),
            repeated_keys: 0,
            bytes: 0,
            unread: Vec::new(),
            error: None,
        }
    }

    /// Adds an object. An object that can't be read is an error of [`ids`](Self::ids).
    pub fn add(&mut self, key: &str, body: Bytes) {
        self.repeated_keys += u64::from(!self.keys.insert(hash(key)));
        self.bytes += body.len() as u64;
        match self.content {
            Content::Event => match message_id(&body) {
                Ok(id) => self.ids.push(id),
                Err(error) => drop(self.error.get_or_insert(error)),
            },
            Content::Gzip | Content::Zstd => self.unread.push(body),
        }
    }

    /// The messageIds of all events, with repetitions. Reads the batches that have not been read.
    pub fn ids(&mut self) -> Result<&[u128]> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        for body in self.unread.drain(..) {
            match self.content {
                Content::Zstd => read_lines(zstd::Decoder::with_buffer(&*body)?, &mut self.ids)?,
                _ => read_lines(MultiGzDecoder::new(&*body), &mut self.ids)?,
            }
        }
        Ok(&self.ids)
    }
}

/// Reads a batch: JSON, one event per line.
fn read_lines(batch: impl Read, ids: &mut Vec<u128>) -> Result<()> {
    for line in BufReader::new(batch).split(b'\n') {
        ids.push(message_id(&line.context("a batch can't be decompressed")?)?);
    }
    Ok(())
}

/// The event's messageId, which is 128 bits in hex because the bench generated it.
fn message_id(event: &[u8]) -> Result<u128> {
    let text = || String::from_utf8_lossy(event);
    let parsed: Event<'_> = serde_json::from_slice(event).with_context(|| format!("{:?} is not an event", text()))?;
    u128::from_str_radix(parsed.message_id, 16)
        .with_context(|| format!("the messageId of {} is not the bench's", text()))
}

fn hash(key: &str) -> u128 {
    let digest: [u8; 32] = Sha256::digest(key).into();
    digest[..16].iter().fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &str) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn every_event_of_every_batch_is_read_once() {
        let mut stored = StoredEvents::new(Content::Gzip);
        stored.add("1", gzip("{\"messageId\":\"0a\",\"x\":1}\n{\"messageId\":\"0b\"}\n"));
        assert_eq!(stored.ids().unwrap(), [10, 11]);
        stored.add("2", gzip("{\"messageId\":\"0a\"}\n"));
        assert_eq!(stored.ids().unwrap(), [10, 11, 10]);
        assert_eq!(stored.repeated_keys, 0);
    }

    #[test]
    fn batches_are_decompressed_with_zstd_too() {
        let mut stored = StoredEvents::new(Content::Zstd);
        stored.add("1", zstd::encode_all(&b"{\"messageId\":\"0a\"}\n{\"messageId\":\"0b\"}\n"[..], 1).unwrap().into());
        assert_eq!(stored.ids().unwrap(), [10, 11]);
    }

    #[test]
    fn an_object_of_one_event_is_read_when_it_is_added() {
        let mut stored = StoredEvents::new(Content::Event);
        stored.add("a", Bytes::from_static(b"{\"messageId\":\"0a\"}"));
        assert!(stored.unread.is_empty());
        assert_eq!(stored.ids().unwrap(), [10]);
        assert_eq!(stored.bytes, 18);
    }

    #[test]
    fn an_object_that_replaces_another_is_counted() {
        let mut stored = StoredEvents::new(Content::Event);
        for (key, id) in [("a", "0a"), ("b", "0b"), ("a", "0c")] {
            stored.add(key, format!("{{\"messageId\":\"{id}\"}}").into());
        }
        assert_eq!(stored.repeated_keys, 1);
    }

    #[test]
    fn an_unreadable_object_is_an_error() {
        for text in ["{\"messageId\":\"0a\"", "{\"messageId\":\"z\"}", "{}", "\n"] {
            for (content, body) in [(Content::Event, Bytes::from(text)), (Content::Gzip, gzip(text))] {
                let mut stored = StoredEvents::new(content);
                stored.add("key", body);
                assert!(stored.ids().is_err(), "{content:?} {text:?}");
            }
        }
        let whole = gzip("{\"messageId\":\"0a\"}\n");
        let mut stored = StoredEvents::new(Content::Gzip);
        stored.add("key", whole.slice(..whole.len() - 9));
        assert!(stored.ids().is_err());
    }
}
