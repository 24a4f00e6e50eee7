//! Tests chunked bodies: chunk sizes, extensions, ends and trailers.

use crate::case::Connection::{Closed, Open};
use crate::case::{Case, Connection, check};

/// Checks each body in its own chunked request.
async fn check_bodies(cases: &[(&'static str, &str, &'static [u16], Connection)]) {
    let head = "{post}Transfer-Encoding: chunked\r\n\r\n";
    let cases: Vec<Case<String>> = cases
        .iter()
        .map(|&(name, body, answers, connection)| (name, format!("{head}{body}"), answers, connection))
        .collect();
    check(&cases).await;
}

#[tokio::test]
async fn a_chunk_has_a_hexadecimal_size_and_ends_after_so_many_bytes() {
    let long = format!("{{size}};{}\r\n{{good}}\r\n0\r\n\r\n", "x".repeat(16 << 10));
    check_bodies(&[
        ("one chunk", "{chunks}", &[200], Open),
        ("spaces around the event", "1\r\n \r\n{size}\r\n{good}\r\n2\r\n\n\n\r\n0\r\n\r\n", &[200], Open),
        ("a last chunk of many zeros", "{size}\r\n{good}\r\n00000000000000000000000\r\n\r\n", &[200], Open),
        ("a size with many zeros in front", "00000000000000000000000{chunks}", &[200], Open),
        // All implementations read the same size, and end the line at the same CRLF.
        ("a space and a tab after the size", "{size} \t\r\n{good}\r\n0 \r\n\r\n", &[200], Open),
        ("an extension", "{size};a=b\r\n{good}\r\n0;c=\"d\"\r\n\r\n", &[200], Open),
        ("a malformed extension", "{size};;=\"\0\r\n{good}\r\n0\r\n\r\n", &[200], Open),
        ("extensions over 16 KiB", &long, &[400], Closed),
        ("a LF in an extension", "{size};a\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a CR in an extension", "{size};a\rb\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("no size", "\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("an extension without a size", ";a\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a size that is no number", "xyz\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a size with 0x", "0x{size}\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a size with h", "{size}h\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a negative size", "-{size}\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a size with a plus", "+{size}\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a size with an underscore", "0_{size}\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a space in front of the size", " {size}\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a space in the size", "0 {size}\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a NUL after the size", "{size}\0\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a size of 2^64", "10000000000000000\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a size of 2^64 plus the length", "100000000000000{size}\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a LF after the size", "{size}\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a CR after the size", "{size}\r{good}\r\n0\r\n\r\n", &[400], Closed),
        ("nothing after the data", "{size}\r\n{good}0\r\n\r\n", &[400], Closed),
        ("a LF after the data", "{size}\r\n{good}\n0\r\n\r\n", &[400], Closed),
        ("a CR after the data", "{size}\r\n{good}\r0\r\n\r\n", &[400], Closed),
        ("any two bytes after the data", "{size}\r\n{good}xx0\r\n\r\n", &[400], Closed),
        ("a size that is too small", "4\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a LF after the last size", "{size}\r\n{good}\r\n0\n\r\n", &[400], Closed),
        ("a LF and a LF at the end", "{size}\r\n{good}\r\n0\n\n", &[400], Closed),
        ("a second request in a chunk", "{evil chunks}", &[400], Open),
        ("a second request in the second chunk", "{size}\r\n{good}\r\n{evil chunks}", &[400], Open),
        ("a second request after a size that is no number", "{size}\r\n{good}\r\nx\r\n\r\n{evil}", &[400], Closed),
    ])
    .await;
}

/// Trailers are read and discarded, whatever they contain.
#[tokio::test]
async fn valid_trailers_are_ignored_and_malformed_ones_refused() {
    let hundred = |count| format!("{{size}}\r\n{{good}}\r\n0\r\n{}\r\n", "X: x\r\n".repeat(count));
    let large = format!("{{size}}\r\n{{good}}\r\n0\r\nX: {}\r\n\r\n", "x".repeat(16 << 10));
    check_bodies(&[
        ("a trailer", "{size}\r\n{good}\r\n0\r\nX: x\r\n\r\n", &[200], Open),
        ("a length", "{size}\r\n{good}\r\n0\r\nContent-Length: 1000\r\n\r\n", &[200], Open),
        ("a coding", "{size}\r\n{good}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", &[200], Open),
        ("an encoding", "{size}\r\n{good}\r\n0\r\nContent-Encoding: gzip\r\n\r\n", &[200], Open),
        ("a Host", "{size}\r\n{good}\r\n0\r\nHost: t\r\n\r\n", &[200], Open),
        ("an end of the connection", "{size}\r\n{good}\r\n0\r\nConnection: close\r\n\r\n", &[200], Open),
        ("a hundred", &hundred(100), &[200], Open),
        ("a hundred and one", &hundred(101), &[400], Closed),
        ("over 16 KiB", &large, &[400], Closed),
        ("without a colon", "{size}\r\n{good}\r\n0\r\nx\r\n\r\n", &[400], Closed),
        ("without a name", "{size}\r\n{good}\r\n0\r\n: x\r\n\r\n", &[400], Closed),
        ("folded", "{size}\r\n{good}\r\n0\r\nX: x\r\n x\r\n\r\n", &[400], Closed),
        ("with a NUL", "{size}\r\n{good}\r\n0\r\nX: \0\r\n\r\n", &[400], Closed),
        ("with a CR", "{size}\r\n{good}\r\n0\r\nX: x\rx\r\n\r\n", &[400], Closed),
        ("a second request", "{size}\r\n{good}\r\n0\r\n{evil}", &[400], Closed),
        // hyper ends the trailers only at an empty line with CRLF: so the second request's head is part of the
        // trailers, and its body does not start a request.
        ("a second request after a LF", "{size}\r\n{good}\r\n0\r\n\n{evil}", &[200, 400], Closed),
    ])
    .await;
}
