//! Compresses a batch with the sidecar's algorithm and level.
//!
//! With other levels, this would not be the sidecar's floor: `sidecar/src/delivery/batches` has the reasons for them.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::double::Content;

const GZIP_LEVEL: u32 = 2;
const ZSTD_LEVEL: i32 = 1;
/// zstd's window size, as a power of two: 1 MiB.
const ZSTD_WINDOW_LOG: u32 = 20;

/// A compressor of one batch.
pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    pub(super) fn new(content: Content) -> io::Result<Encoder> {
        if content == Content::Zstd {
            let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
            encoder.window_log(ZSTD_WINDOW_LOG)?;
            encoder.include_checksum(true)?;
            return Ok(Encoder::Zstd(encoder));
        }
        Ok(Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))))
    }

    pub(super) fn write_line(&mut self, event: &[u8]) -> io::Result<()> {
        let out: &mut dyn Write = match self {
            Encoder::Gzip(encoder) => encoder,
            Encoder::Zstd(encoder) => encoder,
        };
        out.write_all(event)?;
        out.write_all(b"\n")
    }

    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }
}
