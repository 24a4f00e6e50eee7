//! Bodies of exactly a mebibyte, and of a byte more.

use tributary_tests::event::track;

use crate::case::Then::{Closed, Open};
use crate::case::{Case, check};

/// What a body may have.
const BODY: usize = 1 << 20;

/// A refused body is read on, for nothing, so that its sender sees the answer; what was in it is no
/// request, and what comes behind it is.
#[tokio::test]
async fn a_body_has_a_mebibyte_at_most() {
    let body = |i: usize, bytes: usize| format!("{{good}}{}", " ".repeat(bytes - track(i).to_string().len()));
    let sized = |i, bytes| format!("{{post}}Content-Length: {{rest}}\r\n\r\n{}", body(i, bytes));
    let chunked = |i, bytes| {
        let body = body(i, bytes);
        format!("{{post}}Transfer-Encoding: chunked\r\n\r\n{bytes:x}\r\n{body}\r\n0\r\n\r\n")
    };
    let spaces = " ".repeat(BODY);
    let many = "1\r\n \r\n".repeat(BODY / 4);
    let cases: [Case<String>; _] = [
        ("a mebibyte", sized(0, BODY), &[200], Open),
        ("a mebibyte in one chunk", chunked(1, BODY), &[200], Open),
        ("a byte more", sized(2, BODY + 1), &[400], Open),
        ("a byte more in one chunk", chunked(3, BODY + 1), &[400], Open),
        (
            "a byte more in a second chunk",
            {
                let body = body(4, BODY);
                format!("{{post}}Transfer-Encoding: chunked\r\n\r\n{BODY:x}\r\n{body}\r\n1\r\n \r\n0\r\n\r\n")
            },
            &[400],
            Open,
        ),
        (
            "a second request behind a mebibyte",
            format!("{{post}}Content-Length: {{rest}}\r\n\r\n{spaces}{{evil}}"),
            &[400],
            Open,
        ),
        (
            "a second request in a chunk behind a mebibyte",
            format!("{{post}}Transfer-Encoding: chunked\r\n\r\n{BODY:x}\r\n{spaces}\r\n{{evil chunks}}"),
            &[400],
            Open,
        ),
        (
            "a second request behind a mebibyte and chunks that are none",
            format!("{{post}}Transfer-Encoding: chunked\r\n\r\n{BODY:x}\r\n{spaces} \r\nx\r\n\r\n{{evil}}"),
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
