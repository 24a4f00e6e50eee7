//! Compression of batches that are small enough to be buffered until they are sealed.
//!
//! A batch can be as small as one event, and a compressor takes hundreds of kilobytes: made anew for each
//! batch, they leave holes in the heap that what outlives them keeps from being used again. So a few
//! compressors are kept, and each batch waits for one.

use std::io::{self, Write};

use flate2::Crc;
use flate2::write::DeflateEncoder;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Semaphore;
use tributary_crds::function::Compression;
use tributary_crds::memory::MAX_COMPRESSORS;
use zstd::zstd_safe::CParameter;

use crate::memory;

/// On the benchmark's events, level 1 leaves 30 % more bytes; 3 takes a quarter more time for 4 %
/// fewer; 6, the default elsewhere, three quarters more for 10 % fewer.
pub(super) const GZIP_LEVEL: u32 = 2;

/// On the same events, level 3, zstd's own default, takes half as long again and leaves no fewer
/// bytes; both take less time than any gzip does, for fewer bytes.
pub(super) const ZSTD_LEVEL: i32 = 1;

/// The head of a gzip member: deflate, no flags, no time, and no operating system (RFC 1952, 2.3).
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Compresses one whole after the other.
pub(super) enum OneShotCompressor {
    Gzip(DeflateEncoder<Vec<u8>>),
    Zstd(zstd::bulk::Compressor<'static>),
    None,
}

impl OneShotCompressor {
    pub(super) fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gzip => Self::Gzip(DeflateEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL))),
            Compression::Zstd => {
                let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
                compressor.set_parameter(CParameter::ChecksumFlag(true))?;
                Self::Zstd(compressor)
            }
            Compression::None => Self::None,
        })
    }

    /// The whole, compressed.
    pub(super) fn compress(&mut self, plain: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(deflate) => gzip(deflate, &plain),
            Self::Zstd(compressor) => compressor.compress(&plain),
            Self::None => Ok(plain),
        }
    }
}

/// One gzip member. flate2 can start a bare deflate stream again, and no gzip stream.
fn gzip(deflate: &mut DeflateEncoder<Vec<u8>>, plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(GZIP_HEAD.len() + plain.len() / 4);
    out.extend_from_slice(&GZIP_HEAD);
    deflate.reset(out)?;
    deflate.write_all(plain)?;
    let mut out = deflate.reset(Vec::new())?;
    let mut crc = Crc::new();
    crc.update(plain);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    // Modulo 2^32, as the CRC's amount is.
    out.extend_from_slice(&crc.amount().to_le_bytes());
    Ok(out)
}

/// The compressors that there are.
pub(super) struct OneShotCompressors {
    slots: Semaphore,
    idle: Mutex<Vec<OneShotCompressor>>,
    compression: Compression,
}

impl std::fmt::Debug for OneShotCompressors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WholeCompressors").field("compression", &self.compression).finish_non_exhaustive()
    }
}

impl OneShotCompressors {
    pub(super) fn new(compression: Compression) -> Self {
        Self { slots: Semaphore::new(memory::size(MAX_COMPRESSORS)), idle: Mutex::default(), compression }
    }

    /// Waits for a compressor and does `work` with it.
    pub(super) async fn run<T>(&self, work: impl FnOnce(&mut OneShotCompressor) -> io::Result<T>) -> io::Result<T> {
        // The semaphore is never closed.
        let _slot = self.slots.acquire().await;
        let idle = self.idle().pop();
        let mut compressor = idle.map_or_else(|| OneShotCompressor::new(self.compression), Ok)?;
        let done = work(&mut compressor);
        self.idle().push(compressor);
        done
    }

    fn idle(&self) -> MutexGuard<'_, Vec<OneShotCompressor>> {
        self.idle.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_compressor_does_one_whole_after_the_other() {
        let mut gzip = OneShotCompressor::new(Compression::Gzip).unwrap();
        let mut zstd = OneShotCompressor::new(Compression::Zstd).unwrap();
        for plain in [&b"one\n"[..], b"", &b"another ".repeat(10_000), b"one\n"] {
            let mut text = Vec::new();
            let packed = gzip.compress(plain.to_vec()).unwrap();
            flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut text).unwrap();
            assert_eq!(text, plain);
            let packed = zstd.compress(plain.to_vec()).unwrap();
            assert_eq!(zstd::decode_all(&packed[..]).unwrap(), plain);
        }
    }

    #[tokio::test]
    async fn compressors_are_used_again() {
        let all = OneShotCompressors::new(Compression::Gzip);
        for _ in 0..10 {
            let body = all.run(|compressor| compressor.compress(b"{}\n".to_vec())).await.unwrap();
            assert!(body.starts_with(&GZIP_HEAD));
        }
        assert_eq!(all.idle().len(), 1);
    }
}
