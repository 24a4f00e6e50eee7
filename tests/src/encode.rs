//! Bodies as clients encode them.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

/// What encodes a body.
pub type Encode = fn(&[u8]) -> Vec<u8>;

/// RFC 1952.
///
/// # Panics
/// Never: memory takes what is written.
pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// RFC 1950, as HTTP means `deflate`.
///
/// # Panics
/// Never: memory takes what is written.
pub fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// RFC 1951, as many clients mean `deflate`.
///
/// # Panics
/// Never: memory takes what is written.
pub fn bare_deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// RFC 8878.
///
/// # Panics
/// Never: memory takes what is written.
pub fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).expect("memory")
}
