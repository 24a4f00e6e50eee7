//! Buffers the lines of an open batch, and compresses them.
//!
//! A compressor needs hundreds of kilobytes before its first byte of output. So a batch's lines are buffered
//! uncompressed until they need as much. From then on they are compressed as they arrive, and an open batch needs
//! about as much memory as its object. All of it is reserved, including the compressors.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use tributary_crds::function::Compression;

use super::one_shot_compressor::{GZIP_LEVEL, OneShotCompressor, ZSTD_LEVEL};
use crate::memory::Reservation;

/// zstd's window size, as a power of two: 1 MiB, which bounds the memory of each open batch.
const ZSTD_WINDOW_LOG: u32 = 20;

/// Bytes that a streaming compressor needs in addition to its output (zlib-rs: window, hash chains, pending output
/// and flate2's buffer; zstd: `ZSTD_estimateCStreamSize` for the window above).
const GZIP_STATE_BYTES: usize = 448 << 10;
const ZSTD_STATE_BYTES: usize = 2 << 20;

/// Maximum bytes by which the output of one write exceeds its input: compressors write their output in bursts.
const OUTPUT_BURST_BYTES: usize = 96 << 10;

/// The lines of an open batch, compressed or not.
pub(super) struct BatchBuffer {
    compression: Compression,
    /// Maximum bytes of the batch before compression; the buffer's capacity is not doubled beyond it.
    most: usize,
    content: Content,
}

enum Content {
    /// Uncompressed.
    Plain(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl BatchBuffer {
    /// An empty buffer for a batch of about `most` bytes before compression.
    pub(super) fn new(compression: Compression, most: usize) -> Self {
        Self { compression, most, content: Content::Plain(Vec::new()) }
    }

    /// Reserves and allocates room for a line of `length` bytes, and starts to compress once that takes less memory.
    /// Returns false if the memory budget has no room.
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

    /// Appends bytes for which [`make_room`](Self::make_room) has made room.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.content {
            Content::Plain(plain) => plain.write_all(bytes),
            Content::Gzip(encoder) => encoder.write_all(bytes),
            Content::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    /// The body of the object. Lines that are only buffered are compressed now, by `whole`.
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

/// A streaming compressor that writes to `out`; without compression, `out` itself.
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

/// Bytes that a streaming compressor needs in addition to its output.
fn state_bytes(compression: Compression) -> usize {
    match compression {
        Compression::Gzip => GZIP_STATE_BYTES,
        Compression::Zstd => ZSTD_STATE_BYTES,
        Compression::None => 0,
    }
}

/// The file extension in the default key of a batch.
pub(super) fn extension(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "ndjson.gz",
        Compression::Zstd => "ndjson.zst",
        Compression::None => "ndjson",
    }
}
