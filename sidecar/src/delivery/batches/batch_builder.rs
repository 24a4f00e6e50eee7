//! Collects the lines of an open batch: newline-delimited JSON, one event per line. Pure.

use tributary_crds::function::Compression;

use super::compressor::piece_bytes;
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

/// The lines and the size of an open batch. Full pieces of lines are taken out, to be compressed while others are
/// collected.
pub(super) struct BatchBuilder {
    /// The lines that were not taken.
    lines: Vec<u8>,
    /// Bytes of a full piece.
    piece_bytes: usize,
    limits: BatchLimits,
    size: BatchSize,
}

/// The size of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BatchSize {
    /// Bytes before compression.
    pub(super) bytes: usize,
    /// The number of events.
    pub(super) events: usize,
    /// The number of events of each type.
    pub(super) types: TypeCounts,
}

impl BatchBuilder {
    pub(super) fn new(compression: Compression, limits: BatchLimits) -> Self {
        let piece_bytes = piece_bytes(compression).min(limits.bytes);
        Self { lines: Vec::new(), piece_bytes, limits, size: BatchSize::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.size.events == 0
    }

    /// Whether the event fits, or else belongs in the next batch. An empty batch accepts any event: it would not
    /// fit better into another one.
    pub(super) fn has_room(&self, event: &Event) -> bool {
        let BatchSize { bytes, events, .. } = self.size;
        self.is_empty() || (events < self.limits.events && bytes + event.body.len() <= self.limits.bytes)
    }

    /// Whether no further event fits.
    pub(super) fn is_full(&self) -> bool {
        self.size.events >= self.limits.events || self.size.bytes >= self.limits.bytes
    }

    /// Takes the lines if they are a full piece: if the event's line does not fit into it. The reservation of their
    /// memory remains the caller's.
    pub(super) fn take_full_piece(&mut self, event: &Event) -> Option<Vec<u8>> {
        let is_full = !self.lines.is_empty() && self.lines.len() + event.body.len() > self.piece_bytes;
        is_full.then(|| std::mem::take(&mut self.lines))
    }

    /// Appends an event's line. Returns false, and appends nothing, if the memory budget has no room.
    pub(super) fn add(&mut self, event: &Event, reservation: &mut Reservation) -> bool {
        let line = &event.body;
        let is_later_piece = self.lines.capacity() == 0 && self.size.bytes >= self.piece_bytes / 2;
        // A batch that has filled a piece is likely to fill another one.
        if is_later_piece && reservation.grow(self.piece_bytes) {
            self.lines.reserve_exact(self.piece_bytes);
        }
        if !reservation.make_room(&mut self.lines, line.len(), self.piece_bytes) {
            return false;
        }
        self.lines.extend_from_slice(line);
        self.size.bytes += line.len();
        self.size.events += 1;
        self.size.types.add(&event.event_type);
        true
    }

    /// The lines that were not taken, and the size of the whole batch.
    pub(super) fn seal(self) -> (Vec<u8>, BatchSize) {
        (self.lines, self.size)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use bytes::Bytes;
    use flate2::read::MultiGzDecoder;
    use proptest::prelude::*;
    use tributary_crds::function::SegmentType;

    use super::super::compressor::Compressor;
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
        let new = || (BatchBuilder::new(compression, limits), Vec::new());
        let mut open: Option<(BatchBuilder, Vec<Vec<u8>>)> = None;
        for event in lines.iter().map(|line| event(line)) {
            if open.as_ref().is_some_and(|(builder, _)| !builder.has_room(&event)) {
                sealed.extend(open.take());
            }
            let (builder, pieces) = open.get_or_insert_with(new);
            pieces.extend(builder.take_full_piece(&event));
            assert!(builder.add(&event, &mut reservation));
            if builder.is_full() {
                sealed.extend(open.take());
            }
        }
        sealed.extend(open);
        let mut compressor = Compressor::new(compression);
        let mut unpacked = |(builder, mut pieces): (BatchBuilder, Vec<Vec<u8>>)| {
            let (last, size) = builder.seal();
            pieces.push(last);
            let body: Vec<_> = pieces.iter().flat_map(|piece| compressor.compress(piece).to_vec()).collect();
            let text = unpack(&body, compression);
            assert_eq!(text.len(), size.bytes);
            (text, size.events)
        };
        sealed.into_iter().map(&mut unpacked).collect()
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
    fn a_batch_of_several_pieces_keeps_every_event() {
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
            let (mut added, mut bytes) = (0, 0);
            loop {
                let event = event(&noise(&mut rng, 10_000));
                bytes += builder.take_full_piece(&event).map_or(0, |piece| piece.len());
                if !builder.add(&event, &mut reservation) {
                    break;
                }
                added += 1;
            }
            assert!((90..400).contains(&added), "{compression:?}: {added}");
            let (last, size) = builder.seal();
            assert_eq!((size.events, size.bytes), (added, bytes + last.len()));
            assert!(reservation.bytes() >= size.bytes);
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
