//! Tests header fields and line endings.

use crate::case::Connection::{Closed, Open};
use crate::case::{Case, check};

#[tokio::test]
async fn malformed_heads_are_refused() {
    let cases: [Case; _] = [
        // RFC 9112, 2.2 lets a server end a line at a LF, and hyper can't be configured otherwise. This does harm only
        // after a proxy that reads a LF as part of a value and forwards it, which no proxy may (RFC 9110, 5.5).
        ("LF for every CRLF", "POST /v1/track HTTP/1.1\nHost: s\nContent-Length: {length}\n\n{good}", &[200], Open),
        ("a LF for one CRLF", "{post}X: x\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
        ("a LF for the empty line", "{post}Content-Length: {length}\r\n\n{good}", &[200], Open),
        (
            "two LF in a value",
            "GET /x HTTP/1.1\r\nX: x\n\n{post}Content-Length: {length}\r\n\r\n{good}",
            &[404, 200],
            Open,
        ),
        ("a coding after a LF", "{post}X: x\nTransfer-Encoding: chunked\r\n\r\n{chunks}", &[200], Open),
        (
            "a coding after a LF, beside a length",
            "{post}Content-Length: {rest}\r\nX: x\nTransfer-Encoding: chunked\r\n\r\n{chunks}{evil}",
            &[200],
            Closed,
        ),
        ("a CR for a CRLF", "{post}X: x\rContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a CR in a value", "{post}X: x\rx\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a CR at a value's end", "{post}X: x\r\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a CR in a name", "{post}X\rX: x\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a CR for the empty line", "{post}Content-Length: {length}\r\n\r{good}", &[400], Closed),
        ("LF and CR for CRLF", "{post}Content-Length: {length}\n\r\n\r{good}", &[400, 400], Closed),
        ("a NUL in a value", "{post}X: \0\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a NUL in a name", "{post}X\0: x\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("an escape in a value", "{post}X: \x1b\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a DEL in a value", "{post}X: \x7f\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a folded value", "{post}X: x\r\n x\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a value folded by a tab", "{post}X: x\r\n\tx\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a line of a space", "{post} \r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        (
            "a space before the first name",
            "POST /v1/track HTTP/1.1\r\n Host: s\r\nContent-Length: {length}\r\n\r\n{good}",
            &[400],
            Closed,
        ),
        ("no colon", "{post}X\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("no name", "{post}: x\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a space in a name", "{post}X X: x\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a space after a name", "{post}X : x\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a parenthesis in a name", "{post}X(: x\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a name that is not ASCII", "{post}Ü: x\r\nContent-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a request line among the headers", "{post}GET / HTTP/1.1\r\n\r\n{good}", &[400], Closed),
        ("a value that is not ASCII", "{post}X: Ü\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
        ("an empty value", "{post}X:\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
        ("a colon in a value", "{post}X: :x:\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
        // RFC 9112, 2.2: some old clients sent an extra line after a body.
        ("empty lines in front", "\r\n\r\n{post}Content-Length: {length}\r\n\r\n{good}", &[200], Open),
        ("an empty line with a LF in front", "\n{post}Content-Length: {length}\r\n\r\n{good}", &[200], Open),
        ("a CR in front", "\r{post}Content-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a space in front", " {post}Content-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a NUL in front", "\0{post}Content-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("a byte order mark in front", "\u{feff}{post}Content-Length: {length}\r\n\r\n{good}", &[400], Closed),
        ("another protocol", "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03\r\n\r\n", &[400], Closed),
    ];
    check(&cases).await;
}

/// A head may exceed the 32 KiB that hyper reads at a time, if the rest arrives with it: a connection never buffers
/// more than twice that.
#[tokio::test]
async fn a_head_is_limited_to_100_headers_and_the_read_buffer() {
    let headers =
        |count: usize| format!("{{post}}{}Content-Length: {{length}}\r\n\r\n{{good}}", "X: x\r\n".repeat(count - 2));
    let value =
        |bytes: usize| format!("{{post}}X: {}\r\nContent-Length: {{length}}\r\n\r\n{{good}}", "x".repeat(bytes));
    let name = format!("{{post}}{}: x\r\nContent-Length: {{length}}\r\n\r\n{{good}}", "x".repeat(128 << 10));
    let endless = format!("{{post}}X: {}", "x".repeat(256 << 10));
    let cases: [Case<String>; _] = [
        ("100 headers", headers(100), &[200], Open),
        ("101 headers", headers(101), &[431], Closed),
        ("10,000 headers", headers(10_000), &[431], Closed),
        ("a value of 28 KiB", value(28 << 10), &[200], Open),
        ("a value of 64 KiB", value(64 << 10), &[431], Closed),
        ("a value of 128 KiB", value(128 << 10), &[431], Closed),
        ("a name of 128 KiB", name, &[431], Closed),
        ("a value without end", endless, &[431], Closed),
    ];
    check(&cases).await;
}
