//! Decompresses a body according to its Content-Encoding, within the body's own size limit. Pure.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, ZlibDecoder};
use flate2::read::MultiGzDecoder;
use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};

use super::body_error::BodyError;
use crate::memory::{GrowingBuffer, Reservation};

/// Binary logarithm of the largest zstd window that is accepted: 8 MiB, which every decoder should support (RFC 8878,
/// 3.1.1.1.2). Without the limit, the client would choose how much memory is used.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Maximum characters of an unknown encoding's name that are answered: the header may have 32 KiB, and its sender need
/// not read the answer.
const MAX_SHOWN_CHARS: usize = 48;

/// Bytes decompressed between two checks of the limits.
const CHUNK_BYTES: usize = 16 << 10;

/// The first bytes of a gzip member (RFC 1952, 2.3.1).
const GZIP_MAGIC: &[u8] = b"\x1f\x8b";

/// The mark that may precede a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The first bytes of a zstd frame (RFC 8878, 3.1.1).
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";

/// Memory of an inflater, in bytes: twice its window of 32 KiB, and its tables (zlib-rs).
const INFLATE_STATE_BYTES: usize = 96 << 10;

/// Memory of zstd's decoder in addition to its window, in bytes: tables, and an input and an output block
/// (`ZSTD_estimateDStreamSize`).
const ZSTD_STATE_BYTES: usize = 512 << 10;

/// How the client encoded a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Not compressed.
    Identity,
    /// RFC 1952, with one or more members.
    Gzip,
    /// RFC 1950, as HTTP defines it, or raw RFC 1951, as many clients send it.
    Deflate,
    /// RFC 8878, with a window of at most 8 MiB.
    Zstd,
}

impl Encoding {
    /// The encoding that the headers name; an error if it is unknown or a list.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, BodyError> {
        // Several header lines are a list (RFC 9110, 5.3), which is not supported.
        let lines: Vec<_> = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes).collect();
        let name = &lines.join(&b", "[..])[..];
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        Ok(match () {
            () if name.is_empty() || is("identity") => Self::Identity,
            () if is("gzip") || is("x-gzip") => Self::Gzip,
            () if is("deflate") => Self::Deflate,
            () if is("zstd") => Self::Zstd,
            () => {
                let shown = String::from_utf8_lossy(name).chars().take(MAX_SHOWN_CHARS).collect();
                return Err(BodyError::UnknownEncoding(shown));
            }
        })
    }

    /// How the body is really encoded. Proxies compress or decompress bodies without changing the header, and some
    /// libraries compress without naming it. JSON begins with none of the magic numbers.
    pub(super) fn recognized(self, body: &[u8]) -> Self {
        let is_json = || {
            let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii_start();
            text.first().is_some_and(|byte| matches!(byte, b'{' | b'['))
        };
        match self {
            // Raw deflate can begin with any bytes.
            Self::Deflate => self,
            _ if body.starts_with(GZIP_MAGIC) => Self::Gzip,
            _ if body.starts_with(ZSTD_MAGIC) => Self::Zstd,
            _ if is_json() => Self::Identity,
            named => named,
        }
    }

    /// Decompresses the body to at most `limit` bytes. Afterwards `reservation` covers the result instead of the body;
    /// the decoder's own memory is reserved while it works.
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
        let mut rest = body;
        let decoder: Box<dyn Read + '_> = match self {
            Self::Identity => Box::new(&mut rest),
            Self::Gzip => Box::new(MultiGzDecoder::new(&mut rest)),
            Self::Deflate if is_zlib(body) => Box::new(ZlibDecoder::new(&mut rest)),
            Self::Deflate => Box::new(DeflateDecoder::new(&mut rest)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(&mut rest).map_err(wrong)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(wrong)?;
                Box::new(decoder)
            }
        };
        let plain = unpack(decoder, limit, reservation, wrong)?;
        // The decoders of deflate stop at the end of the first stream: what follows would be acknowledged and lost.
        if self == Self::Deflate && !rest.is_empty() {
            return Err(BodyError::NotAsEncoded(self.name(), "data follows the end of the stream".to_owned()));
        }
        Ok(plain)
    }

    /// Memory of a decoder whose output is at most `limit` bytes. The client chooses zstd's window, but the decoder
    /// touches no more of it than it decompresses.
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

/// Whether the body has a zlib header: method 8, and two bytes that are a multiple of 31 (RFC 1950, 2.2).
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [cmf, flags, ..] if cmf & 0x0f == 8 && u16::from_be_bytes([*cmf, *flags]) % 31 == 0)
}

/// Decompresses, and stops one byte past the limit, so a decompression bomb uses no more memory.
fn unpack(
    decoder: impl Read,
    limit: usize,
    reservation: &mut Reservation,
    wrong: impl Fn(std::io::Error) -> BodyError,
) -> Result<Bytes, BodyError> {
    let mut decoder = decoder.take(limit as u64 + 1);
    let mut plain = GrowingBuffer::new(limit, reservation);
    let mut chunk = [0; CHUNK_BYTES];
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

    /// Each encoding, with a function that compresses for it.
    const ALL: [(Encoding, Encode); 4] =
        [(Encoding::Gzip, gzip), (Encoding::Deflate, zlib), (Encoding::Deflate, bare), (Encoding::Zstd, zstd)];

    #[test]
    fn encoded_bodies_are_decoded() {
        for (encoding, encode) in ALL {
            let plain = b"{\"event\":\"Order Completed\"}".repeat(50);
            assert_eq!(decoded(encoding, encode(&plain), plain.len()).unwrap(), plain, "{encoding:?}");
            assert_eq!(decoded(encoding, encode(b""), 10).unwrap(), "", "{encoding:?}");
        }
        let two = [gzip(b"one"), gzip(b"two")].concat();
        assert_eq!(decoded(Encoding::Gzip, two, 6).unwrap(), "onetwo");
    }

    #[test]
    fn a_decompression_bomb_is_refused_at_the_limit() {
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
    fn an_oversized_zstd_window_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(ZSTD_WINDOW_LOG + 1).unwrap();
        encoder.write_all(&b"0123456789".repeat(1 << 18)).unwrap();
        let body = encoder.finish().unwrap();
        assert!(matches!(decoded(Encoding::Zstd, body, 8 << 20), Err(BodyError::NotAsEncoded("zstd", _))));
    }

    #[test]
    fn a_body_in_another_encoding_is_refused() {
        for (encoding, encode) in ALL {
            assert!(
                matches!(decoded(encoding, b"plain".to_vec(), 10), Err(BodyError::NotAsEncoded(..))),
                "{encoding:?}"
            );
            let whole = encode(&b"cut short".repeat(100));
            if encoding == Encoding::Deflate {
                let twice = decoded(encoding, [&whole[..], &whole[..]].concat(), 4096);
                assert!(matches!(twice, Err(BodyError::NotAsEncoded(..))), "{twice:?}");
            }
            let cut = decoded(encoding, whole[..whole.len() - 6].to_vec(), 4096);
            assert!(matches!(cut, Err(BodyError::NotAsEncoded(..))), "{encoding:?}: {cut:?}");
        }
    }

    #[test]
    fn a_body_is_read_as_its_first_bytes_show() {
        use Encoding::{Deflate, Gzip, Identity, Zstd};
        for (named, body, real) in [
            (Identity, gzip(b"{}"), Gzip),
            (Identity, zstd(b"{}"), Zstd),
            (Identity, b"{}".to_vec(), Identity),
            (Identity, zlib(b"{}"), Identity),
            (Identity, Vec::new(), Identity),
            (Gzip, b"{}".to_vec(), Identity),
            (Gzip, b" \r\n[{}]".to_vec(), Identity),
            (Zstd, b"{}".to_vec(), Identity),
            (Gzip, gzip(b"{}"), Gzip),
            (Gzip, zstd(b"{}"), Zstd),
            (Zstd, gzip(b"{}"), Gzip),
            (Gzip, b"\xef\xbb\xbf{}".to_vec(), Identity),
            (Gzip, b"plain".to_vec(), Gzip),
            (Gzip, Vec::new(), Gzip),
            (Zstd, zstd(b"{}"), Zstd),
            (Deflate, b"{}".to_vec(), Deflate),
        ] {
            assert_eq!(named.recognized(&body), real, "{named:?}, {body:?}");
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
        // The answer to a long name stays small: its sender need not read it.
        let long = Encoding::of(&headers(&"x".repeat(30_000))).unwrap_err();
        assert_eq!(long, BodyError::UnknownEncoding("x".repeat(MAX_SHOWN_CHARS)));
        let list = BodyError::UnknownEncoding("identity, gzip".to_owned());
        assert_eq!(Encoding::of(&HeaderMap::from_iter(lines)), Err(list));
    }
}
