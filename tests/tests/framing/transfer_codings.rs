//! Tests Transfer-Encoding, alone and together with Content-Length: where two parsers may disagree about a body's end.

use crate::case::Case;
use crate::case::Connection::{Closed, Open};
use crate::case::check;

#[tokio::test]
async fn only_an_unambiguous_chunked_coding_is_accepted() {
    let cases: [Case; _] = [
        ("in chunks", "{post}Transfer-Encoding: chunked\r\n\r\n{chunks}", &[200], Open),
        ("in any case", "{post}tRANSFER-eNCODING: ChunKED\r\n\r\n{chunks}", &[200], Open),
        ("without a space", "{post}Transfer-Encoding:chunked\r\n\r\n{chunks}", &[200], Open),
        ("with spaces and tabs around", "{post}Transfer-Encoding: \t chunked \t \r\n\r\n{chunks}", &[200], Open),
        ("twice", "{post}Transfer-Encoding: chunked, chunked\r\n\r\n{chunks}", &[400], Closed),
        (
            "twice, on two lines",
            "{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
            &[400],
            Closed,
        ),
        ("identity", "{post}Transfer-Encoding: identity\r\n\r\n{chunks}", &[400], Closed),
        ("identity last", "{post}Transfer-Encoding: chunked, identity\r\n\r\n{chunks}", &[400], Closed),
        ("identity first", "{post}Transfer-Encoding: identity, chunked\r\n\r\n{chunks}", &[400], Closed),
        (
            "identity on the last line",
            "{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunks}",
            &[400],
            Closed,
        ),
        (
            "identity on the first line",
            "{post}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
            &[400],
            Closed,
        ),
        ("another coding first", "{post}Transfer-Encoding: gzip, chunked\r\n\r\n{chunks}", &[400], Closed),
        ("another coding", "{post}Transfer-Encoding: gzip\r\n\r\n{chunks}", &[400], Closed),
        ("no coding first", "{post}Transfer-Encoding: , chunked\r\n\r\n{chunks}", &[400], Closed),
        ("no coding last", "{post}Transfer-Encoding: chunked,\r\n\r\n{chunks}", &[400], Closed),
        ("no coding", "{post}Transfer-Encoding:\r\n\r\n{chunks}", &[400], Closed),
        ("an x in front", "{post}Transfer-Encoding: xchunked\r\n\r\n{chunks}", &[400], Closed),
        ("an x after it", "{post}Transfer-Encoding: chunkedx\r\n\r\n{chunks}", &[400], Closed),
        ("a parameter", "{post}Transfer-Encoding: chunked;q=1\r\n\r\n{chunks}", &[400], Closed),
        ("in quotes", "{post}Transfer-Encoding: \"chunked\"\r\n\r\n{chunks}", &[400], Closed),
        ("two words", "{post}Transfer-Encoding: chunked chunked\r\n\r\n{chunks}", &[400], Closed),
        ("a vertical tab in front", "{post}Transfer-Encoding: \x0bchunked\r\n\r\n{chunks}", &[400], Closed),
        ("a vertical tab after it", "{post}Transfer-Encoding: chunked\x0b\r\n\r\n{chunks}", &[400], Closed),
        ("a form feed", "{post}Transfer-Encoding: \x0cchunked\r\n\r\n{chunks}", &[400], Closed),
        ("a NUL", "{post}Transfer-Encoding: chunked\0\r\n\r\n{chunks}", &[400], Closed),
        ("a bare CR", "{post}Transfer-Encoding: chunked\r \r\n\r\n{chunks}", &[400], Closed),
        ("a space that is not ASCII", "{post}Transfer-Encoding: \u{a0}chunked\r\n\r\n{chunks}", &[400], Closed),
        ("a space before the colon", "{post}Transfer-Encoding : chunked\r\n\r\n{chunks}", &[400], Closed),
        ("a tab before the colon", "{post}Transfer-Encoding\t: chunked\r\n\r\n{chunks}", &[400], Closed),
        ("folded", "{post}Transfer-Encoding:\r\n chunked\r\n\r\n{chunks}", &[400], Closed),
        ("folded into another header", "{post}X: x\r\n\tTransfer-Encoding: chunked\r\n\r\n{chunks}", &[400], Closed),
        (
            "in HTTP/1.0",
            "POST /v1/track HTTP/1.0\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
            &[400],
            Closed,
        ),
        // These are other header fields, whatever they look like.
        ("an underscore", "{post}Transfer_Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
        ("the header TE", "{post}TE: chunked\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
        (
            "as a Content-Encoding",
            "{post}Content-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{good}",
            &[400],
            Open,
        ),
        (
            "listed in Connection",
            "{post}Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
            &[200],
            Open,
        ),
    ];
    check(&cases).await;
}

/// hyper uses the chunks, does not report that there was a length too, and closes the connection, as RFC 9112, 6.1
/// allows. This does no harm because nothing after the chunks is read: a parser that uses the length sees the same
/// single request.
#[tokio::test]
async fn chunks_with_a_content_length_close_the_connection() {
    let cases: [Case; _] = [
        ("length first", "{post}Content-Length: {rest}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}", &[200], Closed),
        ("length last", "{post}Transfer-Encoding: chunked\r\nContent-Length: {rest}\r\n\r\n{chunks}", &[200], Closed),
        (
            "length on both sides",
            "{post}Content-Length: {rest}\r\nTransfer-Encoding: chunked\r\nContent-Length: {rest}\r\n\r\n{chunks}",
            &[200],
            Closed,
        ),
        (
            "a second request within the length and after the chunks",
            "{post}Content-Length: {rest}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{evil}",
            &[200],
            Closed,
        ),
        (
            "the same after no chunk",
            "{post}Content-Length: {rest}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}",
            &[400],
            Closed,
        ),
        (
            "a second request within a chunk and after the length",
            "{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{evil chunks}",
            &[400],
            Closed,
        ),
        (
            "the same with the length last",
            "{post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{evil chunks}",
            &[400],
            Closed,
        ),
        ("a length of 0", "{post}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}", &[200], Closed),
        (
            "asked to stay open",
            "{post}Connection: keep-alive\r\nContent-Length: {rest}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
            &[200],
            Closed,
        ),
        ("no number, first", "{post}Content-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}", &[400], Closed),
        ("no number, last", "{post}Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n{chunks}", &[200], Closed),
        (
            "a coding that is not known",
            "{post}Content-Length: {rest}\r\nTransfer-Encoding: xchunked\r\n\r\n{good}{evil}",
            &[400],
            Closed,
        ),
        (
            "two codings",
            "{post}Content-Length: {rest}\r\nTransfer-Encoding: identity, chunked\r\n\r\n{chunks}{evil}",
            &[400],
            Closed,
        ),
        (
            "on a path that is not there",
            "POST /x HTTP/1.1\r\nContent-Length: {rest}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}",
            &[404],
            Closed,
        ),
        (
            "with a method that is not allowed",
            "GET /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{evil chunks}",
            &[405],
            Closed,
        ),
        (
            "in HTTP/1.0",
            "POST /v1/track HTTP/1.0\r\nContent-Length: {rest}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{evil}",
            &[400],
            Closed,
        ),
    ];
    check(&cases).await;
}
