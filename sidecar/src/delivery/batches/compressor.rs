//! Compresses pieces of a batch, each into one gzip member or zstd frame. Their concatenation is a valid object: RFC 1952,
//! section 2.2, and RFC 8878, section 3.1.
//!
//! A batch can be as small as one event, and a compressor needs hundreds of kilobytes. Compressors allocated per
//! batch fragment the heap: longer-lived allocations between them keep their memory from being reused. So a few
//! compressors are kept, and each piece waits for one.

use libdeflater::{CompressionLvl, Compressor as Libdeflate};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Semaphore;
use tributary_crds::function::Compression;
use tributary_crds::memory::MAX_COMPRESSORS;
use zstd::zstd_safe::{CParameter, compress_bound};

use crate::memory;

/// The gzip level. libdeflate's level 1 needs half of the time of zlib-rs's level 2, for as many bytes; its level 2 needs
/// 70 % more time for no fewer, and level 5 twice the time for 8 % fewer (docs/performance.md).
const GZIP_LEVEL: i32 = 1;

/// The zstd level. Levels below 1 give 30 % more bytes; level 2 needs 30 % more time for no fewer bytes in a piece.
const ZSTD_LEVEL: i32 = 1;

/// Bytes of a piece before compression: larger ones give less than one percent fewer bytes with gzip, and two with zstd.
const GZIP_PIECE_BYTES: usize = 512 << 10;
const ZSTD_PIECE_BYTES: usize = 1 << 20;

/// Bytes before compression of the pieces of a batch; without compression, a batch is one piece.
pub(super) fn piece_bytes(compression: Compression) -> usize {
    match compression {
        Compression::Gzip => GZIP_PIECE_BYTES,
        Compression::Zstd => ZSTD_PIECE_BYTES,
        Compression::None => usize::MAX,
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

/// A compressor of one piece at a time, with a buffer for its output.
pub(super) struct Compressor {
    algorithm: Algorithm,
    out: Vec<u8>,
}

enum Algorithm {
    Gzip(Libdeflate),
    Zstd(zstd::bulk::Compressor<'static>),
    None,
}

impl Compressor {
    pub(super) fn new(compression: Compression) -> Self {
        let algorithm = match compression {
            Compression::Gzip => {
                let level = CompressionLvl::new(GZIP_LEVEL).expect("a level from 0 to 12");
                Algorithm::Gzip(Libdeflate::new(level))
            }
            Compression::Zstd => {
                let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("a valid level");
                compressor.set_parameter(CParameter::ChecksumFlag(true)).expect("a valid parameter");
                Algorithm::Zstd(compressor)
            }
            Compression::None => Algorithm::None,
        };
        Self { algorithm, out: Vec::new() }
    }

    /// Compresses `plain` into one gzip member or zstd frame; without compression, returns it unchanged.
    pub(super) fn compress<'a>(&'a mut self, plain: &'a [u8]) -> &'a [u8] {
        let Self { algorithm, out } = self;
        let most = match algorithm {
            Algorithm::Gzip(libdeflate) => libdeflate.gzip_compress_bound(plain.len()),
            Algorithm::Zstd(_) => compress_bound(plain.len()),
            Algorithm::None => return plain,
        };
        if out.len() < most {
            out.resize(most, 0);
        }
        let length = match algorithm {
            Algorithm::Gzip(libdeflate) => libdeflate.gzip_compress(plain, out).expect("room for the longest output"),
            Algorithm::Zstd(zstd) => zstd.compress_to_buffer(plain, &mut out[..]).expect("room for the longest output"),
            Algorithm::None => return plain,
        };
        &out[..length]
    }
}

/// A pool of up to [`MAX_COMPRESSORS`] compressors, which are created on demand.
pub(super) struct Compressors {
    slots: Semaphore,
    idle: Mutex<Vec<Compressor>>,
    compression: Compression,
}

impl std::fmt::Debug for Compressors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressors").field("compression", &self.compression).finish_non_exhaustive()
    }
}

impl Compressors {
    pub(super) fn new(compression: Compression) -> Self {
        Self { slots: Semaphore::new(memory::size(MAX_COMPRESSORS)), idle: Mutex::default(), compression }
    }

    /// Waits for a free compressor, and runs `work` with it.
    pub(super) async fn run<T>(&self, work: impl FnOnce(&mut Compressor) -> T) -> T {
        // An error would mean that the semaphore is closed, which it never is.
        let _slot = self.slots.acquire().await;
        let idle = self.idle().pop();
        let mut compressor = idle.unwrap_or_else(|| Compressor::new(self.compression));
        let done = work(&mut compressor);
        self.idle().push(compressor);
        done
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Compressor>> {
        self.idle.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// The concatenated output for these pieces.
    fn compressed(compressor: &mut Compressor, pieces: &[&[u8]]) -> Vec<u8> {
        pieces.iter().flat_map(|piece| compressor.compress(piece).to_vec()).collect()
    }

    #[test]
    fn pieces_are_one_object_and_a_compressor_is_reusable() {
        let mut gzip = Compressor::new(Compression::Gzip);
        let mut zstd = Compressor::new(Compression::Zstd);
        let many = b"another ".repeat(10_000);
        let noise: Vec<_> = std::iter::repeat_with(|| fastrand::u8(..)).take(100_000).collect();
        for pieces in [&[&b"one\n"[..]][..], &[b""], &[&many, b"two\n", &noise], &[b"one\n", b"two\n"]] {
            let (plain, mut text) = (pieces.concat(), Vec::new());
            let packed = compressed(&mut gzip, pieces);
            flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut text).unwrap();
            assert_eq!(text, plain);
            let packed = compressed(&mut zstd, pieces);
            assert_eq!(zstd::decode_all(&packed[..]).unwrap(), plain);
            assert_eq!(compressed(&mut Compressor::new(Compression::None), pieces), plain);
        }
    }

    #[tokio::test]
    async fn idle_compressors_are_reused() {
        let all = Compressors::new(Compression::Gzip);
        for _ in 0..10 {
            let body = all.run(|compressor| compressor.compress(b"{}\n").to_vec()).await;
            assert!(body.starts_with(&[0x1f, 0x8b]));
        }
        assert_eq!(all.idle().len(), 1);
    }
}
