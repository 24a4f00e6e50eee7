//! Tests bodies of exactly one mebibyte, and of one byte more.

use tributary_tests::event::track;

use crate::case::Connection::{Closed, Open};
use crate::case::{Case, check};

/// The limit of a body in bytes.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The rest of a refused body is read and discarded, because its sender must see the answer. Nothing in it is processed
/// as a request; a request after it is.
#[tokio::test]
async fn a_body_is_limited_to_one_mebibyte() {
    let body = |i: usize, bytes: usize| format!("{{good}}{}", " ".repeat(bytes - track(i).to_string().len()));
    let sized = |i, bytes| format!("{{post}}Content-Length: {{rest}}\r\n\r\n{}", body(i, bytes));
    let chunked = |i, bytes| {
        let body = body(i, bytes);
        format!("{{post}}Transfer-Encoding: chunked\r\n\r\n{bytes:x}\r\n{body}\r\n0\r\n\r\n")
    };
    let spaces = " ".repeat(MAX_BODY_BYTES);
    let many = "1\r\n \r\n".repeat(MAX_BODY_BYTES / 4);
    let cases: [Case<String>; _] = [
        ("a mebibyte", sized(0, MAX_BODY_BYTES), &[200], Open),
        ("a mebibyte in one chunk", chunked(1, MAX_BODY_BYTES), &[200], Open),
        ("a byte more", sized(2, MAX_BODY_BYTES + 1), &[400], Open),
        ("a byte more in one chunk", chunked(3, MAX_BODY_BYTES + 1), &[400], Open),
        (
            "a byte more in a second chunk",
            {
                let body = body(4, MAX_BODY_BYTES);
                format!("{{post}}Transfer-Encoding: chunked\r\n\r\n{MAX_BODY_BYTES:x}\r\n{body}\r\n1\r\n \r\n0\r\n\r\n")
            },
            &[400],
            Open,
        ),
        (
            "a second request after a mebibyte",
            format!("{{post}}Content-Length: {{rest}}\r\n\r\n{spaces}{{evil}}"),
            &[400],
            Open,
        ),
        (
            "a second request in a chunk after a mebibyte",
            format!("{{post}}Transfer-Encoding: chunked\r\n\r\n{MAX_BODY_BYTES:x}\r\n{spaces}\r\n{{evil chunks}}"),
            &[400],
            Open,
        ),
        (
            "a second request after a mebibyte and malformed chunks",
            format!("{{post}}Transfer-Encoding: chunked\r\n\r\n{MAX_BODY_BYTES:x}\r\n{spaces} \r\nx\r\n\r\n{{evil}}"),
            &[400],
            Closed,
        ),
        (
            "a chunk for each of many bytes",
            format!("{{post}}Transfer-Encoding: chunked\r\n\r\n{many}{{chunks}}"),
            &[200],
            Open,
        ),
    ];
    check(&cases).await;
}
