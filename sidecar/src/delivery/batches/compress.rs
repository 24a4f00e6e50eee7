//! How a batch's bytes are compressed.
//!
//! A compressor takes hundreds of kilobytes before its first byte. So a batch's lines are buffered as they
//! are until they take as much themselves; from there on they are compressed as they arrive, and an open
//! batch takes about the memory of what will be sent. All of it is reserved, compressors included.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use tributary_crds::function::Compression;

use super::one_shot_compressor::{GZIP_LEVEL, OneShotCompressor, ZSTD_LEVEL};
use crate::memory::Reservation;

/// How far back zstd looks for repetitions, as a power of two: 1 MiB, which bounds the memory of
/// each open batch.
const ZSTD_WINDOW_LOG: u32 = 20;

/// Bytes that a compressor takes in addition to its output (zlib-rs: window, hash chains, pending output and
/// flate2's buffer; zstd: `ZSTD_estimateCStreamSize` for the window above).
const GZIP_STATE_BYTES: usize = 448 << 10;
const ZSTD_STATE_BYTES: usize = 2 << 20;

/// A compressor writes its output in bursts of up to so many bytes more than it is given.
const OUTPUT_BURST_BYTES: usize = 96 << 10;

/// What is in a batch so far.
pub(super) struct BatchBuffer {
    compression: Compression,
    /// The most bytes that the batch is to have, before compression.
    most: usize,
    content: Content,
}

enum Content {
    /// As it came.
    Plain(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl BatchBuffer {
    /// An empty one, for about `most` bytes.
    pub(super) fn new(compression: Compression, most: usize) -> Self {
        Self { compression, most, content: Content::Plain(Vec::new()) }
    }

    /// Makes sure that there is room for a line of `length` bytes, reserved and allocated. False when
    /// there is no memory for it.
    pub(super) fn make_room(&mut self, length: usize, reservation: &mut Reservation) -> io::Result<bool> {
        let state = state_bytes(self.compression);
        if let Content::Plain(plain) = &self.content
            && state > 0
            && plain.len() + length > state
        {
            if !reservation.grow(state + OUTPUT_BURST_BYTES) {
                return Ok(false);
            }
            let buffered = plain.capacity();
            self.start_compressing()?;
            reservation.give_back(buffered);
        }
        Ok(match &mut self.content {
            Content::Plain(plain) => reservation.make_room(plain, length, self.most),
            Content::Gzip(encoder) => reservation.make_room(encoder.get_mut(), length + OUTPUT_BURST_BYTES, self.most),
            Content::Zstd(encoder) => reservation.make_room(encoder.get_mut(), length + OUTPUT_BURST_BYTES, self.most),
        })
    }

    fn start_compressing(&mut self) -> io::Result<()> {
        let Content::Plain(plain) = &mut self.content else { return Ok(()) };
        let plain = std::mem::take(plain);
        self.content = encoder(self.compression, Vec::with_capacity(OUTPUT_BURST_BYTES))?;
        self.write(&plain)
    }

    /// Adds bytes for which there is room.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.content {
            Content::Plain(plain) => plain.write_all(bytes),
            Content::Gzip(encoder) => encoder.write_all(bytes),
            Content::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    /// The body of the object. What was only buffered is compressed now, by `whole`.
    pub(super) fn finish(self, whole: &mut OneShotCompressor) -> io::Result<Vec<u8>> {
        let mut body = match self.content {
            Content::Plain(plain) => whole.compress(plain)?,
            Content::Gzip(encoder) => encoder.finish()?,
            Content::Zstd(encoder) => encoder.finish()?,
        };
        body.shrink_to_fit();
        Ok(body)
    }
}

/// A compressor that writes to `out` as it is given bytes.
fn encoder(compression: Compression, out: Vec<u8>) -> io::Result<Content> {
    Ok(match compression {
        Compression::Gzip => Content::Gzip(Box::new(GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL)))),
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
            encoder.window_log(ZSTD_WINDOW_LOG)?;
            encoder.include_checksum(true)?;
            Content::Zstd(encoder)
        }
        Compression::None => Content::Plain(out),
    })
}

/// What a compressor takes in addition to its output.
fn state_bytes(compression: Compression) -> usize {
    match compression {
        Compression::Gzip => GZIP_STATE_BYTES,
        Compression::Zstd => ZSTD_STATE_BYTES,
        Compression::None => 0,
    }
}

/// The end of the keys of such objects.
pub(super) fn extension(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "ndjson.gz",
        Compression::Zstd => "ndjson.zst",
        Compression::None => "ndjson",
    }
}
