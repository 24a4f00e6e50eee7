//! Counts the events in objects of many events, and how many of them are repeated.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;

/// The events in the objects added so far.
#[derive(Default)]
pub struct Lines {
    pub events: u64,
    ids: HashSet<u128>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "messageId")]
    message_id: &'a str,
}

impl Lines {
    /// Adds an object: gzip of JSON, one event per line.
    pub fn add(&mut self, object: &[u8]) -> Result<()> {
        for line in BufReader::new(MultiGzDecoder::new(object)).lines() {
            let line = line.context("the object can't be unpacked")?;
            let event: Event<'_> = serde_json::from_str(&line).with_context(|| format!("{line:?} is no event"))?;
            let id = u128::from_str_radix(event.message_id, 16);
            self.ids.insert(id.with_context(|| format!("the messageId of {line} is none of the bench's"))?);
            self.events += 1;
        }
        Ok(())
    }

    /// The number of events whose messageId another event already has.
    pub fn repeated(&self) -> u64 {
        self.events - self.ids.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn object(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn events_are_known_by_their_ids_across_objects() {
        let mut lines = Lines::default();
        lines.add(&object("{\"messageId\":\"0a\",\"x\":1}\n{\"messageId\":\"0b\"}\n")).unwrap();
        assert_eq!((lines.events, lines.repeated()), (2, 0));
        lines.add(&object("{\"messageId\":\"0a\"}\n")).unwrap();
        assert_eq!((lines.events, lines.repeated()), (3, 1));
    }

    #[test]
    fn what_is_no_batch_of_the_bench_is_an_error() {
        for text in ["{\"messageId\":\"0a\"", "{\"messageId\":\"z\"}", "{}", "\n"] {
            assert!(Lines::default().add(&object(text)).is_err(), "{text:?}");
        }
        let whole = object("{\"messageId\":\"0a\"}\n");
        assert!(Lines::default().add(&whole[..whole.len() - 9]).is_err());
    }
}
