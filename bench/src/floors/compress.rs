//! Compresses a batch with the sidecar's algorithms, levels and pieces.
//!
//! With others, this would not be the sidecar's floor: `sidecar/src/delivery/batches/compressor.rs` has the reasons for
//! them.

use std::io;

use libdeflater::{CompressionLvl, Compressor as Libdeflate};
use zstd::zstd_safe::CParameter;

use crate::content::Content;

const GZIP_LEVEL: i32 = 1;
const ZSTD_LEVEL: i32 = 1;

/// Bytes of a piece before compression.
const GZIP_PIECE_BYTES: usize = 512 << 10;
const ZSTD_PIECE_BYTES: usize = 1 << 20;

/// A compressor of one batch.
pub(super) struct Encoder {
    algorithm: Algorithm,
    piece_bytes: usize,
    /// Lines that are not compressed yet.
    lines: Vec<u8>,
    body: Vec<u8>,
}

enum Algorithm {
    Gzip(Libdeflate),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Encoder {
    pub(super) fn new(content: Content) -> io::Result<Encoder> {
        let (algorithm, piece_bytes) = if content == Content::Zstd {
            let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
            compressor.set_parameter(CParameter::ChecksumFlag(true))?;
            (Algorithm::Zstd(compressor), ZSTD_PIECE_BYTES)
        } else {
            let level = CompressionLvl::new(GZIP_LEVEL).map_err(|_| io::Error::other("not a level"))?;
            (Algorithm::Gzip(Libdeflate::new(level)), GZIP_PIECE_BYTES)
        };
        Ok(Encoder { algorithm, piece_bytes, lines: Vec::with_capacity(piece_bytes), body: Vec::new() })
    }

    pub(super) fn write_line(&mut self, event: &[u8]) -> io::Result<()> {
        if self.lines.len() + event.len() >= self.piece_bytes {
            self.compress()?;
        }
        self.lines.extend_from_slice(event);
        self.lines.push(b'\n');
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        self.compress()?;
        Ok(self.body)
    }

    /// Compresses the lines into one gzip member or zstd frame.
    fn compress(&mut self) -> io::Result<()> {
        let Encoder { algorithm, lines, body, .. } = self;
        let start = body.len();
        let written = match algorithm {
            Algorithm::Gzip(libdeflate) => {
                body.resize(start + libdeflate.gzip_compress_bound(lines.len()), 0);
                libdeflate.gzip_compress(lines, &mut body[start..]).map_err(io::Error::other)?
            }
            Algorithm::Zstd(zstd) => {
                body.resize(start + zstd::zstd_safe::compress_bound(lines.len()), 0);
                zstd.compress_to_buffer(lines, &mut body[start..])?
            }
        };
        body.truncate(start + written);
        lines.clear();
        Ok(())
    }
}
