//! Builds the content of a batch: newline-delimited JSON, one event per line. Pure.

use std::io;

use tributary_crds::function::Compression;

use super::compress::BatchBuffer;
use super::one_shot_compressor::OneShotCompressor;
use crate::event::Event;
use crate::memory::Reservation;
use crate::status::metrics::TypeCounts;

/// The limits at which a batch is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchLimits {
    /// Maximum bytes before compression, newlines included.
    pub(super) bytes: usize,
    /// Maximum events.
    pub(super) events: usize,
}

/// The content and the size of an open batch.
pub(super) struct BatchBuilder {
    buffer: BatchBuffer,
    limits: BatchLimits,
    bytes: usize,
    events: usize,
    types: TypeCounts,
}

/// The content of a sealed batch.
pub(super) struct SealedBatch {
    /// The object's body, compressed as configured.
    pub(super) body: Vec<u8>,
    /// Bytes before compression.
    pub(super) plain_bytes: usize,
    /// The number of events of each type.
    pub(super) types: TypeCounts,
}

impl BatchBuilder {
    pub(super) fn new(compression: Compression, limits: BatchLimits) -> Self {
        let buffer = BatchBuffer::new(compression, limits.bytes);
        Self { buffer, limits, bytes: 0, events: 0, types: TypeCounts::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Whether the event fits, or else belongs in the next batch. An empty batch accepts any event: it would not
    /// fit better into another one.
    pub(super) fn has_room(&self, event: &Event) -> bool {
        self.is_empty() || (self.events < self.limits.events && self.bytes + event.body.len() <= self.limits.bytes)
    }

    /// Whether no further event fits.
    pub(super) fn is_full(&self) -> bool {
        self.events >= self.limits.events || self.bytes >= self.limits.bytes
    }

    /// Appends an event's line. Returns false, and appends nothing, if the memory budget has no room.
    pub(super) fn add(&mut self, event: &Event, reservation: &mut Reservation) -> io::Result<bool> {
        let line = &event.body;
        if !self.buffer.make_room(line.len(), reservation)? {
            return Ok(false);
        }
        self.buffer.write(line)?;
        self.bytes += line.len();
        self.events += 1;
        self.types.add(&event.event_type);
        Ok(true)
    }

    /// Returns the content of the batch. Lines that are not compressed yet are compressed now, by `whole`.
    pub(super) fn seal(self, whole: &mut OneShotCompressor) -> io::Result<SealedBatch> {
        Ok(SealedBatch { body: self.buffer.finish(whole)?, plain_bytes: self.bytes, types: self.types })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use bytes::Bytes;
    use flate2::read::MultiGzDecoder;
    use proptest::prelude::*;
    use tributary_crds::function::SegmentType;

    use super::*;
    use crate::event::EventType;
    use crate::memory::Budget;

    /// An event whose line has this text, and a newline.
    fn event(text: &str) -> Event {
        Event {
            event_type: EventType::Segment(SegmentType::Track),
            message_id: "m".to_owned(),
            message_id_sent: true,
            timestamp_sent: true,
            has_unreadable_time: false,
            event: None,
            user_id: None,
            timestamp: jiff::Timestamp::UNIX_EPOCH,
            occurred_at: jiff::Timestamp::UNIX_EPOCH,
            body: Bytes::from(format!("{text}\n")),
        }
    }

    /// The batches made of these lines, decompressed, with their numbers of events.
    fn batches(lines: &[String], limits: BatchLimits, compression: Compression) -> Vec<(String, usize)> {
        let mut reservation = Budget::new(usize::MAX).reserve_nothing();
        let mut sealed = Vec::new();
        let mut open: Option<BatchBuilder> = None;
        for event in lines.iter().map(|line| event(line)) {
            if open.as_ref().is_some_and(|builder| !builder.has_room(&event)) {
                sealed.extend(open.take());
            }
            let builder = open.get_or_insert_with(|| BatchBuilder::new(compression, limits));
            assert!(builder.add(&event, &mut reservation).unwrap());
            if builder.is_full() {
                sealed.extend(open.take());
            }
        }
        sealed.extend(open);
        sealed
            .into_iter()
            .map(|builder| {
                let events = builder.events;
                (
                    unpack(&builder.seal(&mut OneShotCompressor::new(compression).unwrap()).unwrap().body, compression),
                    events,
                )
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
    fn a_batch_is_full_by_bytes_or_by_events() {
        let lines = |lengths: &[usize]| lengths.iter().map(|length| "x".repeat(*length)).collect::<Vec<_>>();
        let sizes = |lengths: &[usize], bytes, events| {
            let made = batches(&lines(lengths), BatchLimits { bytes, events }, Compression::None);
            made.into_iter().map(|(text, events)| (text.len(), events)).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[9, 9, 9], 20, 100), [(20, 2), (10, 1)]);
        assert_eq!(sizes(&[9, 9, 9], 19, 100), [(10, 1), (10, 1), (10, 1)]);
        assert_eq!(sizes(&[9, 9, 9], 100, 2), [(20, 2), (10, 1)]);
        // An event larger than the limit gets a separate batch.
        assert_eq!(sizes(&[1, 50, 1], 20, 100), [(2, 1), (51, 1), (2, 1)]);
    }

    /// Text that hardly compresses.
    fn noise(rng: &mut fastrand::Rng, bytes: usize) -> String {
        (0..bytes).map(|_| char::from(rng.u8(b' '..=b'~'))).collect()
    }

    #[test]
    fn streaming_compression_keeps_every_event() {
        let mut rng = fastrand::Rng::with_seed(7);
        let lines: Vec<_> = (0..600).map(|_| noise(&mut rng, 10_000)).collect();
        for compression in [Compression::Gzip, Compression::Zstd] {
            let made = batches(&lines, BatchLimits { bytes: 64 << 20, events: 10_000 }, compression);
            assert_eq!(made.len(), 1);
            assert!(made[0].0.lines().eq(lines.iter().map(String::as_str)));
        }
    }

    #[test]
    fn a_batch_without_memory_accepts_no_more_events() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let mut rng = fastrand::Rng::with_seed(7);
            let budget = Budget::new(3 << 20);
            let mut reservation = budget.reserve_nothing();
            let mut builder = BatchBuilder::new(compression, BatchLimits { bytes: 64 << 20, events: 10_000 });
            let mut added = 0;
            while builder.add(&event(&noise(&mut rng, 10_000)), &mut reservation).unwrap() {
                added += 1;
            }
            assert!((90..400).contains(&added), "{compression:?}: {added}");
            assert_eq!(
                unpack(&builder.seal(&mut OneShotCompressor::new(compression).unwrap()).unwrap().body, compression)
                    .lines()
                    .count(),
                added
            );
        }
    }

    proptest! {
        #[test]
        fn every_event_is_one_line_of_one_batch_in_its_order(
            lines in prop::collection::vec("[ -~\u{e9}\u{2028}]{1,40}", 1..60),
            bytes in 1_usize..200,
            events in 1_usize..20,
            compression in prop::sample::select(vec![Compression::None, Compression::Gzip, Compression::Zstd]),
        ) {
            let limits = BatchLimits { bytes, events };
            let made = batches(&lines, limits, compression);
            let mut seen = Vec::new();
            for (text, events) in &made {
                prop_assert!(text.ends_with('\n'));
                let of_batch: Vec<_> = text[..text.len() - 1].split('\n').map(str::to_owned).collect();
                prop_assert_eq!(of_batch.len(), *events);
                prop_assert!(*events <= limits.events && *events > 0);
                prop_assert!(text.len() <= limits.bytes || *events == 1);
                seen.extend(of_batch);
            }
            prop_assert_eq!(seen, lines);
        }
    }
}
