//! Batches and their compression, for the micro-benchmarks.

use tributary_crds::function::Compression;

use super::batch_builder::{BatchBuilder, BatchLimits};
use super::compressor::Compressor;
use crate::event::Event;
use crate::memory::Budget;

/// The lines of a batch of these events, as far as they are one piece.
pub fn batch(events: &[Event]) -> Vec<u8> {
    let limits = BatchLimits { bytes: 64 << 20, events: events.len() };
    let mut builder = BatchBuilder::new(Compression::None, limits);
    let mut reservation = Budget::new(usize::MAX).reserve_nothing();
    for event in events {
        builder.add(event, &mut reservation);
    }
    builder.seal().0
}

/// A compressor of pieces.
pub struct Pieces(Compressor);

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pieces").finish()
    }
}

impl Pieces {
    /// A compressor with the sidecar's own level.
    pub fn new(compression: Compression) -> Self {
        Self(Compressor::new(compression))
    }

    /// Compresses a piece; returns the number of bytes.
    pub fn compress(&mut self, piece: &[u8]) -> usize {
        self.0.compress(piece).len()
    }
}
