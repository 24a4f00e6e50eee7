//! Compresses request bodies as clients do.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

/// A function that compresses a body.
pub type Encode = fn(&[u8]) -> Vec<u8>;

/// gzip, RFC 1952.
///
/// # Panics
/// Never: writing to memory does not fail.
pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// zlib, RFC 1950: what HTTP means by `deflate`.
///
/// # Panics
/// Never: writing to memory does not fail.
pub fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// Raw deflate, RFC 1951: what many clients mean by `deflate`.
///
/// # Panics
/// Never: writing to memory does not fail.
pub fn bare_deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// Zstandard, RFC 8878.
///
/// # Panics
/// Never: writing to memory does not fail.
pub fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).expect("memory")
}

/// Zstandard with the largest window that decoders must accept, 8 MiB, and without the size of the content, which costs
/// a decoder most memory.
///
/// # Panics
/// Never: writing to memory does not fail.
pub fn zstd_with_large_window(plain: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory");
    encoder.window_log(23).expect("a valid window");
    encoder.include_contentsize(false).expect("a flag");
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}
