//! The body of a batch's object, which grows by one compressed piece at a time while the batch is open.
//!
//! So an open batch needs about as much memory as its object, and its last piece uncompressed. All of it is reserved; the
//! compressors have memory of their own ([`tributary_crds::memory::COMPRESSOR_BYTES`]).

use tributary_crds::function::Compression;

use super::compressor::Compressors;
use crate::memory::Reservation;

/// Lines of a batch that are not compressed yet, with the reservation of their capacity.
pub(super) struct Piece {
    pub(super) lines: Vec<u8>,
    pub(super) reservation: Reservation,
}

/// The memory budget has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfMemory;

/// The body of an object.
pub(super) struct CompressedBody {
    bytes: Vec<u8>,
    reservation: Reservation,
    compression: Compression,
    /// Bytes up to which the capacity doubles as the body grows.
    most: usize,
}

impl CompressedBody {
    /// An empty body. Its memory is added to the reservation.
    pub(super) fn new(compression: Compression, most: usize, reservation: Reservation) -> Self {
        Self { bytes: Vec::new(), reservation, compression, most }
    }

    /// Compresses a piece, and appends it.
    pub(super) async fn append(&mut self, piece: Piece, compressors: &Compressors) -> Result<(), OutOfMemory> {
        let Piece { lines, reservation } = piece;
        if self.compression == Compression::None && self.bytes.is_empty() {
            // The only piece is the body.
            self.reservation.join(reservation);
            self.bytes = lines;
            return Ok(());
        }
        let append = |compressed: &[u8]| {
            // From here on, the output stands for the lines.
            drop(reservation);
            if !self.reservation.make_room(&mut self.bytes, compressed.len(), self.most) {
                return Err(OutOfMemory);
            }
            self.bytes.extend_from_slice(compressed);
            Ok(())
        };
        compressors.run(|compressor| append(compressor.compress(&lines))).await
    }

    /// The bytes, with the reservation of their memory and of what it covered before.
    pub(super) fn finish(self) -> (Vec<u8>, Reservation) {
        (self.bytes, self.reservation)
    }
}
