//! Chunks: their sizes, extensions, ends, and the trailers behind them.

use crate::case::Then::{Closed, Open};
use crate::case::{Case, Then, check};

/// Bodies, each in a request of its own.
async fn check_bodies(cases: &[(&'static str, &str, &'static [u16], Then)]) {
    let head = "{post}Transfer-Encoding: chunked\r\n\r\n";
    let cases: Vec<Case<String>> =
        cases.iter().map(|&(name, body, answers, then)| (name, format!("{head}{body}"), answers, then)).collect();
    check(&cases).await;
}

#[tokio::test]
async fn a_chunk_has_a_hexadecimal_size_and_ends_where_it_says() {
    let long = format!("{{size}};{}\r\n{{good}}\r\n0\r\n\r\n", "x".repeat(16 << 10));
    check_bodies(&[
        ("one chunk", "{chunks}", &[200], Open),
        ("spaces around the event", "1\r\n \r\n{size}\r\n{good}\r\n2\r\n\n\n\r\n0\r\n\r\n", &[200], Open),
        ("a last chunk of many zeros", "{size}\r\n{good}\r\n00000000000000000000000\r\n\r\n", &[200], Open),
        ("a size with many zeros in front", "00000000000000000000000{chunks}", &[200], Open),
        // Everybody reads the same size there; it ends at the same CRLF.
        ("a space and a tab behind the size", "{size} \t\r\n{good}\r\n0 \r\n\r\n", &[200], Open),
        ("an extension", "{size};a=b\r\n{good}\r\n0;c=\"d\"\r\n\r\n", &[200], Open),
        ("an extension that is none", "{size};;=\"\0\r\n{good}\r\n0\r\n\r\n", &[200], Open),
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
        ("a NUL behind the size", "{size}\0\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a size of 2^64", "10000000000000000\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a size of 2^64 and what there is", "100000000000000{size}\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a LF behind the size", "{size}\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a CR behind the size", "{size}\r{good}\r\n0\r\n\r\n", &[400], Closed),
        ("nothing behind the data", "{size}\r\n{good}0\r\n\r\n", &[400], Closed),
        ("a LF behind the data", "{size}\r\n{good}\n0\r\n\r\n", &[400], Closed),
        ("a CR behind the data", "{size}\r\n{good}\r0\r\n\r\n", &[400], Closed),
        ("any two bytes behind the data", "{size}\r\n{good}xx0\r\n\r\n", &[400], Closed),
        ("a size that is too small", "4\r\n{good}\r\n0\r\n\r\n", &[400], Closed),
        ("a LF behind the last size", "{size}\r\n{good}\r\n0\n\r\n", &[400], Closed),
        ("a LF and a LF at the end", "{size}\r\n{good}\r\n0\n\n", &[400], Closed),
        ("a second request in a chunk", "{evil chunks}", &[400], Open),
        ("a second request in the second chunk", "{size}\r\n{good}\r\n{evil chunks}", &[400], Open),
        ("a second request behind a size that is no number", "{size}\r\n{good}\r\nx\r\n\r\n{evil}", &[400], Closed),
    ])
    .await;
}

/// Whatever they say, nobody looks at them: they are read, and forgotten.
#[tokio::test]
async fn trailers_change_nothing() {
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
        // hyper ends the trailers at an empty line with a CRLF only: the second request's head is a
        // part of them, and its body begins no request.
        ("a second request behind a LF", "{size}\r\n{good}\r\n0\r\n\n{evil}", &[200, 400], Closed),
    ])
    .await;
}
