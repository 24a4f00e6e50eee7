//! Tests Content-Encoding: compressed formats with framing of their own.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use tributary_tests::encode::{bare_deflate, gzip, zlib, zstd};
use tributary_tests::event::{message_id, track};

use crate::case::{Connection, assert_stored_after_exit, exchange, smuggled};
use tributary_tests::{Function, start_ready};

/// The limit of a decompressed body in bytes: one mebibyte.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Appends spaces up to this length.
fn padded(plain: &[u8], bytes: usize) -> Vec<u8> {
    let mut padded = plain.to_vec();
    padded.resize(bytes, b' ');
    padded
}

/// gzip in which the byte at `place` is changed by XOR with `byte`.
fn gzip_with_changed_byte(plain: &[u8], place: impl Fn(&[u8]) -> usize, byte: u8) -> Vec<u8> {
    let mut body = gzip(plain);
    let place = place(&body);
    body[place] ^= byte;
    body
}

/// A gzip member with a comment, which is not compressed data.
pub fn gzip_with_comment(plain: &[u8], comment: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().comment(comment).write(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// A zstd frame that decoders skip (RFC 8878, 3.1.2).
fn skippable_frame(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a short content");
    [&0x184d_2a50_u32.to_le_bytes(), &length.to_le_bytes(), content].concat()
}

/// How a client encodes its event.
type Encode = fn(&[u8]) -> Vec<u8>;

/// Name, headers, encoder and status. The connection stays open in every case: the HTTP framing is valid.
const CASES: &[(&str, &str, Encode, u16)] = &[
    ("none", "", <[u8]>::to_vec, 200),
    ("an empty name", "Content-Encoding:\r\n", <[u8]>::to_vec, 200),
    ("identity", "Content-Encoding: identity\r\n", <[u8]>::to_vec, 200),
    ("gzip", "Content-Encoding: gzip\r\n", gzip, 200),
    ("gzip by its old name", "Content-Encoding: x-gzip\r\n", gzip, 200),
    ("gzip in capitals", "Content-Encoding: GZIP\r\n", gzip, 200),
    ("gzip named, and no encoding", "Content-Encoding: gzip\r\n", <[u8]>::to_vec, 200),
    ("no encoding named, and gzip", "", gzip, 200),
    ("gzip as deflate", "Content-Encoding: deflate\r\n", gzip, 400),
    ("gzip as zstd", "Content-Encoding: zstd\r\n", gzip, 200),
    ("twice", "Content-Encoding: gzip, gzip\r\n", |plain| gzip(&gzip(plain)), 400),
    ("twice, on two lines", "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", |plain| gzip(&gzip(plain)), 400),
    ("encoded once, named twice", "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", gzip, 400),
    ("gzip on the last line", "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n", <[u8]>::to_vec, 400),
    ("gzip on the first line", "Content-Encoding: gzip\r\nContent-Encoding: identity\r\n", gzip, 400),
    ("with identity in a list", "Content-Encoding: identity, gzip\r\n", gzip, 400),
    ("with a parameter", "Content-Encoding: gzip;q=1\r\n", gzip, 400),
    ("with nothing after it", "Content-Encoding: gzip,\r\n", gzip, 400),
    ("br", "Content-Encoding: br\r\n", <[u8]>::to_vec, 400),
    ("compress", "Content-Encoding: compress\r\n", <[u8]>::to_vec, 400),
    ("anything", "Content-Encoding: *\r\n", <[u8]>::to_vec, 400),
    ("not ASCII", "Content-Encoding: gzi\u{fe}\r\n", gzip, 400),
    ("gzip of nothing", "Content-Encoding: gzip\r\n", |_| gzip(b""), 400),
    ("nothing as gzip", "Content-Encoding: gzip\r\n", |_| Vec::new(), 400),
    ("garbage", "Content-Encoding: gzip\r\n", |_| vec![0xa5; 1000], 400),
    ("gzip's head alone", "Content-Encoding: gzip\r\n", |plain| gzip(plain)[..10].to_vec(), 400),
    (
        "without its last byte",
        "Content-Encoding: gzip\r\n",
        |plain| gzip(plain).split_last().expect("bytes").1.to_vec(),
        400,
    ),
    ("without its checksum", "Content-Encoding: gzip\r\n", |plain| gzip(plain)[..gzip(plain).len() - 8].to_vec(), 400),
    (
        "another checksum",
        "Content-Encoding: gzip\r\n",
        |plain| gzip_with_changed_byte(plain, |body| body.len() - 8, 1),
        400,
    ),
    (
        "another length",
        "Content-Encoding: gzip\r\n",
        |plain| gzip_with_changed_byte(plain, |body| body.len() - 1, 1),
        400,
    ),
    ("another method", "Content-Encoding: gzip\r\n", |plain| gzip_with_changed_byte(plain, |_| 2, 1), 400),
    // RFC 1952, 2.2: a file may have several members, and its content is theirs in sequence.
    ("two members", "Content-Encoding: gzip\r\n", |plain| [gzip(&plain[..9]), gzip(&plain[9..])].concat(), 200),
    ("two events", "Content-Encoding: gzip\r\n", |plain| [gzip(plain), gzip(plain)].concat(), 400),
    ("a byte after it", "Content-Encoding: gzip\r\n", |plain| [gzip(plain), vec![b'x']].concat(), 400),
    ("a second request after it", "Content-Encoding: gzip\r\n", |plain| [gzip(plain), smuggled().into()].concat(), 400),
    ("a second request within", "Content-Encoding: gzip\r\n", |_| gzip(smuggled().as_bytes()), 400),
    (
        "a second request in its comment",
        "Content-Encoding: gzip\r\n",
        |plain| gzip_with_comment(plain, smuggled().as_bytes()),
        200,
    ),
    ("a mebibyte", "Content-Encoding: gzip\r\n", |plain| gzip(&padded(plain, MAX_BODY_BYTES)), 200),
    ("a byte more", "Content-Encoding: gzip\r\n", |plain| gzip(&padded(plain, MAX_BODY_BYTES + 1)), 400),
    (
        "a byte more in another member",
        "Content-Encoding: gzip\r\n",
        |plain| [gzip(&padded(plain, MAX_BODY_BYTES)), gzip(b" ")].concat(),
        400,
    ),
    ("a bomb", "Content-Encoding: gzip\r\n", |plain| gzip(&padded(plain, 64 << 20)), 400),
    ("deflate", "Content-Encoding: deflate\r\n", zlib, 200),
    ("deflate without its head", "Content-Encoding: deflate\r\n", bare_deflate, 200),
    (
        "deflate without its checksum",
        "Content-Encoding: deflate\r\n",
        |plain| zlib(plain)[..zlib(plain).len() - 4].to_vec(),
        400,
    ),
    ("deflate with a dictionary", "Content-Encoding: deflate\r\n", |_| vec![0x78, 0xbb, 0, 0, 0, 1, 3, 0], 400),
    // A zlib stream marks its own end; bytes after it could be events, and must not be acknowledged.
    ("two events as deflate", "Content-Encoding: deflate\r\n", |plain| [zlib(plain), zlib(plain)].concat(), 400),
    (
        "a second request after deflate",
        "Content-Encoding: deflate\r\n",
        |plain| [zlib(plain), smuggled().into()].concat(),
        400,
    ),
    (
        "a byte over a mebibyte as deflate",
        "Content-Encoding: deflate\r\n",
        |plain| zlib(&padded(plain, MAX_BODY_BYTES + 1)),
        400,
    ),
    ("zstd", "Content-Encoding: zstd\r\n", zstd, 200),
    (
        "zstd with a second request in a frame to skip",
        "Content-Encoding: zstd\r\n",
        |plain| [skippable_frame(smuggled().as_bytes()), zstd(plain)].concat(),
        200,
    ),
    (
        "a second request after zstd",
        "Content-Encoding: zstd\r\n",
        |plain| [zstd(plain), smuggled().into()].concat(),
        400,
    ),
    ("zstd cut short", "Content-Encoding: zstd\r\n", |plain| zstd(plain).split_last().expect("bytes").1.to_vec(), 400),
    (
        "a byte over a mebibyte as zstd",
        "Content-Encoding: zstd\r\n",
        |plain| zstd(&padded(plain, MAX_BODY_BYTES + 1)),
        400,
    ),
];

#[tokio::test]
async fn a_body_is_decoded_by_exactly_one_content_encoding() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let (mut wrong, mut stored) = (Vec::new(), Vec::new());
    for (i, (name, headers, encode, status)) in CASES.iter().enumerate() {
        let body = encode(track(i).to_string().as_bytes());
        let head = format!("POST /v1/track HTTP/1.1\r\nHost: s\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        let actual = exchange(&sidecar, &[head.as_bytes(), &body].concat(), Connection::Open).await;
        if actual != (vec![*status, 404], true) {
            wrong.push(format!("{name}: {actual:?} instead of {status}"));
        }
        if *status == 200 {
            stored.push(message_id(i));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases failed:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
    assert_stored_after_exit(&aws, sidecar, &stored).await;
}
