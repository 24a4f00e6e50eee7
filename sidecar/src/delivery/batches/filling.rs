//! A batch in the making: newline-delimited JSON, an event a line. Pure.

use std::borrow::Cow;
use std::io;

use tributary_crds::function::Compression;

use super::compress::Encoder;
use crate::event::{Event, EventType};
use crate::metrics::TypeCounts;

/// When a batch has no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes before compression, newlines included.
    pub(super) bytes: usize,
    /// Events.
    pub(super) events: usize,
}

/// What was put into a batch.
pub(super) struct Filling {
    encoder: Encoder,
    bytes: usize,
    events: usize,
    types: TypeCounts,
}

/// A batch that takes no more.
pub(super) struct Sealed {
    /// The object's body.
    pub(super) body: Vec<u8>,
    /// What is in it.
    pub(super) types: TypeCounts,
}

impl Filling {
    pub(super) fn new(compression: Compression) -> io::Result<Self> {
        Ok(Self { encoder: Encoder::new(compression)?, bytes: 0, events: 0, types: TypeCounts::default() })
    }

    /// Whether an event belongs here and not into the next batch. An empty batch takes any: there is
    /// none in which it would fit better.
    pub(super) fn has_room(&self, event: &Event, limits: Limits) -> bool {
        self.events == 0 || (self.events < limits.events && self.bytes + event.body.len() < limits.bytes)
    }

    /// Whether no event at all has room.
    pub(super) fn is_full(&self, limits: Limits) -> bool {
        self.events >= limits.events || self.bytes >= limits.bytes
    }

    /// Adds an event as a line. Returns by how many bytes the object has grown so far.
    pub(super) fn add(&mut self, event: &Event) -> io::Result<usize> {
        let before = self.encoder.len();
        let line = on_one_line(&event.body);
        self.encoder.write(&line)?;
        self.encoder.write(b"\n")?;
        self.bytes += line.len() + 1;
        self.events += 1;
        self.types.add(&event.event_type);
        Ok(self.encoder.len() - before)
    }

    pub(super) fn seal(self) -> io::Result<Sealed> {
        Ok(Sealed { body: self.encoder.finish()?, types: self.types })
    }
}

/// The text of an event without its line breaks: JSON has them between tokens only, where they mean
/// nothing (RFC 8259, section 7: in a string they are escaped).
fn on_one_line(json: &[u8]) -> Cow<'_, [u8]> {
    // Nearly every event has none, which is quick to see.
    if json.contains(&b'\n') || json.contains(&b'\r') {
        Cow::Owned(json.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect())
    } else {
        Cow::Borrowed(json)
    }
}

/// Which events go into one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Partition {
    /// Of any type.
    All,
    /// Of this type.
    Type(EventType),
}

impl Partition {
    pub(super) fn event_type(&self) -> Option<&EventType> {
        match self {
            Self::All => None,
            Self::Type(event_type) => Some(event_type),
        }
    }

    pub(super) fn takes(&self, event: &Event) -> bool {
        self.event_type().is_none_or(|event_type| *event_type == event.event_type)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use bytes::Bytes;
    use flate2::read::MultiGzDecoder;
    use proptest::prelude::*;

    use super::*;

    fn event(body: &str) -> Event {
        Event {
            event_type: EventType::Track,
            message_id: "m".to_owned(),
            event: None,
            user_id: None,
            timestamp: jiff::Timestamp::UNIX_EPOCH,
            body: Bytes::from(body.to_owned()),
        }
    }

    /// The batches that these bodies become, uncompressed.
    fn batches(bodies: &[String], limits: Limits, compression: Compression) -> Vec<(String, usize)> {
        let mut sealed = Vec::new();
        let mut filling: Option<Filling> = None;
        for event in bodies.iter().map(|body| event(body)) {
            if filling.as_ref().is_some_and(|filling| !filling.has_room(&event, limits)) {
                sealed.extend(filling.take());
            }
            let open = filling.get_or_insert_with(|| Filling::new(compression).unwrap());
            open.add(&event).unwrap();
            if open.is_full(limits) {
                sealed.extend(filling.take());
            }
        }
        sealed.extend(filling);
        sealed
            .into_iter()
            .map(|filling| {
                let events = filling.events;
                (unpack(&filling.seal().unwrap().body, compression), events)
            })
            .collect()
    }

    fn unpack(body: &[u8], compression: Compression) -> String {
        let mut text = String::new();
        match compression {
            Compression::Gzip => MultiGzDecoder::new(body).read_to_string(&mut text).unwrap(),
            Compression::Zstd => zstd::Decoder::new(body).unwrap().read_to_string(&mut text).unwrap(),
            Compression::None => (&mut &body[..]).read_to_string(&mut text).unwrap(),
        };
        text
    }

    #[test]
    fn a_line_break_within_an_event_is_left_out() {
        let limits = Limits { bytes: 1 << 20, events: 10 };
        let bodies = ["{\"a\":\r\n 1,\n\"b\":\"x\\ny\"}".to_owned(), "{}".to_owned()];
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let made = batches(&bodies, limits, compression);
            assert_eq!(made, [("{\"a\": 1,\"b\":\"x\\ny\"}\n{}\n".to_owned(), 2)]);
        }
    }

    #[test]
    fn a_batch_is_full_by_bytes_or_by_events() {
        let bodies = |lengths: &[usize]| lengths.iter().map(|length| "x".repeat(*length)).collect::<Vec<_>>();
        let sizes = |lengths: &[usize], bytes, events| {
            let made = batches(&bodies(lengths), Limits { bytes, events }, Compression::None);
            made.into_iter().map(|(text, events)| (text.len(), events)).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[9, 9, 9], 20, 100), [(20, 2), (10, 1)]);
        assert_eq!(sizes(&[9, 9, 9], 19, 100), [(10, 1), (10, 1), (10, 1)]);
        assert_eq!(sizes(&[9, 9, 9], 100, 2), [(20, 2), (10, 1)]);
        // One that no batch has room for is a batch of its own.
        assert_eq!(sizes(&[1, 50, 1], 20, 100), [(2, 1), (51, 1), (2, 1)]);
    }

    proptest! {
        #[test]
        fn every_event_is_one_line_of_one_batch_in_its_order(
            bodies in prop::collection::vec("[ -~\\n\\r\u{e9}\u{2028}]{1,40}", 1..60),
            bytes in 1_usize..200,
            events in 1_usize..20,
            compression in prop::sample::select(vec![Compression::None, Compression::Gzip, Compression::Zstd]),
        ) {
            let limits = Limits { bytes, events };
            let made = batches(&bodies, limits, compression);
            let expected: Vec<String> = bodies.iter().map(|body| body.replace(['\n', '\r'], "")).collect();
            let mut seen = Vec::new();
            for (text, events) in &made {
                prop_assert!(text.ends_with('\n'));
                let lines: Vec<_> = text[..text.len() - 1].split('\n').map(str::to_owned).collect();
                prop_assert_eq!(lines.len(), *events);
                prop_assert!(*events <= limits.events && *events > 0);
                prop_assert!(text.len() <= limits.bytes || *events == 1);
                seen.extend(lines);
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
