//! How a batch's bytes are compressed: as they come, so that a batch in the making takes the memory
//! of what will be sent.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use tributary_crds::function::Compression;

/// Of the benchmark's events, level 1 leaves 30 % more bytes; 3 takes a quarter more time for 4 %
/// fewer; 6, the default elsewhere, three quarters more for 10 % fewer.
const GZIP_LEVEL: u32 = 2;

/// Of the same events, level 3, zstd's own default, takes half as long again and leaves no fewer
/// bytes; both take less time than any gzip does, for fewer bytes.
const ZSTD_LEVEL: i32 = 1;

/// How far back zstd looks for repetitions, as a power of two: 1 MiB, which bounds the memory of
/// each open batch.
const ZSTD_WINDOW_LOG: u32 = 20;

/// Compresses into memory.
pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
    None(Vec<u8>),
}

impl Encoder {
    pub(super) fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL))),
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(ZSTD_WINDOW_LOG)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
            Compression::None => Self::None(Vec::new()),
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::None(out) => out.write_all(bytes),
        }
    }

    /// Bytes that have come out so far.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Gzip(encoder) => encoder.get_ref().len(),
            Self::Zstd(encoder) => encoder.get_ref().len(),
            Self::None(out) => out.len(),
        }
    }

    /// The whole.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::None(out) => Ok(out),
        }
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
