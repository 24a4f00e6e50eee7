//! Tests the Content-Length header, and bodies that end early.

use crate::case::Case;
use crate::case::Connection::{Closed, ClosedAfterEof, Open};
use crate::case::check;

#[tokio::test]
async fn content_length_is_one_decimal_number() {
    let cases: [Case; _] = [
        ("a number", "{post}Content-Length: {length}\r\n\r\n{good}", &[200], Open),
        ("in any case, with spaces and tabs around", "{post}cONTENT-lENGTH:\t {length} \t\r\n\r\n{good}", &[200], Open),
        // RFC 9112, 6.3 lets a server accept repeated equal values.
        ("the same twice", "{post}Content-Length: {length}\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
        ("zeros in front", "{post}Content-Length: 0000000000000000000000{length}\r\n\r\n{good}", &[200], Open),
        ("the same twice in a list", "{post}Content-Length: {length}, {length}\r\n\r\n{good}", &[400], Closed),
        (
            "another, longer",
            "{post}Content-Length: {length}\r\nContent-Length: {rest}\r\n\r\n{good}{evil}",
            &[400],
            Closed,
        ),
        ("another, shorter", "{post}Content-Length: {length}\r\nContent-Length: 0\r\n\r\n{good}", &[400], Closed),
        ("another in a list", "{post}Content-Length: {length}, {rest}\r\n\r\n{good}{evil}", &[400], Closed),
        ("a trailing comma", "{post}Content-Length: {length},\r\n\r\n{good}", &[400], Closed),
        ("negative", "{post}Content-Length: -1\r\n\r\n{good}", &[400], Closed),
        ("minus nothing", "{post}Content-Length: -0\r\n\r\n{good}", &[400], Closed),
        ("a plus", "{post}Content-Length: +{length}\r\n\r\n{good}", &[400], Closed),
        ("hexadecimal", "{post}Content-Length: 0x{size}\r\n\r\n{good}", &[400], Closed),
        ("hexadecimal and unmarked", "{post}Content-Length: a5\r\n\r\n{good}", &[400], Closed),
        ("with an exponent", "{post}Content-Length: 1e2\r\n\r\n{good}", &[400], Closed),
        ("with a point", "{post}Content-Length: {length}.0\r\n\r\n{good}", &[400], Closed),
        ("with underscores", "{post}Content-Length: 1_0\r\n\r\n{good}", &[400], Closed),
        ("with a word", "{post}Content-Length: {length} bytes\r\n\r\n{good}", &[400], Closed),
        ("with a space in it", "{post}Content-Length: 1 0\r\n\r\n{good}", &[400], Closed),
        ("in quotes", "{post}Content-Length: \"{length}\"\r\n\r\n{good}", &[400], Closed),
        ("a NUL after it", "{post}Content-Length: {length}\0\r\n\r\n{good}", &[400], Closed),
        ("a vertical tab in front", "{post}Content-Length: \x0b{length}\r\n\r\n{good}", &[400], Closed),
        ("digits that are not ASCII", "{post}Content-Length: \u{ff11}\u{ff10}\r\n\r\n{good}", &[400], Closed),
        ("empty", "{post}Content-Length:\r\n\r\n{good}", &[400], Closed),
        ("spaces", "{post}Content-Length:   \r\n\r\n{good}", &[400], Closed),
        ("folded", "{post}Content-Length:\r\n {length}\r\n\r\n{good}", &[400], Closed),
        ("a space before the colon", "{post}Content-Length : {length}\r\n\r\n{good}", &[400], Closed),
        // Everything that follows would be the body, which is refused, and read for as long as it comes.
        ("2^63", "{post}Content-Length: 9223372036854775808\r\n\r\n{good}{evil}", &[400], ClosedAfterEof),
        ("2^64 - 1", "{post}Content-Length: 18446744073709551615\r\n\r\n{good}", &[431], Closed),
        ("2^64", "{post}Content-Length: 18446744073709551616\r\n\r\n{good}", &[400], Closed),
        ("2^64 plus the length", "{post}Content-Length: 18446744073709551781\r\n\r\n{good}", &[400], Closed),
        ("2^80", "{post}Content-Length: 1208925819614629174706176\r\n\r\n{good}", &[400], Closed),
        // Without a length and without chunks there is no body (RFC 9112, 6.3): the event is read as the next request,
        // and is none.
        ("none", "{post}\r\n{good}", &[400, 400], Closed),
        ("an underscore", "{post}Content_Length: {length}\r\n\r\n{good}", &[400, 400], Closed),
        ("nothing", "{post}Content-Length: 0\r\n\r\n{good}", &[400, 400], Closed),
        ("too short", "{post}Content-Length: 2\r\n\r\n{good}", &[400, 400], Closed),
        ("more than the length", "{post}Content-Length: {length}\r\n\r\n{good}{good}", &[200, 400], Closed),
        ("a second request within the length", "{post}Content-Length: {rest}\r\n\r\n{good}{evil}", &[400], Open),
        ("nothing but a second request", "{post}Content-Length: {rest}\r\n\r\n{evil}", &[400], Open),
    ];
    check(&cases).await;
}

#[tokio::test]
async fn nothing_of_a_truncated_body_is_stored() {
    let cases: [Case; _] = [
        ("a head that ends early", "{post}Content-Length: {length}\r\n", &[], ClosedAfterEof),
        ("no body", "{post}Content-Length: {length}\r\n\r\n", &[400], ClosedAfterEof),
        ("half a body", "{post}Content-Length: {length}\r\n\r\n{\"messageId\":", &[400], ClosedAfterEof),
        (
            "a whole event, and yet less than the length",
            "{post}Content-Length: 1000\r\n\r\n{good}",
            &[400],
            ClosedAfterEof,
        ),
        (
            "a second request, and yet less than the length",
            "{post}Content-Length: 1000\r\n\r\n{good}{evil}",
            &[400],
            ClosedAfterEof,
        ),
        ("no chunk", "{post}Transfer-Encoding: chunked\r\n\r\n", &[400], ClosedAfterEof),
        ("half a size", "{post}Transfer-Encoding: chunked\r\n\r\n{size}", &[400], ClosedAfterEof),
        ("half a chunk", "{post}Transfer-Encoding: chunked\r\n\r\n{size}\r\n{\"messageId\":", &[400], ClosedAfterEof),
        (
            "a chunk larger than its data",
            "{post}Transfer-Encoding: chunked\r\n\r\nfff\r\n{good}",
            &[400],
            ClosedAfterEof,
        ),
        (
            "a chunk of 2^64 - 1",
            "{post}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{good}\r\n0\r\n\r\n{evil}",
            &[400],
            ClosedAfterEof,
        ),
        ("no last chunk", "{post}Transfer-Encoding: chunked\r\n\r\n{size}\r\n{good}\r\n", &[400], ClosedAfterEof),
        (
            "half a last chunk",
            "{post}Transfer-Encoding: chunked\r\n\r\n{size}\r\n{good}\r\n0\r\n",
            &[400],
            ClosedAfterEof,
        ),
        (
            "half a trailer",
            "{post}Transfer-Encoding: chunked\r\n\r\n{size}\r\n{good}\r\n0\r\nX: x\r\n",
            &[400],
            ClosedAfterEof,
        ),
    ];
    check(&cases).await;
}
