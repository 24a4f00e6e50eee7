//! A body's Content-Encoding, undone: within the limit that the body itself has. Pure.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};

use super::body_error::BodyError;
use crate::memory::{Growing, Reservation};

/// The largest window that a zstd body may ask for, as a power of two: 8 MiB, which every decoder
/// has to have (RFC 8878, 3.1.1.1.2). More would be memory that a client chooses.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Bytes decompressed between two looks at the limits.
const CHUNK: usize = 16 << 10;

/// Bytes that an inflater takes: its window of 32 KiB twice, and its tables (zlib-rs).
const INFLATE_STATE_BYTES: usize = 96 << 10;

/// Bytes that zstd's decoder takes in addition to its window: tables and a block in and out
/// (`ZSTD_estimateDStreamSize`).
const ZSTD_STATE_BYTES: usize = 512 << 10;

/// What was done to a body before it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Nothing.
    Identity,
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 1950, as HTTP means it, or bare RFC 1951, as many clients do.
    Deflate,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// What the headers say.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, BodyError> {
        // Two lines are a list (RFC 9110, 5.3), and so no encoding of ours.
        let lines: Vec<_> = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes).collect();
        let name = &lines.join(&b", "[..])[..];
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        Ok(match () {
            () if name.is_empty() || is("identity") => Self::Identity,
            () if is("gzip") || is("x-gzip") => Self::Gzip,
            () if is("deflate") => Self::Deflate,
            () if is("zstd") => Self::Zstd,
            () => return Err(BodyError::UnknownEncoding(String::from_utf8_lossy(name).into_owned())),
        })
    }

    /// The body as it was before, at most `limit` bytes of it, for which `reservation` stands from then on. The
    /// decoder's own memory is reserved while it works.
    pub(super) fn decode(self, body: Bytes, limit: usize, reservation: &mut Reservation) -> Result<Bytes, BodyError> {
        if self == Self::Identity {
            return Ok(body);
        }
        let state = self.decoder_bytes(limit);
        let before = reservation.bytes() + state;
        if !reservation.grow(state) {
            return Err(BodyError::OutOfBudget);
        }
        let plain = self.unpack(&body, limit, reservation)?;
        drop(body);
        reservation.give_back(before);
        Ok(plain)
    }

    fn unpack(self, body: &[u8], limit: usize, reservation: &mut Reservation) -> Result<Bytes, BodyError> {
        let wrong = |error: std::io::Error| BodyError::NotAsEncoded(self.name(), error.to_string());
        let decoder: Box<dyn Read + '_> = match self {
            Self::Identity => Box::new(body),
            Self::Gzip => Box::new(MultiGzDecoder::new(body)),
            Self::Deflate if is_zlib(body) => Box::new(ZlibDecoder::new(body)),
            Self::Deflate => Box::new(DeflateDecoder::new(body)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(wrong)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(wrong)?;
                Box::new(decoder)
            }
        };
        unpack(decoder, limit, reservation, wrong)
    }

    /// What a decoder of at most `limit` bytes takes. zstd's window is the client's choice, but no more of
    /// it is ever touched than is decompressed.
    fn decoder_bytes(self, limit: usize) -> usize {
        match self {
            Self::Identity => 0,
            Self::Gzip | Self::Deflate => INFLATE_STATE_BYTES,
            Self::Zstd => ZSTD_STATE_BYTES + limit.min(1 << ZSTD_WINDOW_LOG),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }
}

/// Whether there is a zlib header: method 8, and a checksum over its two bytes (RFC 1950, 2.2).
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [cmf, flags, ..] if cmf & 0x0f == 8 && u16::from_be_bytes([*cmf, *flags]) % 31 == 0)
}

/// Decompresses, and stops one byte past the limit: a bomb never unfolds.
fn unpack(
    decoder: impl Read,
    limit: usize,
    reservation: &mut Reservation,
    wrong: impl Fn(std::io::Error) -> BodyError,
) -> Result<Bytes, BodyError> {
    let mut decoder = decoder.take(limit as u64 + 1);
    let mut plain = Growing::new(limit, reservation);
    let mut chunk = [0; CHUNK];
    loop {
        let read = decoder.read(&mut chunk).map_err(&wrong)?;
        if read == 0 {
            return Ok(plain.into_bytes());
        }
        if plain.len() + read > limit {
            return Err(BodyError::TooLargeDecompressed(limit));
        }
        if !plain.extend(&chunk[..read]) {
            return Err(BodyError::OutOfBudget);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;
    use crate::memory::Budget;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn bare(plain: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(plain: &[u8]) -> Vec<u8> {
        zstd::encode_all(plain, 1).unwrap()
    }

    fn decoded(encoding: Encoding, body: Vec<u8>, limit: usize) -> Result<Bytes, BodyError> {
        encoding.decode(body.into(), limit, &mut Budget::new(16 << 20).reserve_nothing())
    }

    type Encode = fn(&[u8]) -> Vec<u8>;

    /// Each encoding, and what compresses for it.
    const ALL: [(Encoding, Encode); 4] =
        [(Encoding::Gzip, gzip), (Encoding::Deflate, zlib), (Encoding::Deflate, bare), (Encoding::Zstd, zstd)];

    #[test]
    fn what_was_encoded_is_decoded() {
        for (encoding, encode) in ALL {
            let plain = b"{\"event\":\"Order Completed\"}".repeat(50);
            assert_eq!(decoded(encoding, encode(&plain), plain.len()).unwrap(), plain, "{encoding:?}");
            assert_eq!(decoded(encoding, encode(b""), 10).unwrap(), "", "{encoding:?}");
        }
        let two = [gzip(b"one"), gzip(b"two")].concat();
        assert_eq!(decoded(Encoding::Gzip, two, 6).unwrap(), "onetwo");
    }

    #[test]
    fn a_bomb_never_unfolds() {
        for (encoding, encode) in ALL {
            let bomb = encode(&vec![b'0'; 10 << 20]);
            let refused = decoded(encoding, bomb.clone(), 1000).unwrap_err();
            assert_eq!(refused, BodyError::TooLargeDecompressed(1000), "{encoding:?}");
            let mut small = Budget::new(encoding.decoder_bytes(20 << 20) + 100).reserve_nothing();
            assert_eq!(encoding.decode(bomb.into(), 20 << 20, &mut small).unwrap_err(), BodyError::OutOfBudget);
            assert!(decoded(encoding, encode(b"123"), 2).is_err(), "{encoding:?}");
        }
    }

    #[test]
    fn a_window_larger_than_any_decoder_has_to_have_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(ZSTD_WINDOW_LOG + 1).unwrap();
        encoder.write_all(&b"0123456789".repeat(1 << 18)).unwrap();
        let body = encoder.finish().unwrap();
        assert!(matches!(decoded(Encoding::Zstd, body, 8 << 20), Err(BodyError::NotAsEncoded("zstd", _))));
    }

    #[test]
    fn what_is_not_as_encoded_is_told_so() {
        for (encoding, encode) in ALL {
            assert!(
                matches!(decoded(encoding, b"plain".to_vec(), 10), Err(BodyError::NotAsEncoded(..))),
                "{encoding:?}"
            );
            let whole = encode(&b"cut short".repeat(100));
            let cut = decoded(encoding, whole[..whole.len() - 6].to_vec(), 4096);
            assert!(matches!(cut, Err(BodyError::NotAsEncoded(..))), "{encoding:?}: {cut:?}");
        }
    }

    #[test]
    fn encodings_are_named_in_any_case() {
        let headers = |name: &str| HeaderMap::from_iter([(CONTENT_ENCODING, name.parse().unwrap())]);
        assert_eq!(Encoding::of(&HeaderMap::new()), Ok(Encoding::Identity));
        for (name, encoding) in [
            ("identity", Encoding::Identity),
            ("GZIP", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("Deflate", Encoding::Deflate),
            ("zstd", Encoding::Zstd),
        ] {
            assert_eq!(Encoding::of(&headers(name)), Ok(encoding), "{name}");
        }
        for unknown in ["br", "gzip, gzip"] {
            assert_eq!(Encoding::of(&headers(unknown)), Err(BodyError::UnknownEncoding(unknown.to_owned())));
        }
        let lines = ["identity", "gzip"].map(|name| (CONTENT_ENCODING, HeaderValue::from_static(name)));
        let list = BodyError::UnknownEncoding("identity, gzip".to_owned());
        assert_eq!(Encoding::of(&HeaderMap::from_iter(lines)), Err(list));
    }
}
