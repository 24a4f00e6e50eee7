//! Compresses in one step the batches that are small enough to be buffered until they are sealed.
//!
//! A batch can be as small as one event, and a compressor needs hundreds of kilobytes. Compressors allocated per
//! batch fragment the heap: longer-lived allocations between them keep their memory from being reused. So a few
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

/// The gzip level. On the benchmark's events, level 1 gives 30 % more bytes; level 3 needs 25 % more time for 4 %
/// fewer; level 6, the usual default, needs 75 % more time for 10 % fewer.
pub(super) const GZIP_LEVEL: u32 = 2;

/// The zstd level. On the same events, level 3, zstd's default, needs 50 % more time for no fewer bytes; both need
/// less time than any gzip level, and give fewer bytes.
pub(super) const ZSTD_LEVEL: i32 = 1;

/// The header of a gzip member: deflate, no flags, no time, unknown operating system (RFC 1952, section 2.3).
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A reusable compressor of one whole input at a time.
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

    /// Compresses all of `plain` into one gzip member or zstd frame; without compression, returns it unchanged.
    pub(super) fn compress(&mut self, plain: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(deflate) => gzip(deflate, &plain),
            Self::Zstd(compressor) => compressor.compress(&plain),
            Self::None => Ok(plain),
        }
    }
}

/// Compresses `plain` into one gzip member. flate2 can reset a raw deflate encoder, but not a gzip encoder.
fn gzip(deflate: &mut DeflateEncoder<Vec<u8>>, plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(GZIP_HEADER.len() + plain.len() / 4);
    out.extend_from_slice(&GZIP_HEADER);
    deflate.reset(out)?;
    deflate.write_all(plain)?;
    let mut out = deflate.reset(Vec::new())?;
    let mut crc = Crc::new();
    crc.update(plain);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    // The length is modulo 2^32 (RFC 1952), as `Crc::amount` is.
    out.extend_from_slice(&crc.amount().to_le_bytes());
    Ok(out)
}

/// A pool of up to [`MAX_COMPRESSORS`] compressors, which are created on demand.
pub(super) struct OneShotCompressors {
    slots: Semaphore,
    idle: Mutex<Vec<OneShotCompressor>>,
    compression: Compression,
}

impl std::fmt::Debug for OneShotCompressors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneShotCompressors").field("compression", &self.compression).finish_non_exhaustive()
    }
}

impl OneShotCompressors {
    pub(super) fn new(compression: Compression) -> Self {
        Self { slots: Semaphore::new(memory::size(MAX_COMPRESSORS)), idle: Mutex::default(), compression }
    }

    /// Waits for a free compressor, and runs `work` with it.
    pub(super) async fn run<T>(&self, work: impl FnOnce(&mut OneShotCompressor) -> io::Result<T>) -> io::Result<T> {
        // An error would mean that the semaphore is closed, which it never is.
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
    fn a_compressor_is_reusable() {
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
    async fn idle_compressors_are_reused() {
        let all = OneShotCompressors::new(Compression::Gzip);
        for _ in 0..10 {
            let body = all.run(|compressor| compressor.compress(b"{}\n".to_vec())).await.unwrap();
            assert!(body.starts_with(&GZIP_HEADER));
        }
        assert_eq!(all.idle().len(), 1);
    }
}
